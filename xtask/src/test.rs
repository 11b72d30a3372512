//! `cargo xtask test`: all tests, the web page's among them, or those that the arguments choose.
//!
//! Uses cargo-nextest where it is installed (a process per test, a time limit for each), else plain
//! `cargo test`. Doc tests run first, as nextest cannot run them. The last line is the sum of all:
//! `tests: N passed, N failed, N skipped`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::outcome::{Chore, Verdict};
use crate::{cargo, needs, web};

/// What `test` takes.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Passed on: `-p quire-git`, a part of a test's name, … Doc tests are then left out.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    passed_on: Vec<String>,
    /// Plain `cargo test`, also where cargo-nextest is installed.
    #[arg(long)]
    plain: bool,
}

/// Tests, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs the tests; good if all passed and at least one ran.
///
/// # Errors
///
/// If the machine lacks something, after saying what; if cargo cannot be started.
pub fn run(args: &Args) -> Chore {
    let lacks = needs::lacks();
    needs::tell(&lacks);
    if !lacks.is_empty() {
        bail!("the tests need what is missing above");
    }
    // Scenarios of other crates start it as a person would.
    cargo::build_quire(cargo::Profile::Dev)?;
    let nextest = !args.plain && cargo::has("nextest");
    let chosen = !args.passed_on.is_empty();
    let mut sum = Count::default();
    // All tests are also those of the web page, in a browser on the server that was just built.
    let mut verdict = if chosen { Verdict::Good } else { web::checked()? };
    if nextest && !chosen {
        verdict =
            verdict.and(counted(&mut cargo::command(&["test", "--workspace", "--doc"]), &mut sum)?);
    }
    let mut main = if nextest {
        cargo::command(&["nextest", "run", "--no-tests", "warn"])
    } else {
        eprintln!("cargo-nextest is not installed: plain `cargo test` is used");
        cargo::command(&["test", "--no-fail-fast"])
    };
    if !args.passed_on.iter().any(|arg| matches!(arg.as_str(), "-p" | "--package")) {
        main.arg("--workspace");
    }
    main.args(&args.passed_on);
    verdict = verdict.and(counted(&mut main, &mut sum)?);
    let ran = sum.passed + sum.failed;
    println!("tests: {} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped);
    if ran == 0 && verdict == Verdict::Good {
        bail!("no test ran");
    }
    Ok(verdict)
}

/// Runs `command`, shows what it prints as it comes, and adds what its summaries say to `sum`.
fn counted(command: &mut Command, sum: &mut Count) -> anyhow::Result<Verdict> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let counts = std::thread::scope(|scope| {
        let out = scope.spawn(|| out.map(|pipe| shown(pipe, std::io::stdout())));
        let err = scope.spawn(|| err.map(|pipe| shown(pipe, std::io::stderr())));
        [out.join(), err.join()]
    });
    for count in counts.into_iter().flatten().flatten() {
        sum.add(count?);
    }
    Ok(Verdict::of(child.wait()?))
}

fn shown(pipe: impl Read, mut to: impl Write) -> std::io::Result<Count> {
    let mut sum = Count::default();
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(sum);
        }
        to.write_all(&line)?;
        sum.add(summary(&String::from_utf8_lossy(&line)).unwrap_or_default());
    }
}

/// What a closing line of cargo's or nextest's test runner says; `None` for any other line.
fn summary(line: &str) -> Option<Count> {
    // nextest indents what a failed test printed, and with it that test's own closing line.
    let words = match line.strip_prefix("test result: ") {
        Some(rest) => rest,
        None => line.trim_start().strip_prefix("Summary [")?.split_once("run:")?.1,
    };
    let mut count = Count::default();
    let mut number = 0;
    for word in words.split([' ', ',', ';', '.', '(', ')']).filter(|word| !word.is_empty()) {
        match word {
            "passed" => count.passed += number,
            // nextest counts a test that ran out of time apart from those that failed.
            "failed" | "timed" => count.failed += number,
            "ignored" | "skipped" => count.skipped += number,
            _ => number = word.parse().unwrap_or(0),
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners_are_counted() {
        let plain = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.4s";
        assert_eq!(summary(plain), Some(Count { passed: 12, failed: 2, skipped: 1 }));
        let next = "     Summary [   0.812s] 40 tests run: 38 passed (1 slow), 1 failed, 1 timed out, 5 skipped";
        assert_eq!(summary(next), Some(Count { passed: 38, failed: 2, skipped: 5 }));
        assert_eq!(summary("test tests::a_thing ... ok"), None);
        assert_eq!(summary("    test result: FAILED. 0 passed; 1 failed; 0 ignored"), None);
    }
}
