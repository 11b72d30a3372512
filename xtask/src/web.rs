//! `cargo xtask web`: builds the web page from its lock file, for the server to hold.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::cargo;
use crate::outcome::{Chore, Verdict};

/// The browser of the scenarios: Debian's.
const CHROMIUM: &str = "/usr/bin/chromium";

/// What `web` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Checks it (types, lints, tests) in place of building it.
    #[arg(long)]
    check: bool,
    /// Builds it and the server, and plays the scenarios in Chromium.
    #[arg(long, conflicts_with = "check")]
    browser: bool,
}

/// Brings what the lock file names, runs no script of it, and builds into `web/dist`.
pub fn run(args: &Args) -> Chore {
    if !has_npm() {
        bail!("no npm: the web page is built with Node 20.19 or later (apt install nodejs npm)");
    }
    let brought = cargo::step("npm ci", npm().args(["ci", "--ignore-scripts"]))?;
    if brought == Verdict::Bad {
        return Ok(Verdict::Bad);
    }
    let script = if args.check { "check" } else { "build" };
    let done = step(script)?;
    if !args.browser || done == Verdict::Bad {
        return Ok(done);
    }
    // A debug build reads the page from the disk, from where it lay when it was compiled.
    cargo::build_quire(cargo::Profile::Dev)?;
    step("browser")
}

/// All that CI asks of the page; said and passed over where npm is not there.
pub fn checked() -> Chore {
    if !has_npm() {
        eprintln!("── web: not checked, npm is not installed (apt install nodejs npm)");
        return Ok(Verdict::Good);
    }
    let checked = run(&Args { check: true, browser: false })?;
    if !Path::new(CHROMIUM).exists() {
        eprintln!(
            "── web: no scenarios in a browser, {CHROMIUM} is not there (apt install chromium)"
        );
        return Ok(checked);
    }
    Ok(checked.and(run(&Args { check: false, browser: true })?))
}

fn step(script: &str) -> Chore {
    cargo::step(&format!("npm run {script}"), npm().args(["run", "--silent", script]))
}

fn has_npm() -> bool {
    npm().arg("--version").output().is_ok_and(|output| output.status.success())
}

fn npm() -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(cargo::root().join("web")).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    npm
}
