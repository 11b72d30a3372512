//! Measures the search of a layer for secrets: milliseconds, files and bytes per second.
//!
//! `cargo run --release -p quire-orchestrator --example secret_search DIR`

#![allow(clippy::print_stdout, reason = "it prints its figures")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use quire_domain::secret::Secret;
use quire_environment::snapshot::search::{Bounds, search};
use quire_orchestrator::known_secrets::Known;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("which directory?")?;
    let (files, bytes) = size(Path::new(&dir))?;
    println!("{files} files, {} MB", bytes / 1_000_000);
    let all = ["sk-t0ken/4f9c+21-Qz", "glp-8Xb2kQ!vv90", "s3cr3t-of-the-registry", "p4ss w0rd#1"];
    for count in [1, 4] {
        let values = all.iter().take(count).enumerate();
        let values: BTreeMap<_, _> = values
            .map(|(number, value)| (format!("S{number}"), Secret::new((*value).to_owned())))
            .collect();
        let known = Known { values, ..Known::default() };
        let values = known.to_search().ok_or("nothing to look for")?;
        for _ in 0..3 {
            let began = Instant::now();
            let deadline = began + Duration::from_mins(10);
            let bounds = Bounds { deadline, given_up: &AtomicBool::new(false) };
            let denied = |_: &[u8]| Err(std::io::ErrorKind::PermissionDenied.into());
            let leaks = search(Path::new(&dir), values.as_ref(), &denied, &bounds)?;
            let ms = began.elapsed().as_millis().max(1);
            let rate = u128::from(bytes) / 1_000 / ms;
            println!("{count} values: {ms} ms, {rate} MB/s, {} leaks", leaks.len());
        }
    }
    Ok(())
}

fn size(dir: &Path) -> std::io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.path().symlink_metadata()?;
        if found.is_dir() {
            let below = size(&entry.path())?;
            files += below.0;
            bytes += below.1;
        } else if found.is_file() {
            files += 1;
            bytes += found.len();
        }
    }
    Ok((files, bytes))
}
