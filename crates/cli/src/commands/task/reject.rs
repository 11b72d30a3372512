//! `quire task reject`: wants another plan than the one that a task waits with, and says why.

use quire_domain::attempt::AttemptState;
use quire_domain::ids::AttemptRef;
use quire_store::InputKind;

use super::speak::{self, go_on};
use crate::exit::{Exit, usage};
use crate::installation::Installation;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`).
    pub(super) task: AttemptRef,
    /// What the plan has to be instead.
    pub(super) why: String,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    if args.why.trim().is_empty() {
        return Err(usage("say what the plan has to be instead"));
    }
    let spoken = speak::to(installation, args.task, &AttemptState::WaitingForApproval).await?;
    spoken.put(installation, InputKind::Reject { text: args.why }).await?;
    go_on(installation, spoken, args.json).await
}
