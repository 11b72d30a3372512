//! `cargo xtask tidy`: the rules no compiler checks. Each rule has its own file.

mod access;
mod edges;
mod headers;
mod leftovers;
mod lists;
mod sizes;
mod sources;

use crate::cargo;
use crate::outcome::{Chore, Verdict};

/// What `tidy` takes.
#[derive(clap::Args)]
pub struct Args {}

/// A place that breaks a rule, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Relative to the workspace, with a line where there is one: `crates/git/src/lib.rs:12`.
    pub place: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl Finding {
    fn at(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

/// Applies every rule and prints what breaks one.
pub fn run(_args: &Args) -> Chore {
    let root = cargo::root();
    let sources = sources::all(root)?;
    let mut findings = edges::findings(root)?;
    for source in &sources {
        findings.extend(headers::finding(source));
        findings.extend(sizes::finding(source));
        findings.extend(leftovers::findings(source));
        findings.extend(access::findings(source));
    }
    findings.extend(lists::findings(&sources));
    for finding in &findings {
        println!("{}: {}", finding.place, finding.what);
    }
    if findings.is_empty() {
        eprintln!("tidy: {} source files, no findings", sources.len());
        return Ok(Verdict::Good);
    }
    eprintln!("tidy: {} findings", findings.len());
    Ok(Verdict::Bad)
}
