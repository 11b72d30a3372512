//! Files that differ from the commit a snapshot was made on, as new as the attempt.
//!
//! Build tools compare times. What setup built is younger than any commit of before, so a file that
//! another commit has otherwise would look as if it were built already: it is copied, with the
//! present as its time. Costs what the two commits differ by.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use quire_domain::sandbox::{Layer, LayerOwner};
use quire_environment::snapshot::Snapshot;
use quire_git::CheckoutLayer;

/// The layer of those files; `None` where there are none, or where setup wrote nothing into the
/// working tree. Made anew where it is there: the attempt has not begun.
pub fn layer(
    snapshot: &Snapshot,
    checkout: &CheckoutLayer,
    attempt_dir: &Path,
) -> io::Result<Option<Layer>> {
    let dir = attempt_dir.join("touched");
    if !snapshot.layers.contains_key(crate::prepare::WORK) {
        return Ok(None);
    }
    let mut changed: BTreeSet<PathBuf> = BTreeSet::new();
    for index in snapshot.indexes.iter().filter(|index| index.exists()) {
        changed.extend(checkout.changed_since(index).map_err(io::Error::other)?);
    }
    if changed.is_empty() {
        return Ok(None);
    }
    for path in &changed {
        let (from, to) = (checkout.path.join(path), dir.join(path));
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let _ = std::fs::remove_file(&to);
        let found = std::fs::symlink_metadata(&from)?;
        if found.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from)?, &to)?;
        } else {
            // A copy has the time it was made.
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(Some(of(&dir)))
}

/// The layer that was made for an attempt, if one was.
pub fn made(attempt_dir: &Path) -> Option<Layer> {
    let dir = attempt_dir.join("touched");
    dir.exists().then(|| of(&dir))
}

fn of(dir: &Path) -> Layer {
    Layer { path: dir.to_owned(), owner: LayerOwner::Host }
}
