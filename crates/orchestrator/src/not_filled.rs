//! What of the repository is not there inside, told before the agent stumbles over it.

use quire_git::LayerManifest;

/// A line each for submodules and for files whose content lies in large file storage.
pub(crate) fn notes(manifest: &LayerManifest) -> Vec<String> {
    let mut notes = Vec::new();
    let submodules = &manifest.submodules;
    if !submodules.is_empty() {
        let shown: Vec<&str> = submodules.iter().take(4).map(String::as_str).collect();
        let more = if submodules.len() > 4 { ", …" } else { "" };
        notes.push(format!("submodules are empty inside: {}{more}", shown.join(", ")));
    }
    match manifest.lfs_pointers {
        0 => {}
        1 => notes.push("1 file is a pointer into LFS, without its content".to_owned()),
        many => notes.push(format!("{many} files are pointers into LFS, without their content")),
    }
    notes
}
