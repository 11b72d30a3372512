//! A full disk, in words: which one it is, what is left of it, what to do.

use std::path::{Path, PathBuf};

use quire_orchestrator::error::is_disk_full;

use crate::exit::{Exit, stop};

/// The words for an error that comes of a full disk, in place of its own; any other stays as it is.
/// `data_dir` is where Quire keeps its data, if that is known.
pub fn told(error: anyhow::Error, data_dir: Option<&Path>) -> anyhow::Error {
    if !is_disk_full(error.as_ref()) {
        return error;
    }
    stop(Exit::Failed, format!("{}; make room there, then try again", what(data_dir)))
}

/// The words for attempts of a task that stand still as the disk is full.
pub fn stands_still(task: u64, data_dir: &Path) -> anyhow::Error {
    stop(
        Exit::Suspended,
        format!(
            "{}; make room there, then `quire task resume {task}` goes on where it was",
            what(Some(data_dir))
        ),
    )
}

/// Which disk is full, and how much of it is left.
fn what(data_dir: Option<&Path>) -> String {
    let Some(dir) = data_dir else {
        return "the disk that holds Quire's data is full (`quire config show` says where it lies)"
            .to_owned();
    };
    // Also of a directory that could not be made any more.
    let there = dir.ancestors().find_map(|dir| rustix::fs::statvfs(dir).ok());
    let left = there.map_or_else(String::new, |stat| {
        let (bytes, files) = (stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_favail);
        // Some file systems have no number of files, and say 0 of 0.
        if stat.f_files > 0 && files == 0 {
            " (no more files can be made on it)".to_owned()
        } else {
            format!(" ({} KiB are left)", bytes >> 10)
        }
    });
    format!("the disk that holds {} is full{left}", dir.display())
}

/// Where data lies, for a message: the flag, the variable, else the default.
pub fn data_dir(
    flag: Option<PathBuf>,
    surroundings: &crate::surroundings::Surroundings,
) -> Option<PathBuf> {
    flag.or_else(|| {
        let settings = crate::settings::Settings::read(surroundings, None).ok()?;
        settings.data_dir.map(|setting| setting.value)
    })
}
