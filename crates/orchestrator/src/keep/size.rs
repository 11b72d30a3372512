//! How much the files of an attempt take on disk: measured once and noted beside them, since what
//! nobody works in does not change.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::hold::Hold;

/// Where it is noted.
const NOTE: &str = "bytes";

/// Entries that are looked at: beyond, it is at least this much.
const MOST: usize = 2_000_000;

/// The size of a directory with all below it.
pub async fn of(dir: PathBuf) -> u64 {
    tokio::task::spawn_blocking(move || measured(&dir)).await.unwrap_or(0)
}

/// What was noted holds no longer.
pub fn forget(dir: &Path) {
    let _ = std::fs::remove_file(dir.join(NOTE));
}

fn measured(dir: &Path) -> u64 {
    let note = dir.join(NOTE);
    if let Some(bytes) = std::fs::read_to_string(&note).ok().and_then(|text| text.parse().ok()) {
        return bytes;
    }
    let held = Hold::alone(dir);
    let bytes = measure(dir);
    if held.is_some() {
        // Losing it only costs measuring again.
        let _ = std::fs::write(note, bytes.to_string());
    }
    bytes
}

/// Follows no link; what cannot be read counts as nothing.
fn measure(dir: &Path) -> u64 {
    let (mut sum, mut seen) = (0_u64, 0);
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST {
                return sum;
            }
            let Ok(found) = entry.metadata() else { continue };
            sum = sum.saturating_add(found.blocks().saturating_mul(512));
            if found.is_dir() {
                left.push(entry.path());
            }
        }
    }
    sum
}
