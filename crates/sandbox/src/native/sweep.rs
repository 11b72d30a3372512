//! What is left over: the trash, and copies that were never finished or are long unused.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long an unused copy of `/etc` is kept.
const KEEP: Duration = Duration::from_hours(30 * 24);

/// How long a copy may take to be made.
const MAKING: Duration = Duration::from_mins(10);

fn trash(state_dir: &Path) -> PathBuf {
    state_dir.join("trash")
}

/// Moves a tree out of the way; gives where it went.
pub fn move_to_trash(state_dir: &Path, path: &Path) -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let trash = trash(state_dir);
    fs::create_dir_all(&trash)?;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let to = trash.join(format!("{}-{}-{}-{number}", std::process::id(), now.tv_sec, now.tv_nsec));
    fs::rename(path, &to)?;
    Ok(to)
}

/// What can be removed, whoever left it: nothing in the trash is used.
pub fn left_over(state_dir: &Path) -> Vec<PathBuf> {
    let entries = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten();
        entries.filter_map(Result::ok).collect::<Vec<_>>()
    };
    let old = |entry: &fs::DirEntry, age: Duration| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        modified.is_ok_and(|time| time.elapsed().is_ok_and(|since| since > age))
    };
    let trash = entries(&trash(state_dir)).into_iter().map(|entry| entry.path());
    let copies = entries(&state_dir.join("etc")).into_iter().filter(|entry| {
        let unfinished = entry.file_name().to_string_lossy().starts_with(".new-");
        old(entry, if unfinished { MAKING } else { KEEP })
    });
    trash.chain(copies.map(|entry| entry.path())).collect()
}
