//! `quire ask`: answers a question about this checkout, with citations. Nothing is changed.

use std::path::PathBuf;

use quire_domain::task::Mode;

use crate::commands::Context;
use crate::commands::go::{Asked, Common, go};
use crate::exit::Exit;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The question; `-` reads it from standard input.
    pub prompt: Option<String>,
    /// A file that holds the question.
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// What `run`, `ask` and `review` share.
    #[command(flatten)]
    pub common: Common,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let asked = Asked {
        mode: Mode::Ask,
        prompt: args.prompt,
        prompt_file: args.prompt_file,
        checks: Vec::new(),
        skip_checks: false,
        allow_rewrite: false,
        review: None,
    };
    Box::pin(go(args.common, asked, context)).await
}
