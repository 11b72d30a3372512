//! `cargo xtask check`: everything CI runs. Tests come last, so that their summary ends the output.

use crate::outcome::{Chore, Verdict};
use crate::{cargo, test, tidy};

/// What `check` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Everything but the tests.
    #[arg(long)]
    no_test: bool,
}

/// Runs every step, also after one that fails, and names those that did.
pub fn run(args: &Args) -> Chore {
    let mut failed = Vec::new();
    let mut note = |name: &'static str, verdict: Verdict| {
        if verdict == Verdict::Bad {
            failed.push(name);
        }
    };
    note("fmt", cargo::step("fmt", &mut cargo::command(&["fmt", "--all", "--check"]))?);
    eprintln!("── tidy");
    note("tidy", tidy::run(&tidy::Args {})?);
    note(
        "clippy",
        cargo::step(
            "clippy",
            cargo::command(&["clippy", "--quiet", "--workspace", "--all-targets", "--locked"])
                .args(["--", "-D", "warnings"]),
        )?,
    );
    note(
        "doc",
        cargo::step(
            "doc",
            cargo::command(&["doc", "--quiet", "--workspace", "--no-deps", "--locked"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )?,
    );
    note("deny", deny()?);
    if args.no_test {
        return Ok(told(&failed));
    }
    let before_tests = told(&failed);
    eprintln!("── test");
    Ok(test::run(&test::Args::default())?.and(before_tests))
}

/// Licences, advisories and duplicates, where the tool for it is installed.
fn deny() -> anyhow::Result<Verdict> {
    if cargo::has("deny") {
        // Advisories need a download; licences, sources and bans do not.
        let mut command = cargo::command(&["deny", "--offline", "check"]);
        return cargo::step("deny", command.args(["licenses", "sources", "bans"]));
    }
    eprintln!("── deny: not checked, cargo-deny is not installed (cargo install cargo-deny)");
    Ok(Verdict::Good)
}

fn told(failed: &[&str]) -> Verdict {
    if failed.is_empty() {
        return Verdict::Good;
    }
    eprintln!("── failed: {}", failed.join(", "));
    Verdict::Bad
}
