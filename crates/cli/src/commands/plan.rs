//! `quire plan`: plans a change, which is made when the plan was approved. Nothing is changed.

use std::path::PathBuf;

use quire_domain::task::Mode;

use crate::commands::Context;
use crate::commands::go::{Asked, Common, go};
use crate::exit::{Exit, usage};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to be planned; `-` reads it from standard input.
    pub prompt: Option<String>,
    /// A file that says what is to be planned.
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// A command that must pass when the plan was carried out, run by the system on the final
    /// commit; may be given several times.
    #[arg(long, value_name = "CMD")]
    pub check: Vec<String>,
    /// Do not run declared checks when the plan is carried out.
    #[arg(long)]
    pub skip_checks: bool,
    /// Allow commits from before the task to be rewritten.
    #[arg(long)]
    pub allow_rewrite: bool,
    /// What `run`, `ask`, `plan` and `review` share.
    #[command(flatten)]
    pub common: Common,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    if args.common.attempts > 1 {
        return Err(usage("a plan is made by one attempt: leave --attempts out"));
    }
    let asked = Asked {
        mode: Mode::Plan,
        prompt: args.prompt,
        prompt_file: args.prompt_file,
        checks: args.check,
        skip_checks: args.skip_checks,
        allow_rewrite: args.allow_rewrite,
        review: None,
    };
    Box::pin(go(args.common, asked, context)).await
}
