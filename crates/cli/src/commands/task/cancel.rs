//! `quire task cancel`: ends what a task does, wherever it stands and whoever works on it.

use std::time::Duration;

use quire_domain::attempt::{AttemptState, Outcome};
use quire_domain::ids::AttemptRef;
use quire_orchestrator::say::{end_cancelled, is_free, named, say};
use quire_store::InputKind;

use crate::commands::task::{told, told_of};
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    pub(super) task: AttemptRef,
    /// Print where each attempt stands, as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// How long a process that works on it has to end it.
const PATIENCE: Duration = Duration::from_secs(6);

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let mut spoken = named(worker, args.task).await.map_err(told)?;
    let number = spoken.task.number;
    let mut open = spoken.attempts.clone();
    open.retain(|attempt| !matches!(attempt.state, AttemptState::Done { .. }));
    if open.is_empty() {
        show::err(&format!("task {number} has ended already"));
    } else {
        say(worker, args.task, InputKind::Cancel).await.map_err(told)?;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut exit = Exit::Done;
    for attempt in open {
        loop {
            let now = worker.store.attempt_by_id(attempt.id).await.map_err(told)?;
            if let AttemptState::Done { outcome } = &now.state {
                let word = match outcome {
                    Outcome::Cancelled => "is cancelled",
                    _ => "ended before it could be cancelled",
                };
                show::err(&format!("attempt {number}.{} {word}", now.ordinal));
                break;
            }
            if is_free(worker, &now).await.map_err(told)? {
                // Where another was quicker it is looked at again.
                end_cancelled(worker, &now).await?;
                continue;
            }
            if tokio::time::Instant::now() > deadline {
                show::err(&format!(
                    "attempt {number}.{} has been told; its process does not answer and loses it in half a minute",
                    now.ordinal
                ));
                exit = Exit::Failed;
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    if args.json {
        spoken = named(worker, args.task).await.map_err(told)?;
        show::out(&told_of(&spoken).to_string());
    }
    Ok(exit)
}
