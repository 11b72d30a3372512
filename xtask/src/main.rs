//! The project's own chores: `cargo xtask <command>`. Each command has its own file.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the person who started it"
)]

mod bench;
mod cargo;
mod check;
mod demo;
mod needs;
mod outcome;
mod test;
mod tidy;
mod web;

use clap::{Parser, Subcommand};

use crate::outcome::Chore;

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds Quire and runs three real tasks at once, with a scripted model where there is no key.
    Demo(demo::Args),
    /// Everything CI runs: formatting, lints, tidy, docs, licences, tests.
    Check(check::Args),
    /// All tests, or those that the arguments choose.
    Test(test::Args),
    /// Our figures against the budgets, and against other agents.
    Bench(bench::Args),
    /// The rules no compiler checks: crate edges, file sizes, lists, leftovers, access.
    Tidy(tidy::Args),
    /// Builds the web page, which the server then holds.
    Web(web::Args),
}

fn main() -> std::process::ExitCode {
    let chore: Chore = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Tidy(args) => tidy::run(&args),
        Command::Web(args) => web::run(&args),
    };
    outcome::report(chore)
}
