//! `quire task cancel`: cancels an attempt that works, here or in another process.

use std::time::Duration;

use quire_domain::attempt::{AttemptState, Outcome};
use quire_domain::ids::AttemptRef;
use quire_orchestrator::error::RunError;
use quire_orchestrator::lease::is_gone;
use quire_store::{ClaimError, InputKind, NewInput};
use tokio_util::sync::CancellationToken;

use crate::commands::task::told;
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    task: AttemptRef,
}

/// How long a process that works on it has to end it.
const PATIENCE: Duration = Duration::from_secs(6);

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let task = worker.store.task(args.task.task).await.map_err(told)?;
    let turns = worker.store.turns(task.id).await.map_err(told)?;
    let Some(turn) = turns.last() else { return Ok(Exit::Failed) };
    let mut attempts = worker.store.attempts(turn.id).await.map_err(told)?;
    attempts.retain(|attempt| args.task.ordinal.is_none_or(|ordinal| attempt.ordinal == ordinal));
    attempts.retain(|attempt| !matches!(attempt.state, AttemptState::Done { .. }));
    if attempts.is_empty() {
        show::err(&format!("task {} has ended already", task.number));
        return Ok(Exit::Done);
    }
    for attempt in &attempts {
        let input = NewInput {
            task: task.id,
            attempt: Some(attempt.id),
            kind: InputKind::Cancel,
            now: worker.clock.now(),
        };
        worker.store.put_input(input).await.map_err(told)?;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for attempt in attempts {
        loop {
            let now = worker.store.attempt_by_id(attempt.id).await.map_err(told)?;
            if let AttemptState::Done { outcome } = &now.state {
                let word = match outcome {
                    Outcome::Cancelled => "is cancelled",
                    _ => "ended before it could be cancelled",
                };
                show::err(&format!("attempt {}.{} {word}", task.number, now.ordinal));
                break;
            }
            let held = worker.store.lease(attempt.id).await.map_err(told)?;
            let free = held.is_none_or(|lease| {
                lease.until < worker.clock.now() || is_gone(&lease.worker, &worker.place.host)
            });
            if free {
                // Nobody works on it: end it here, so that what was done is collected.
                let cancel = CancellationToken::new();
                cancel.cancel();
                let run = quire_orchestrator::life::run(worker, attempt.id, None, cancel);
                match Box::pin(run).await {
                    // Its process was quicker: it is looked at again.
                    Ok(_) | Err(RunError::Claim(ClaimError::Done | ClaimError::Held { .. })) => {}
                    Err(error) => return Err(error.into()),
                }
                continue;
            }
            if tokio::time::Instant::now() > deadline {
                show::err(&format!(
                    "attempt {}.{} has been told; its process does not answer and loses it in half a minute",
                    task.number, now.ordinal
                ));
                return Ok(Exit::Failed);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(Exit::Done)
}
