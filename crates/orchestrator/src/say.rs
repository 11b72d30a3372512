//! What a person says to a task, whoever works on it: written down, and done at once where nobody
//! holds the attempt. The same for commands and routes.

use quire_domain::attempt::machine::{Wish, allows};
use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::AttemptRef;
use quire_domain::task::{Task, Turn};
use quire_store::{ClaimError, InputKind, NewInput, StoreError, Submission};
use tokio_util::sync::CancellationToken;

use crate::error::RunError;
use crate::lease::is_gone;
use crate::worker::Worker;

/// A task as it stands, of its newest turn the attempts that were named: one, or all.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// The task.
    pub task: Task,
    /// Its newest turn.
    pub turn: Turn,
    /// The attempt that was named, or all of the turn.
    pub attempts: Vec<Attempt>,
}

/// The newest turn of a task with the attempts that `name` means.
///
/// # Errors
///
/// [`StoreError::NotFound`].
pub async fn named(worker: &Worker, name: AttemptRef) -> Result<Spoken, StoreError> {
    let store = &worker.store;
    let task = store.task(name.task).await?;
    let gone = || StoreError::NotFound { what: "attempt", name: name.to_string() };
    let turn = store.turns(task.id).await?.pop().ok_or_else(gone)?;
    let mut attempts = store.attempts(turn.id).await?;
    attempts.retain(|attempt| name.ordinal.is_none_or(|ordinal| attempt.ordinal == ordinal));
    if attempts.is_empty() {
        return Err(gone());
    }
    Ok(Spoken { task, turn, attempts })
}

/// Says something to a task, or to one of its attempts; gives them as they then stand. What nobody
/// holds has heard it when this returns, what is at work hears it within half a second.
///
/// # Errors
///
/// [`StoreError::NotPossible`] where it cannot be said, with what can be done instead.
pub async fn say(worker: &Worker, name: AttemptRef, kind: InputKind) -> Result<Spoken, StoreError> {
    let spoken = named(worker, name).await?;
    let attempt = match (name.ordinal, spoken.attempts.as_slice()) {
        (Some(_), [one]) => Some(one.id),
        _ => None,
    };
    let now = worker.clock.now();
    worker.store.put_input(NewInput { task: spoken.task.id, attempt, kind, now }).await?;
    named(worker, name).await
}

/// Whether no living worker holds an attempt, so that it has to be taken up to hear anything.
///
/// # Errors
///
/// Those of the store.
pub async fn is_free(worker: &Worker, attempt: &Attempt) -> Result<bool, StoreError> {
    let lease = worker.store.lease(attempt.id).await?;
    Ok(lease.is_none_or(|lease| {
        lease.until <= worker.clock.now() || is_gone(&lease.worker, &worker.place.host)
    }))
}

/// Ends an attempt that was cancelled while nobody held it: what it did is taken out. Gives where
/// it then stands; `None` where somebody was quicker.
///
/// # Errors
///
/// Those of [`crate::life::run`], but for a claim that is refused.
pub async fn end_cancelled(
    worker: &Worker,
    attempt: &Attempt,
) -> Result<Option<AttemptState>, RunError> {
    let cancel = CancellationToken::new();
    cancel.cancel();
    match Box::pin(crate::life::run(worker, attempt.id, None, cancel)).await {
        Ok(state) => Ok(Some(state)),
        Err(RunError::Claim(ClaimError::Done | ClaimError::Held { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tries the request of the newest turn once more, beside the attempt that is named; of a turn of
/// several one has to be. The new attempt waits for a worker of a server where `offered`.
///
/// # Errors
///
/// [`StoreError::NotPossible`] where the attempt has not ended, [`StoreError::NotChosen`] where it
/// is not clear which is meant.
pub async fn retry(
    worker: &Worker,
    name: AttemptRef,
    offered: bool,
) -> Result<Submission, StoreError> {
    let spoken = named(worker, name).await?;
    let chosen = spoken.turn.chosen;
    let which = match spoken.attempts.as_slice() {
        [one] => one,
        all => all.iter().find(|attempt| Some(attempt.id) == chosen).ok_or_else(|| {
            let attempts = u8::try_from(all.len()).unwrap_or(u8::MAX);
            StoreError::NotChosen { task: spoken.task.number, attempts }
        })?,
    };
    let added = worker.store.retry(which.id, offered, worker.clock.now()).await?;
    let turn = worker.store.turn(spoken.turn.id).await?;
    Ok(Submission {
        task: spoken.task,
        turn,
        attempts: vec![added],
        continues: None,
        repeated: false,
    })
}

/// Takes one attempt of a turn as the one that counts.
///
/// # Errors
///
/// [`StoreError::NotPossible`] where it has not ended.
pub async fn choose(worker: &Worker, name: AttemptRef) -> Result<Attempt, StoreError> {
    let spoken = named(worker, name).await?;
    let [one] = spoken.attempts.as_slice() else {
        let attempts = u8::try_from(spoken.attempts.len()).unwrap_or(u8::MAX);
        return Err(StoreError::NotChosen { task: spoken.task.number, attempts });
    };
    allows(&one.state, Wish::Choose)
        .map_err(|refused| StoreError::NotPossible { name, refused })?;
    worker.store.choose(one.turn, one.id, worker.clock.now()).await?;
    Ok(one.clone())
}
