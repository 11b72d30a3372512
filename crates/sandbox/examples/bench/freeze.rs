//! What freezing costs, by what was written.

use std::path::Path;
use std::time::Instant;

use quire_domain::sandbox::{Layer, SandboxBackend};
use quire_sandbox::NativeBackend;

use super::{Outcome, finish, ms, spec};

/// What is written in the sandbox before it is frozen.
const WRITTEN: [(&str, &str); 4] = [
    ("nothing", ":"),
    ("10,000 files", FILES_10),
    ("100,000 files", FILES_100),
    ("one file of 1 GB", "head -c 1000000000 /dev/zero > big"),
];
const FILES_10: &str = "d=0; while [ $d -lt 100 ]; do mkdir n$d; f=0; while [ $f -lt 100 ]; do echo x > n$d/$f; \
     f=$((f+1)); done; d=$((d+1)); done";
const FILES_100: &str = "d=0; while [ $d -lt 1000 ]; do mkdir n$d; f=0; while [ $f -lt 100 ]; do echo x > n$d/$f; \
     f=$((f+1)); done; d=$((d+1)); done";

/// Prints the time of each, with its part of syncing: freezing until a restart does without it.
pub async fn cost(backend: &NativeBackend, home: &Path, layer: &Layer) -> Outcome<()> {
    println!("freezing what was written, ms (without its sync):");
    for (name, script) in WRITTEN {
        let mut times = [0.0; 2];
        for (synced, time) in times.iter_mut().enumerate() {
            let upper = home.join("frozen");
            let sandbox = backend.create(spec("freeze", &upper, layer)).await?;
            finish(&*sandbox, &["/bin/sh", "-c", script]).await?;
            let begun = Instant::now();
            match synced {
                0 => sandbox.freeze_until_restart().await?,
                _ => sandbox.freeze().await?,
            };
            *time = ms(begun.elapsed());
            sandbox.end().await?;
            backend.erase(&upper).await?;
        }
        println!("  {name:<28} {:>9.1}  ({:.1})", times[1], times[0]);
    }
    Ok(())
}
