//! Any answer can be read, and reading what was read changes nothing. Run with
//! `cargo +nightly fuzz run citations` in `crates/evidence`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quire_evidence::citations::{Found, read};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let once = read(&text);
    for found in &once.found {
        if let Found::Citation { citation, at } = found {
            assert_eq!(once.text[at.clone()], citation.to_string());
        }
    }
    assert_eq!(read(&once.text).text, once.text);
});
