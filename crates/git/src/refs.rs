//! Reads the refs of a checkout without starting git, and writes them for a mirror.

use std::collections::BTreeMap;
use std::path::Path;

use quire_domain::ids::Sha256 as Digest256;
use sha2::{Digest, Sha256};

use crate::config::Git;
use crate::error::GitError;

/// Branches, tags and remote branches by their full name, each with its object's name.
pub(crate) type Refs = BTreeMap<String, String>;

const PACKED_REFS_LIMIT_BYTES: u64 = 256 << 20;
const SHOWN: [&str; 3] = ["refs/heads/", "refs/tags/", "refs/remotes/"];

/// The refs below `common_dir` that `log` and `branch` show. `None` where they are kept in a way
/// that only git reads (reftable).
pub(crate) fn read_refs(common_dir: &Path) -> Result<Option<Refs>, GitError> {
    if common_dir.join("reftable").is_dir() {
        return Ok(None);
    }
    let mut refs = Refs::new();
    let packed = common_dir.join("packed-refs");
    match std::fs::metadata(&packed) {
        Ok(meta) if meta.len() > PACKED_REFS_LIMIT_BYTES => {
            return Err(GitError::OverLimit {
                what: "packed-refs",
                limit: PACKED_REFS_LIMIT_BYTES,
            });
        }
        Ok(_) => {
            let bytes = std::fs::read(&packed).map_err(GitError::io("read", &packed))?;
            for line in bytes.split(|b| *b == b'\n') {
                let Ok(line) = std::str::from_utf8(line) else { continue };
                if let Some((oid, name)) = line.split_once(' ') {
                    add(&mut refs, name, oid);
                }
            }
        }
        Err(_) => {}
    }
    for prefix in SHOWN {
        read_loose(common_dir, prefix.trim_end_matches('/'), &mut refs, 0);
    }
    Ok(Some(refs))
}

fn read_loose(common_dir: &Path, name: &str, refs: &mut Refs, depth: usize) {
    let Ok(listing) = std::fs::read_dir(common_dir.join(name)) else { return };
    for entry in listing.flatten() {
        let Ok(part) = entry.file_name().into_string() else { continue };
        let full = format!("{name}/{part}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < 32 => {
                read_loose(common_dir, &full, refs, depth + 1);
            }
            Ok(kind) if kind.is_file() && entry.metadata().is_ok_and(|m| m.len() <= 512) => {
                // A name for another ref (`ref: …`) is no object name and is left out.
                if let Ok(text) = std::fs::read_to_string(entry.path()) {
                    add(refs, &full, text.trim_ascii_end());
                }
            }
            _ => {}
        }
    }
}

fn add(refs: &mut Refs, name: &str, oid: &str) {
    if is_object_name(oid) && is_ref_name(name) && SHOWN.iter().any(|p| name.starts_with(p)) {
        refs.insert(name.to_owned(), oid.to_owned());
    }
}

/// The one object name that git printed.
pub(crate) fn object_name(output: &[u8]) -> Result<String, GitError> {
    let text = String::from_utf8_lossy(output).trim().to_owned();
    if is_object_name(&text) {
        Ok(text)
    } else {
        Err(GitError::malformed("git's output", "it is no object name"))
    }
}

/// Whether `text` is a full object name.
pub(crate) fn is_object_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether git accepts `name` as the name of a ref (the rules of `git check-ref-format`).
pub(crate) fn is_ref_name(name: &str) -> bool {
    let bad_char = |c: char| c.is_control() || " ~^:?*[\\\x7f".contains(c);
    !name.is_empty()
        && name.len() <= 1024
        && !name.contains(bad_char)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(|part| {
            !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none()
        })
}

/// A digest by which two readings of the refs are told apart.
pub(crate) fn refs_digest(refs: &Refs) -> Digest256 {
    let mut hasher = Sha256::new();
    for (name, oid) in refs {
        hasher.update(oid);
        hasher.update(b" ");
        hasher.update(name);
        hasher.update(b"\n");
    }
    Digest256::from_bytes(&hasher.finalize().into())
}

/// The text of a `packed-refs` file.
pub(crate) fn packed_refs(refs: &Refs) -> String {
    let mut text = "# pack-refs with: sorted \n".to_owned();
    for (name, oid) in refs {
        text.push_str(oid);
        text.push(' ');
        text.push_str(name);
        text.push('\n');
    }
    text
}

impl Git {
    /// As [`read_refs`], by git.
    pub(crate) async fn list_refs(&self, git_dir: &Path) -> Result<Refs, GitError> {
        let output = self
            .ours("list the refs", git_dir)
            .args(["for-each-ref", "--format=%(objectname) %(refname)"])
            .args(SHOWN)
            .output()
            .await?;
        let mut refs = Refs::new();
        for line in String::from_utf8_lossy(&output).lines() {
            if let Some((oid, name)) = line.split_once(' ') {
                add(&mut refs, name, oid);
            }
        }
        Ok(refs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_name_that_git_would_refuse_is_refused() {
        for bad in [
            "", "a..b", "a b", "a\nb", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a@{1}", "a:b",
            "a.",
        ] {
            assert!(!is_ref_name(bad), "{bad}");
        }
        assert!(is_ref_name("refs/heads/feature/x-1_ü"));
    }
}
