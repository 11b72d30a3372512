//! `quire task retry`: tries the request of the newest turn once more, beside what there is.

use quire_domain::ids::AttemptRef;
use quire_orchestrator::say;

use crate::commands::go::work;
use crate::commands::task::told;
use crate::exit::Exit;
use crate::installation::Installation;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or the attempt to try again (`42.3`).
    pub(super) task: AttemptRef,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let spoken = say::named(worker, args.task).await.map_err(told)?;
    installation.needs_sandbox()?;
    let resolved = installation.models.resolve(Some(&spoken.turn.request.model)).await?;
    let submission = say::retry(worker, args.task, false).await.map_err(told)?;
    work(installation, &submission, None, args.json, resolved.info.scripted).await
}
