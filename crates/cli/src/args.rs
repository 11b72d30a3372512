//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{
    ask, audit, backup, checkout, config, doctor, env, login, logout, model, notice, plan, push,
    quota, repo, restore, review, run, sandbox, serve, task, team, token, usage, user, verify,
};

/// A software-engineering agent that works in sandboxes of its own and hands back changes with
/// evidence.
#[derive(Debug, Parser)]
#[command(name = "quire", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    /// Where Quire keeps its data.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Work with a server that you signed in to (`quire login`), instead of this machine's own data.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub remote: Option<String>,
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
    /// Plan a change; approving the plan has it made.
    Plan(plan::Args),
    /// Review a branch, a commit, or what is not committed.
    Review(review::Args),
    /// What ran here before: list, show, follow up, apply.
    #[command(subcommand)]
    Task(task::Command),
    /// Sign in to a server, so that `--remote` works with it.
    Login(login::Args),
    /// Bring the result of a task as a branch, or as a working tree of its own.
    Checkout(checkout::Args),
    /// Send what you have in this checkout to a server, for a task to start with.
    Push(push::Args),
    /// The repositories that a team may name on a server.
    #[command(subcommand)]
    Repo(repo::Command),
    /// Forget a server and your token there.
    Logout(logout::Args),
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
    /// Who may sign in to the server of this installation.
    #[command(subcommand)]
    User(user::Command),
    /// Who works together there, and sees the same tasks.
    #[command(subcommand)]
    Team(team::Command),
    /// Tokens for scripts, other machines and services.
    #[command(subcommand)]
    Token(token::Command),
    /// What people and tokens did there.
    Audit(audit::Args),
    /// Who is told of tasks that end or need somebody: webhooks and e-mail.
    #[command(subcommand)]
    Notice(notice::Command),
    /// What the server, a team or a person may have at work and spend in a month.
    #[command(subcommand)]
    Quota(quota::Command),
    /// What models were used, by whom, for what.
    Usage(usage::Args),
    /// Take a backup while tasks are at work, or check one.
    Backup(backup::Args),
    /// Bring a backup back as a new data directory.
    Restore(restore::Args),
    /// Show the configuration and where each value comes from.
    #[command(subcommand)]
    Config(config::Command),
}
