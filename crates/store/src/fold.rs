//! The state of a task: that of the attempt of its newest turn that most needs a person.

use quire_domain::attempt::AttemptState;
use quire_domain::attempt::machine::of_task;
use quire_domain::ids::{AttemptId, TaskId};
use quire_domain::time::Timestamp;

use crate::error::StoreError;
use crate::outbox;
use crate::rows::{self, to_json};
use crate::sql::{Connection, query};

/// Writes the state of a task anew, inside the transaction that changed one of its attempts.
/// `now` is when that was; `None` leaves the time as it is.
pub(crate) async fn refold(
    connection: &mut Connection,
    task: TaskId,
    now: Option<Timestamp>,
) -> Result<(), StoreError> {
    let rows = query(
        "SELECT a.*, t.chosen, k.state AS shown
         FROM attempts a JOIN turns t ON t.id = a.turn JOIN tasks k ON k.id = t.task
         WHERE t.task = $1 AND t.ordinal = (SELECT turns FROM tasks WHERE id = $1)
         ORDER BY a.ordinal",
    )
    .bind(task)
    .fetch_all(connection)
    .await?;
    let attempts = rows.iter().map(rows::attempt).collect::<Result<Vec<_>, _>>()?;
    let Some(row) = rows.first() else { return Ok(()) };
    let chosen = rows::optional_id(row, "chosen")?.map(AttemptId);
    let shown: AttemptState = rows::json(row, "shown")?;
    let Some(state) = of_task(&attempts, chosen) else { return Ok(()) };
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
    .await?;
    match now {
        Some(now) if *state != shown => outbox::note_state(connection, task, state, now).await,
        _ => Ok(()),
    }
}

/// The next number of the counter that every change of a task takes one from. Whoever writes is the
/// only one at that time, so numbers are committed in their order and none is left out.
pub(crate) async fn next_change(connection: &mut Connection) -> Result<u64, StoreError> {
    let row = query("UPDATE counters SET value = value + 1 WHERE name = 'changed' RETURNING value")
        .fetch_one(connection)
        .await?;
    rows::number(&row, "value")
}
