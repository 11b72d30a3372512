//! `quire review`: findings on a branch, a commit, or what is not committed.

use quire_domain::task::{Mode, ReviewTarget};

use crate::commands::Context;
use crate::commands::go::{Asked, Common, go};
use crate::exit::Exit;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to look at in particular.
    pub prompt: Option<String>,
    /// Review what this checkout adds since it left this branch or commit.
    #[arg(long, value_name = "REF", conflicts_with_all = ["commit", "uncommitted"])]
    pub base: Option<String>,
    /// Review one commit.
    #[arg(long, value_name = "COMMIT", conflicts_with = "uncommitted")]
    pub commit: Option<String>,
    /// Review what is not committed; the default where something is not.
    #[arg(long)]
    pub uncommitted: bool,
    /// What `run`, `ask` and `review` share.
    #[command(flatten)]
    pub common: Common,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let target = match (args.base, args.commit) {
        (Some(base), _) => ReviewTarget::Base(base),
        (None, Some(commit)) => ReviewTarget::Commit(commit),
        (None, None) => ReviewTarget::Uncommitted,
    };
    let asked = Asked {
        mode: Mode::Review,
        prompt: args.prompt,
        prompt_file: None,
        checks: Vec::new(),
        skip_checks: false,
        allow_rewrite: false,
        review: Some(target),
    };
    Box::pin(go(args.common, asked, context)).await
}
