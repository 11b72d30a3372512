//! `quire run`: works on a request in this checkout; the working tree stays untouched.

use std::path::PathBuf;

use quire_domain::task::Mode;

use crate::commands::Context;
use crate::commands::go::{Asked, Common, Many, go, go_many};
use crate::exit::{Exit, usage};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to be done; `-` reads it from standard input.
    pub prompt: Option<String>,
    /// A file that says what is to be done.
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// A file of tasks, one JSON object per line (`{"prompt": "…"}`); `-` reads standard input.
    /// The other flags are what a line does not say.
    #[arg(
        long = "from",
        value_name = "FILE.jsonl",
        conflicts_with_all = ["prompt", "prompt_file"]
    )]
    pub tasks: Option<PathBuf>,
    /// Tasks of the file at once; twice the processors if not given, from 2 to 16.
    #[arg(
        long,
        value_name = "N",
        requires = "tasks",
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    pub parallel: Option<u8>,
    /// Show every command and patch of the tasks of a file.
    #[arg(long, short, requires = "tasks")]
    pub verbose: bool,
    /// A command that must pass at the end, run by the system on the final commit; may be given
    /// several times.
    #[arg(long, value_name = "CMD")]
    pub check: Vec<String>,
    /// Do not run declared checks.
    #[arg(long)]
    pub skip_checks: bool,
    /// Allow commits from before the task to be rewritten.
    #[arg(long)]
    pub allow_rewrite: bool,
    /// What `run`, `ask` and `review` share.
    #[command(flatten)]
    pub common: Common,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let asked = Asked {
        mode: Mode::Code,
        prompt: args.prompt,
        prompt_file: args.prompt_file,
        checks: args.check,
        skip_checks: args.skip_checks,
        allow_rewrite: args.allow_rewrite,
        review: None,
    };
    // Clap asks for nothing that stands against what is there, as a prompt does.
    if args.tasks.is_none() && (args.parallel.is_some() || args.verbose) {
        return Err(usage("--parallel and --verbose belong to --from FILE.jsonl"));
    }
    match args.tasks {
        Some(_) if context.remote()?.is_some() => Err(usage(
            "a file of tasks for a server is submitted with `quire task new --from FILE --remote`",
        )),
        Some(file) => {
            let many = Many { file, parallel: args.parallel, verbose: args.verbose };
            Box::pin(go_many(many, args.common, asked, context)).await
        }
        None => Box::pin(go(args.common, asked, context)).await,
    }
}
