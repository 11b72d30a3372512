//! The state of a task: that of the attempt of its newest turn that most needs a person.

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::{AttemptId, TaskId};
use quire_domain::time::Timestamp;

use crate::error::StoreError;
use crate::rows::{self, to_json};
use crate::sql::{Connection, query};

/// The state to show of a turn's attempts; where all ended, that of the chosen one, else of the
/// first.
pub(crate) fn folded(attempts: &[Attempt], chosen: Option<AttemptId>) -> Option<&AttemptState> {
    attempts
        .iter()
        .min_by_key(|attempt| {
            (attempt.state.urgency(), Some(attempt.id) != chosen, attempt.ordinal)
        })
        .map(|attempt| &attempt.state)
}

/// Writes the state of a task anew, inside the transaction that changed one of its attempts.
/// `now` is when that was; `None` leaves the time as it is.
pub(crate) async fn refold(
    connection: &mut Connection,
    task: TaskId,
    now: Option<Timestamp>,
) -> Result<(), StoreError> {
    let rows = query(
        "SELECT a.*, t.chosen FROM attempts a JOIN turns t ON t.id = a.turn
         WHERE t.task = $1 AND t.ordinal = (SELECT turns FROM tasks WHERE id = $1)
         ORDER BY a.ordinal",
    )
    .bind(task)
    .fetch_all(connection)
    .await?;
    let attempts = rows.iter().map(rows::attempt).collect::<Result<Vec<_>, _>>()?;
    let chosen = match rows.first() {
        Some(row) => rows::optional_id(row, "chosen")?.map(AttemptId),
        None => None,
    };
    let Some(state) = folded(&attempts, chosen) else { return Ok(()) };
    query(
        "UPDATE tasks SET state = $2, state_word = $3, updated_at = coalesce($4, updated_at),
             changed = $5
         WHERE id = $1",
    )
    .bind(task)
    .bind(to_json(state)?)
    .bind(state.word())
    .bind(now)
    .bind(next_change(connection).await?)
    .execute(connection)
    .await
    .map(|_| ())
}

/// The next number of the counter that every change of a task takes one from. Whoever writes is the
/// only one at that time, so numbers are committed in their order and none is left out.
pub(crate) async fn next_change(connection: &mut Connection) -> Result<u64, StoreError> {
    let row = query("UPDATE counters SET value = value + 1 WHERE name = 'changed' RETURNING value")
        .fetch_one(connection)
        .await?;
    rows::number(&row, "value")
}
