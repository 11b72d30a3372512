//! What begins again from something that ended: another attempt at a turn, another task from an
//! attempt.

use quire_domain::attempt::machine::{Wish, allows};
use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::budget::Spent;
use quire_domain::ids::{AttemptId, AttemptRef, TurnId};
use quire_domain::time::Timestamp;

use crate::connection::Promise;
use crate::error::StoreError;
use crate::fold::refold;
use crate::read;
use crate::rows::{self, to_json};
use crate::sql::{Connection, query};
use crate::store::{Result, Store};

/// The most attempts that a turn may have, retries included.
const MOST_ATTEMPTS: u8 = 16;

impl Store {
    /// Adds another attempt to the newest turn of a task: the same request, from the same start,
    /// beside `attempt`, which has ended. Where that was the chosen one, the new one is. It waits
    /// for a worker of a server where `offered`. Takes the task out of the archive; on disk when it
    /// returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotPossible`] where it has not ended, [`StoreError::WrongAttempt`] where it is
    /// not of the newest turn, [`StoreError::OutOfBounds`] at the sixteenth.
    pub async fn retry(
        &self,
        attempt: AttemptId,
        offered: bool,
        now: Timestamp,
    ) -> Result<Attempt> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let before = read::attempt_by_id(connection, attempt).await?;
        let turn = read::newest_turn(connection, before.task).await?;
        if turn.id != before.turn {
            return Err(StoreError::WrongAttempt { attempt });
        }
        possible(connection, &before, Wish::Retry).await?;
        let others = read::attempts(connection, turn.id).await?;
        let ordinal = others.iter().map(|other| other.ordinal).max().unwrap_or(0).saturating_add(1);
        if ordinal > MOST_ATTEMPTS {
            return Err(StoreError::OutOfBounds {
                what: "attempts of a turn",
                found: usize::from(ordinal),
                allowed: usize::from(MOST_ATTEMPTS),
            });
        }
        let id = AttemptId(self.ids.uuid(now));
        query(
            "INSERT INTO attempts (id, turn, task, ordinal, state, epoch, losses, applied, open,
                                   spent, created_at, updated_at, offered, team, author,
                                   hears_after)
             SELECT $1, $2, $3, $4, $5, 0, 0, 0, 1, $6, $7, $7, $8, a.team, a.author, t.inputs
             FROM attempts a JOIN tasks t ON t.id = a.task WHERE a.id = $9",
        )
        .bind(id)
        .bind(turn.id)
        .bind(before.task)
        .bind(i64::from(ordinal))
        .bind(to_json(&AttemptState::Queued)?)
        .bind(to_json(&Spent::default())?)
        .bind(now)
        .bind(offered)
        .bind(attempt)
        .execute(connection)
        .await?;
        if turn.chosen == Some(attempt) {
            query("UPDATE turns SET chosen = $2 WHERE id = $1")
                .bind(turn.id)
                .bind(id)
                .execute(connection)
                .await?;
        }
        query("UPDATE tasks SET archived_at = NULL WHERE id = $1")
            .bind(before.task)
            .execute(connection)
            .await?;
        refold(connection, before.task, Some(now)).await?;
        let added = read::attempt_by_id(connection, id).await?;
        let detail = serde_json::json!({ "attempt": added.ordinal });
        self.note_of_task(connection, before.task, "task.retry", detail, now).await?;
        transaction.commit().await?;
        Ok(added)
    }

    /// The attempt that a task was made from, where it was made from one.
    pub async fn forked_from(&self, task: quire_domain::ids::TaskId) -> Result<Option<AttemptId>> {
        let row = query("SELECT forked_from FROM tasks WHERE id = $1")
            .bind(task)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        let row = row.ok_or_else(|| read::not_found("task", task))?;
        Ok(rows::optional_id(&row, "forked_from")?.map(AttemptId))
    }
}

/// Notes that the task of `turn`, its first, goes on from an attempt of another task.
pub(crate) async fn note_fork(
    connection: &mut Connection,
    turn: TurnId,
    from: AttemptId,
) -> Result<()> {
    let before = read::attempt_by_id(connection, from).await?;
    possible(connection, &before, Wish::Fork).await?;
    query("UPDATE tasks SET forked_from = $2 WHERE id = (SELECT task FROM turns WHERE id = $1)")
        .bind(turn)
        .bind(from)
        .execute(connection)
        .await
        .map(|_| ())
}

/// Refuses what cannot be done with an attempt that stands where this one does.
pub(crate) async fn possible(
    connection: &mut Connection,
    attempt: &Attempt,
    wish: Wish,
) -> Result<()> {
    let Err(refused) = allows(&attempt.state, wish) else { return Ok(()) };
    let task = read::task_by_id(connection, attempt.task).await?.number;
    let name = AttemptRef { task, ordinal: Some(attempt.ordinal) };
    Err(StoreError::NotPossible { name, refused })
}
