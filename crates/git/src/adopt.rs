//! Gives a task the results of another one that it goes on from.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::results::ResultStore;

/// Where the commits of attempts are kept.
const REFS: &str = "refs/quire/attempts";

impl Git {
    /// Has `into` hold all that `from` holds, for good: files are shared where the disk can, as
    /// they never change. Safe to repeat; a death in between leaves files that the next time finds.
    ///
    /// # Errors
    ///
    /// What the disk refuses.
    pub async fn adopt(&self, into: &ResultStore, from: &ResultStore) -> Result<(), GitError> {
        let (into, from) =
            (into.repository().git_dir().to_owned(), from.repository().git_dir().to_owned());
        blocking("bring the results of another task", move || {
            let all = share(&from.join("objects"), &into.join("objects"))
                .and_then(|()| share(&from.join(REFS), &into.join(REFS)));
            all.map_err(GitError::io("bring the results of another task into", &into))
        })
        .await
    }
}

/// Shares every file below `from`. An index comes after its pack, as git reads what has one.
fn share(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    fs::create_dir_all(to)?;
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
    names.sort_by_key(|name| Path::new(name).extension().is_some_and(|end| end == "idx"));
    for name in names {
        let (from, to) = (from.join(&name), to.join(&name));
        let kind = fs::symlink_metadata(&from)?.file_type();
        if kind.is_dir() {
            // What a store reads through is its own matter.
            if name != "info" {
                share(&from, &to)?;
            }
        } else if kind.is_file() && !to.exists() && fs::hard_link(&from, &to).is_err() {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Copies a file so that it is there whole or not at all.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let part = to.with_extension(format!("part-{}", std::process::id()));
    fs::copy(from, &part)?;
    fs::File::open(&part)?.sync_all()?;
    fs::rename(&part, to)
}
