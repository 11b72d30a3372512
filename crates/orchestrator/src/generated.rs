//! The layer of files that an installation made beside the sources, copied for one attempt.

use std::io;
use std::path::Path;

use quire_domain::sandbox::{Layer, LayerOwner};
use quire_environment::generated;
use quire_git::GitError;

/// What the attempt whose files lie in `attempt_dir` has of them; copied from the checkout at
/// `root` the first time, so that a resume finds what the attempt began with.
pub(crate) async fn layer(
    root: Option<&Path>,
    files: &[String],
    attempt_dir: &Path,
) -> Result<Option<Layer>, GitError> {
    let path = attempt_dir.join("generated");
    if let (false, Some(root), false) = (path.is_dir(), root, files.is_empty()) {
        let (root, files, to) = (root.to_owned(), files.to_vec(), path.clone());
        let copied = tokio::task::spawn_blocking(move || copy(&root, &files, &to)).await;
        copied.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|source| {
            GitError::Io { doing: "copy ignored files to", path: path.clone(), source }
        })?;
    }
    Ok(path.is_dir().then_some(Layer { path, owner: LayerOwner::Host }))
}

/// Whole or not at all: a layer that a crash left half would be taken for one.
fn copy(root: &Path, files: &[String], to: &Path) -> io::Result<()> {
    let half = to.with_extension("half");
    match std::fs::remove_dir_all(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(&half)?;
    generated::copy(root, files, &half)?;
    std::fs::rename(&half, to)
}
