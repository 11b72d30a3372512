//! `quire task message`: a follow-up, which goes on from the chosen attempt's conversation and
//! sandbox; or a word to one that works now.

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::AttemptRef;
use quire_orchestrator::keep::is_cut_off;
use quire_orchestrator::submit::{NewFollowUp, follow_up};
use quire_orchestrator::worker::Worker;
use quire_store::{InputKind, NewInput};

use crate::commands::go::work;
use crate::commands::task::{go_on, told};
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or the attempt to go on from (`42.3`).
    pub(super) task: AttemptRef,
    /// What is to be done now.
    pub(super) prompt: String,
    #[command(flatten)]
    pub(super) options: go_on::Options,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    go_on::words(&args.prompt)?;
    let worker = &installation.worker;
    let task = worker.store.task(args.task.task).await.map_err(told)?;
    let turns = worker.store.turns(task.id).await.map_err(told)?;
    let Some(turn) = turns.last() else { return Ok(Exit::Failed) };
    let attempts = worker.store.attempts(turn.id).await.map_err(told)?;
    // One that stands still has not ended either: a turn is followed by the next when it is over.
    if attempts.iter().any(|attempt| !matches!(attempt.state, AttemptState::Done { .. })) {
        let attempt = args.task.ordinal.and_then(|ordinal| {
            attempts.iter().find(|attempt| attempt.ordinal == ordinal).map(|attempt| attempt.id)
        });
        let kind = InputKind::Message { text: args.prompt };
        let input = NewInput { task: task.id, attempt, kind, now: worker.clock.now() };
        worker.store.put_input(input).await.map_err(told)?;
        let number = task.number;
        let waits = |state| attempts.iter().any(|attempt| attempt.state == state);
        let goes_on = if waits(AttemptState::WaitingForApproval) {
            format!("`quire task approve {number}` or `quire task reject {number}`")
        } else if waits(AttemptState::WaitingForUser) {
            format!("`quire task answer {number}`")
        } else {
            format!("`quire task resume {number}`")
        };
        if works(worker, &attempts).await {
            show::err(&format!("task {number} is at work: it is told after its turn"));
        } else {
            show::err(&format!(
                "task {number} stands still, and nothing works on it: it is told after its turn, \
                 which {goes_on} goes on with and `quire task cancel {number}` ends"
            ));
        }
        return Ok(Exit::Done);
    }
    installation.needs_sandbox()?;
    let continues = match args.task.ordinal {
        Some(_) => Some(worker.store.attempt(args.task).await.map_err(told)?.id),
        None => None,
    };
    let (request, resolved) =
        go_on::request(installation, turn, args.prompt, &args.options).await?;
    let new = NewFollowUp { task: task.id, continues, request };
    let submission = follow_up(worker, new).await?;
    work(installation, &submission, None, args.options.json, resolved.info.scripted).await
}

/// Whether a process is at work on one of them, or will be as soon as it can.
async fn works(worker: &Worker, attempts: &[Attempt]) -> bool {
    for attempt in attempts {
        match attempt.state {
            AttemptState::Queued => return true,
            AttemptState::Preparing | AttemptState::Working
                if !is_cut_off(worker, attempt.id).await =>
            {
                return true;
            }
            _ => {}
        }
    }
    false
}
