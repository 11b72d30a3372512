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
    pub(super) tasks: Vec<u64>,
    /// Take them out of the archive again.
    #[arg(long)]
    pub(super) undo: bool,
    /// Print one line of JSON for each.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let store = &installation.worker.store;
    let clock = &installation.worker.clock;
    for number in args.tasks {
        let task = store.task(TaskNumber(number)).await.map_err(told)?;
        if args.undo {
            store.unarchive(task.id, clock.now()).await.map_err(told)?;
            say(args.json, number, false, &format!("task {number} is back"));
        } else {
            store.archive(task.id, clock.now()).await.map_err(told)?;
            // A follow-up after all is rebuilt from the last commit. One at work keeps its own.
            quire_orchestrator::keep::forget(&installation.worker, task.id).await;
            let undo = format!("`quire task archive --undo {number}`");
            say(args.json, number, true, &format!("task {number} is archived ({undo})"));
        }
    }
    Ok(Exit::Done)
}

fn say(json: bool, task: u64, archived: bool, text: &str) {
    if json {
        show::out(&serde_json::json!({ "task": task, "archived": archived }).to_string());
    } else {
        show::err(text);
    }
}
