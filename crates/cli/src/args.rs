//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{ask, config, doctor, env, model, review, run, sandbox, serve, task, verify};

/// A software-engineering agent that works in sandboxes of its own and hands back changes with
/// evidence.
#[derive(Debug, Parser)]
#[command(name = "quire", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    /// Where Quire keeps its data.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    #[command(subcommand)]
    /// What to do.
    pub command: Command,
}

/// What to do. One file each, below `commands/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work on a request in this checkout; the working tree stays untouched until you apply.
    Run(run::Args),
    /// Answer a question about this checkout, with citations; nothing is changed.
    Ask(ask::Args),
    /// Review a branch, a commit, or what is not committed.
    Review(review::Args),
    /// What ran here before: list, show, follow up, apply.
    #[command(subcommand)]
    Task(task::Command),
    /// Environments: what sandboxes are made from, with versions and secrets.
    #[command(subcommand)]
    Env(env::Command),
    /// Take tasks in and work on them, many at once, until it is told to end.
    Serve(serve::Args),
    /// Check the evidence of a task, offline.
    Verify(verify::Args),
    /// Run a command in the sandbox that the agent would get.
    Sandbox(sandbox::Args),
    /// Say what isolation and limits this host gives, and why.
    Doctor(doctor::Args),
    /// Models: what there is, whether one answers, play a script.
    #[command(subcommand)]
    Model(model::Command),
    /// Show the configuration and where each value comes from.
    #[command(subcommand)]
    Config(config::Command),
}
