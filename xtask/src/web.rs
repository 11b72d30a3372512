//! `cargo xtask web`: builds the web page from its lock file, for the server to hold.

use std::process::Command;

use anyhow::bail;

use crate::cargo;
use crate::outcome::{Chore, Verdict};

/// What `web` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Checks it (types, lints, tests) in place of building it.
    #[arg(long)]
    check: bool,
}

/// Brings what the lock file names, runs no script of it, and builds into `web/dist`.
pub fn run(args: &Args) -> Chore {
    if !npm().arg("--version").output().is_ok_and(|output| output.status.success()) {
        bail!("no npm: the web page is built with Node 20.19 or later (apt install nodejs npm)");
    }
    let brought = cargo::step("npm ci", npm().args(["ci", "--ignore-scripts"]))?;
    if brought == Verdict::Bad {
        return Ok(Verdict::Bad);
    }
    let script = if args.check { "check" } else { "build" };
    cargo::step(&format!("npm run {script}"), npm().args(["run", "--silent", script]))
}

fn npm() -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(cargo::root().join("web"));
    npm
}
