//! Tasks and attempts as somebody names them, if they may see them.

use quire_domain::access::Right;
use quire_domain::attempt::Attempt;
use quire_domain::ids::{AttemptId, TaskNumber};
use quire_store::{Listed, StoreError};

use crate::access::Who;
use crate::refusal::{Refusal, Result};
use crate::state::State;

/// The task with this number, for what needs `right`. Another team's is not found.
pub(crate) async fn task(state: &State, who: &Who, right: Right, number: u64) -> Result<Listed> {
    let absent = || Refusal::not_found("task", number);
    // No number of ours is larger than the store's.
    let number = i64::try_from(number).map_err(|_| absent())?.unsigned_abs();
    let found = state.store.listed(TaskNumber(number)).await.map_err(|error| match error {
        StoreError::NotFound { .. } => absent(),
        error => error.into(),
    })?;
    who.needs(right, found.owner.team, "task", number)?;
    Ok(found)
}

/// An attempt that was asked for.
pub(crate) struct Found {
    pub attempt: Attempt,
    pub task: TaskNumber,
    /// The place of its turn.
    pub turn: u32,
}

/// The attempt with this id, for what needs `right`. Another team's is not found.
pub(crate) async fn attempt(
    state: &State,
    who: &Who,
    right: Right,
    id: AttemptId,
) -> Result<Found> {
    let (attempt, task, turn, owner) =
        state.store.attempt_of(id).await.map_err(|error| match error {
            StoreError::NotFound { .. } => Refusal::not_found("attempt", id),
            error => error.into(),
        })?;
    who.needs(right, owner.team, "attempt", id)?;
    Ok(Found { attempt, task, turn })
}

/// The attempt of the newest turn with this place in it.
pub(crate) fn of_newest(task: &Listed, ordinal: u8) -> Result<&Attempt> {
    task.attempts.iter().find(|attempt| attempt.ordinal == ordinal).ok_or_else(|| {
        let name = format!("{}.{ordinal}", task.task.number);
        Refusal::not_found("attempt", name)
    })
}
