//! `quire task choose`: takes one attempt of several as the one that counts.

use quire_domain::ids::AttemptRef;
use quire_orchestrator::say;

use crate::commands::task::{told, told_of};
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The attempt (`42.3`).
    pub(super) attempt: AttemptRef,
    /// Print where it stands, as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let chosen = say::choose(worker, args.attempt).await.map_err(told)?;
    if args.json {
        let spoken = say::named(worker, args.attempt).await.map_err(told)?;
        show::out(&told_of(&spoken).to_string());
        return Ok(Exit::Done);
    }
    let task = args.attempt.task;
    show::err(&format!(
        "attempt {task}.{} counts now: it is shown, applied and followed up",
        chosen.ordinal
    ));
    Ok(Exit::Done)
}
