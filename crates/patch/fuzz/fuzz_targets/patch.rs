//! Bytes become a patch and a file: reading and applying must end, and what is read must print to
//! what reads the same. Run with `cargo +nightly fuzz run patch` in `crates/patch`.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use quire_domain::path::WorkspacePath;
use quire_patch::{FilePatch, Patch, apply, heredoc};

/// The same patch as if it had never been text.
fn without_places(mut patch: Patch) -> Patch {
    for file in &mut patch.files {
        if let FilePatch::Update { hunks, .. } = file {
            for hunk in hunks {
                hunk.at_line = 0;
            }
        }
    }
    patch
}

fuzz_target!(|bytes: &[u8]| {
    // What follows the first NUL is the file that the patch is about.
    let (text, file) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b"a\nb\n"[..]),
    };
    let text = String::from_utf8_lossy(text);
    let _ = heredoc::find(&text);
    let Ok(patch) = Patch::parse(&text) else { return };
    // `a /` is the path `a `, which does not come back from the end of a line.
    if patch.paths().iter().all(|path| path.as_str().trim() == path.as_str()) {
        let again = Patch::parse(&patch.to_string()).map(without_places);
        assert_eq!(again, Ok(without_places(patch.clone())));
    }
    let files: BTreeMap<WorkspacePath, &[u8]> = patch
        .files
        .iter()
        .filter(|change| !matches!(change, FilePatch::Add { .. }))
        .map(|change| (change.path().clone(), file))
        .collect();
    match apply(&patch, &files) {
        Ok(edits) => assert!(edits.iter().all(|edit| edit.old.is_some() || edit.new.is_some())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
