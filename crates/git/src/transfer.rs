//! Brings objects of a person's checkout into its mirror: whole files by hard links at first,
//! later only what is new.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::config::Git;
use crate::error::GitError;
use crate::reachable::{Reachable, Walk};
use crate::refs::is_object_name;

const TRANSFER_TIMEOUT: Duration = Duration::from_mins(30);
/// Up to so many objects are kept loose, as git does on fetch: a pack for each small commit
/// would slow every later look-up.
const LOOSE_LIMIT: u32 = 100;

/// Links (or copies, across file systems and owners) the objects below `source` that are `wanted`
/// into `target`, both `objects` directories; also those of alternates. Safe beside a `git gc` of
/// the person.
pub(crate) fn link_objects(
    source: &Path,
    target: &Path,
    wanted: &Reachable,
) -> Result<(), GitError> {
    for objects in with_alternates(source) {
        // A repack may take a file away between listing and linking: what it held is then in a
        // new pack, which the next round finds.
        let mut rounds = 0;
        while !link_once(&objects, target, wanted)? {
            rounds += 1;
            if rounds == 5 {
                return Err(GitError::malformed(
                    "the objects of the checkout",
                    "they keep changing",
                ));
            }
        }
    }
    Ok(())
}

/// The directory and all its alternates, each once.
fn with_alternates(objects: &Path) -> Vec<PathBuf> {
    let mut found = vec![objects.to_owned()];
    let mut next = 0;
    while next < found.len() && found.len() < 64 {
        let dir = found[next].clone();
        next += 1;
        let Ok(text) = std::fs::read(dir.join("info/alternates")) else { continue };
        for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty() && l[0] != b'#') {
            let path = dir.join(OsStr::from_bytes(line));
            if let Ok(path) = path.canonicalize()
                && !found.contains(&path)
            {
                found.push(path);
            }
        }
    }
    found
}

/// One pass; `false` if a file vanished under it.
fn link_once(source: &Path, target: &Path, wanted: &Reachable) -> Result<bool, GitError> {
    let mut whole = true;
    // Loose objects before packs: what moves from one to the other meanwhile is met in the pack.
    for (name, path) in list(source)? {
        if name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            let into = target.join(&name);
            for (object, from) in list(&path)? {
                if wanted.objects.contains(&format!("{name}{object}")) {
                    std::fs::create_dir_all(&into)
                        .map_err(GitError::io("make the directory", &into))?;
                    whole &= link(&from, &into.join(object))?;
                }
            }
        }
    }
    let mut packs = list(&source.join("pack"))?;
    let cruft: HashSet<String> = packs
        .iter()
        .filter(|_| wanted.walk == Walk::Loose)
        .filter_map(|(name, _)| name.strip_suffix(".mtimes").map(str::to_owned))
        .collect();
    packs.retain(|(name, _)| {
        name.starts_with("pack-")
            && !name.rsplit_once('.').is_some_and(|(stem, _)| cruft.contains(stem))
            && [".pack", ".rev", ".promisor", ".idx"].iter().any(|end| name.ends_with(end))
    });
    // git takes a pack for whole once its `.idx` is there.
    packs.sort_by_key(|(name, _)| name.strip_suffix(".idx").is_some());
    for (name, from) in packs {
        whole &= link(&from, &target.join("pack").join(name))?;
    }
    Ok(whole)
}

fn list(dir: &Path) -> Result<Vec<(String, PathBuf)>, GitError> {
    let listing = match std::fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(GitError::io("read the directory", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(GitError::io("read the directory", dir))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push((name, entry.path()));
        }
    }
    Ok(names)
}

fn link(from: &Path, to: &Path) -> Result<bool, GitError> {
    match std::fs::hard_link(from, to) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(_) => {}
    }
    // Another file system, or a file of another owner.
    let half = to.with_extension("quire-half");
    match std::fs::copy(from, &half) {
        Ok(_) => {
            std::fs::rename(&half, to).map_err(GitError::io("write", to))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(GitError::io("copy", from)(error)),
    }
}

impl Git {
    /// Which of `oids` exist in the repository (with its alternates), and are of the kind
    /// `commit` or `tag`.
    pub(crate) async fn existing(
        &self,
        git_dir: &Path,
        oids: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, GitError> {
        if oids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut input = String::new();
        for oid in oids {
            input.push_str(oid);
            input.push('\n');
        }
        let output = self
            .ours("look for commits", git_dir)
            .args(["cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer"])
            .input(input)
            .output()
            .await?;
        Ok(String::from_utf8_lossy(&output)
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(oid, kind)| is_object_name(oid) && matches!(*kind, "commit" | "tag"))
            .map(|(oid, _)| oid.to_owned())
            .collect())
    }

    /// Copies what `wanted` reach and `had` do not from one repository into another.
    pub(crate) async fn transfer(
        &self,
        from_git_dir: &Path,
        into_git_dir: &Path,
        wanted: &BTreeSet<String>,
        had: &BTreeSet<String>,
    ) -> Result<(), GitError> {
        let mut revisions = String::new();
        for oid in wanted {
            revisions.push_str(oid);
            revisions.push('\n');
        }
        for oid in had {
            revisions.push('^');
            revisions.push_str(oid);
            revisions.push('\n');
        }
        let doing = "copy commits into the mirror";
        let source = self
            .ours(doing, from_git_dir)
            .args(["pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "-q"])
            .input(revisions)
            .timeout(TRANSFER_TIMEOUT);
        source
            .pipe_pack_into(|objects| {
                let run = self.ours(doing, into_git_dir).timeout(TRANSFER_TIMEOUT);
                if objects <= LOOSE_LIMIT {
                    run.args(["unpack-objects", "-q"])
                } else {
                    run.args(["index-pack", "--stdin", "--fix-thin"])
                }
            })
            .await
    }
}

/// The number of objects that a pack announces in its first twelve bytes, and these bytes.
pub(crate) async fn read_pack_header<R>(pack: &mut R) -> Result<Option<(u32, [u8; 12])>, GitError>
where
    R: tokio::io::AsyncRead + Unpin + ?Sized,
{
    let mut header = [0; 12];
    let mut filled = 0;
    while filled < header.len() {
        let n = pack
            .read(&mut header[filled..])
            .await
            .map_err(GitError::io("read the pack", "<input>"))?;
        if n == 0 {
            return Ok(None);
        }
        filled += n;
    }
    let count = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let version = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    if &header[..4] != b"PACK" || !matches!(version, 2 | 3) {
        return Ok(None);
    }
    Ok(Some((count, header)))
}
