//! How much the layers beneath a sandbox hold.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::prepare::Layout;

/// Entries that are looked at in one layer: beyond, it is at least as much.
const MOST: u64 = 2_000_000;

/// One layer, or all of one kind in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSize {
    /// `base`, `snapshot` or `checkout`.
    pub part: &'static str,
    /// Of a snapshot, the overlay: `home`, `work`, `usr`, …; empty else.
    pub name: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// Files and directories.
    pub files: u64,
    /// Whether there is more that could not be looked at.
    pub more: bool,
}

/// Those of a layout that are ours: a host's own directories are not counted.
pub async fn of(layout: &Layout) -> Vec<LayerSize> {
    let mut wanted: Vec<(&'static str, String, Vec<PathBuf>)> = Vec::new();
    let base = layout.root_layers();
    if !base.is_empty() {
        let paths = base.iter().map(|layer| layer.path.clone()).collect();
        wanted.push(("base", String::new(), paths));
    }
    for (name, layers) in layout.snapshot.iter().flat_map(|snapshot| &snapshot.layers) {
        let paths = layers.iter().map(|layer| layer.path.clone()).collect();
        wanted.push(("snapshot", name.clone(), paths));
    }
    wanted.push(("checkout", String::new(), vec![layout.checkout.path.clone()]));
    let measured = tokio::task::spawn_blocking(move || {
        let size = |(part, name, paths): (_, _, Vec<PathBuf>)| {
            let mut size = LayerSize { part, name, bytes: 0, files: 0, more: false };
            for path in &paths {
                measure(path, &mut size);
            }
            size
        };
        wanted.into_iter().map(size).collect()
    });
    measured.await.unwrap_or_default()
}

/// Follows no link.
fn measure(dir: &Path, size: &mut LayerSize) {
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            // Of another id, where the sandbox's ids are not ours.
            size.more = true;
            continue;
        };
        for entry in entries.flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if size.files >= MOST {
                size.more = true;
                return;
            }
            size.files += 1;
            size.bytes = size.bytes.saturating_add(found.blocks().saturating_mul(512));
            if found.is_dir() {
                left.push(entry.path());
            }
        }
    }
}
