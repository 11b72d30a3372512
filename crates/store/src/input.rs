//! What people say to an attempt while it works: numbered per task, each applied once, in order.

use quire_domain::budget::Budget;
use quire_domain::ids::{AttemptId, Epoch, TaskId};
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::claim::refusal;
use crate::connection::Promise;
use crate::error::StoreError;
use crate::read::{self, not_found};
use crate::rows::{self, to_json};
use crate::sql::query;
use crate::store::{Result, Store};
use crate::submit::bounded;

/// Something a person wants from the newest turn of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum InputKind {
    /// Said at the next model call.
    Steer {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// Said after the model's turn.
    Message {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// The answer to a question of the attempt.
    Answer {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// End it.
    Cancel,
    /// Let it stand still.
    Pause,
    /// Go on under another budget.
    RaiseBudget {
        /// It replaces the one before.
        budget: Budget,
    },
}

/// An input to put.
#[derive(Debug, Clone)]
pub struct NewInput {
    /// The task.
    pub task: TaskId,
    /// The attempt it is for; `None` is all of the newest turn.
    pub attempt: Option<AttemptId>,
    /// What is wanted.
    pub kind: InputKind,
    /// The time.
    pub now: Timestamp,
}

/// An input as it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its number among the task's inputs, from 1.
    pub number: u64,
    /// What is wanted.
    pub kind: InputKind,
    /// When it was put.
    pub at: Timestamp,
}

/// The longest text of an input, in bytes.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

impl Store {
    /// Puts an input for the newest turn of a task, seen by every process; gives its number. On
    /// disk when it returns.
    pub async fn put_input(&self, new: NewInput) -> Result<u64> {
        if let InputKind::Steer { text }
        | InputKind::Message { text }
        | InputKind::Answer { text } = &new.kind
        {
            bounded("bytes of what was said", text.len(), MAX_TEXT_BYTES)?;
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let turn = read::newest_turn(connection, new.task).await?;
        if let Some(id) = new.attempt {
            let attempt = read::attempt_by_id(connection, id).await?;
            if attempt.turn != turn.id {
                return Err(StoreError::WrongAttempt { attempt: id });
            }
        }
        let row = query("UPDATE tasks SET inputs = inputs + 1 WHERE id = $1 RETURNING inputs")
            .bind(new.task)
            .fetch_one(connection)
            .await?;
        let number: u64 = rows::number(&row, "inputs")?;
        query(
            "INSERT INTO inputs (task, number, turn, attempt, kind, at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(new.task)
        .bind(number)
        .bind(turn.id)
        .bind(new.attempt)
        .bind(to_json(&new.kind)?)
        .bind(new.now)
        .execute(connection)
        .await?;
        transaction.commit().await?;
        Ok(number)
    }

    /// The inputs for an attempt with a number above `after`, in order, at most 256.
    pub async fn inputs_after(&self, attempt: AttemptId, after: u64) -> Result<Vec<Input>> {
        let rows = query(
            "SELECT i.number, i.kind, i.at FROM attempts a JOIN inputs i ON i.turn = a.turn
             WHERE a.id = $1 AND i.number > $2 AND (i.attempt IS NULL OR i.attempt = a.id)
             ORDER BY i.number LIMIT 256",
        )
        .bind(attempt)
        .bind(after)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Input {
                    number: rows::number(row, "number")?,
                    kind: rows::json(row, "kind")?,
                    at: Timestamp(rows::number(row, "at")?),
                })
            })
            .collect()
    }

    /// Notes that the inputs up to `number` were applied, so that none is applied again. On disk
    /// when it returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyApplied`] if this one or a later one was, [`StoreError::Fenced`].
    pub async fn set_applied(&self, attempt: AttemptId, epoch: Epoch, number: u64) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let row = query(
            "SELECT applied FROM attempts WHERE id = $1 AND epoch = $2 AND lease_until IS NOT NULL",
        )
        .bind(attempt)
        .bind(epoch)
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Err(refusal(connection, attempt).await) };
        if rows::number::<u64>(&row, "applied")? >= number {
            return Err(StoreError::AlreadyApplied { number });
        }
        query("UPDATE attempts SET applied = $2 WHERE id = $1")
            .bind(attempt)
            .bind(number)
            .execute(connection)
            .await?;
        transaction.commit().await
    }

    /// The number of the newest input that was applied; 0 for none.
    pub async fn applied(&self, attempt: AttemptId) -> Result<u64> {
        let row = query("SELECT applied FROM attempts WHERE id = $1")
            .bind(attempt)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        rows::number(&row.ok_or_else(|| not_found("attempt", attempt))?, "applied")
    }
}
