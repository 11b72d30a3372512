//! Whose a checkout is: one that is partly somebody else's is opened only where the person told
//! git to trust it, as git itself does it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Git;
use crate::discover::Found;
use crate::error::GitError;

/// Whose the parts of a checkout are. Each of them can lead git elsewhere: the working tree and
/// its `.git` to another repository, the two git directories to programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// All of them are one's own.
    Own,
    /// Some are those of the person who became root by `sudo`: git trusts them.
    OfWhoCalledSudo,
    /// One of them is somebody else's.
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose.
        uid: u32,
    },
}

impl Ownership {
    /// Looks at every part. `sudo_uid` is who called `sudo`, which counts for root alone.
    pub(crate) fn of(found: &Found, sudo_uid: Option<u32>) -> Result<Self, GitError> {
        let own = rustix::process::geteuid();
        let sudo_uid = sudo_uid.filter(|_| own.is_root());
        let dot_git = found.top_level.join(".git");
        let mut ownership = Self::Own;
        for path in [&found.top_level, &dot_git, &found.git_dir, &found.common_dir] {
            let meta = std::fs::symlink_metadata(path).map_err(GitError::io("look at", path))?;
            let uid = meta.uid();
            if uid == own.as_raw() {
                continue;
            }
            if Some(uid) != sudo_uid {
                return Ok(Self::Foreign { path: path.clone(), uid });
            }
            ownership = Self::OfWhoCalledSudo;
        }
        Ok(ownership)
    }
}

impl Git {
    /// Refuses a checkout that is partly somebody else's, unless the person's own settings or
    /// those of the system name it in `safe.directory`. What the checkout's settings say of that
    /// does not count.
    pub(crate) async fn check_ownership(
        &self,
        found: &Found,
        ownership: &Ownership,
    ) -> Result<(), GitError> {
        let Ownership::Foreign { path, uid } = ownership else { return Ok(()) };
        let ended = self
            .person_alone("read the settings")
            .args(["config", "-z", "--show-scope", "--type=path", "--get-all", "safe.directory"])
            .timeout(Duration::from_secs(30))
            .output_limit(4 << 20)
            .end()
            .await?;
        if ended.code == Some(0) && is_safe(&ended.output, &found.top_level) {
            return Ok(());
        }
        Err(GitError::Foreign {
            path: path.clone(),
            owner: *uid,
            top_level: found.top_level.clone(),
        })
    }
}

/// Reads `scope NUL value NUL …` as git does: the last word counts, an empty one forgets those
/// before it. Other scopes than these two are the checkout's, or ours.
fn is_safe(output: &[u8], top_level: &Path) -> bool {
    let mut safe = false;
    let mut fields = output.split(|b| *b == 0);
    while let (Some(scope), Some(value)) = (fields.next(), fields.next()) {
        if !matches!(scope, b"system" | b"global") {
            continue;
        }
        safe = match value {
            b"" => false,
            b"*" => true,
            value => safe || names(value, top_level),
        };
    }
    safe
}

/// Whether a value of `safe.directory` names the directory, or with `/*` at its end one above it.
fn names(value: &[u8], top_level: &Path) -> bool {
    let real = |value| {
        let path = Path::new(OsStr::from_bytes(value));
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    };
    match value.strip_suffix(b"/*") {
        Some(above) => {
            let above = real(if above.is_empty() { b"/" } else { above });
            above.is_absolute() && top_level.starts_with(&above) && top_level != above
        }
        None => real(value) == top_level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_directories_are_read_as_git_reads_them() {
        let top = Path::new("/nonexistent/a/b");
        for (safe, output) in [
            (false, &b""[..]),
            (false, b"command\0*\0"),
            (false, b"local\0*\0worktree\0/nonexistent/a/b\0"),
            (true, b"global\0/nonexistent/a/b\0"),
            (true, b"system\0/nonexistent/a/b/\0"),
            (true, b"global\0*\0global\0/other\0"),
            (false, b"system\0*\0global\0\0"),
            (true, b"system\0*\0global\0\0global\0/nonexistent/*\0"),
            (false, b"global\0/nonexistent/a/b/*\0"),
            (false, b"global\0/nonexistent/a\0global\0/nonexistent/a/bb\0"),
            (false, b"global\0nonexistent/*\0"),
            (true, b"global\0/*\0"),
            (false, b"global"),
        ] {
            assert_eq!(is_safe(output, top), safe, "{}", String::from_utf8_lossy(output));
        }
    }
}
