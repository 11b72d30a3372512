//! `quire task archive`: puts a task away; all but its sandbox stays.

use quire_domain::ids::TaskNumber;

use crate::commands::task::told;
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tasks.
    #[arg(required = true)]
    tasks: Vec<u64>,
    /// Take them out of the archive again.
    #[arg(long)]
    undo: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let store = &installation.worker.store;
    for number in args.tasks {
        let task = store.task(TaskNumber(number)).await.map_err(told)?;
        if args.undo {
            store.unarchive(task.id).await.map_err(told)?;
            show::err(&format!("task {number} is back"));
        } else {
            store.archive(task.id, installation.worker.clock.now()).await.map_err(told)?;
            // A follow-up after all is rebuilt from the last commit. One at work keeps its own.
            quire_orchestrator::keep::forget(&installation.worker, task.id).await;
            show::err(&format!("task {number} is archived (`quire task archive --undo {number}`)"));
        }
    }
    Ok(Exit::Done)
}
