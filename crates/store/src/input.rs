//! What people say to an attempt while it works: numbered per task, each applied once, in order.

use quire_domain::attempt::machine::Wish;
use quire_domain::budget::Budget;
use quire_domain::ids::{AttemptId, AttemptRef, Epoch, TaskId};
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::claim::refusal;
use crate::connection::Promise;
use crate::error::StoreError;
use crate::fold::{next_change, refold};
use crate::heed::{heed, refused, spoken_to};
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
    /// The plan is to be carried out.
    Approve {
        /// As the person edited it, at most 1 MiB; absent: as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The plan is to be another.
    Reject {
        /// Why, at most 1 MiB.
        text: String,
    },
    /// End it.
    Cancel,
    /// Let it stand still before the next model call.
    Pause {
        /// Whether what runs then is cut off.
        #[serde(default)]
        now: bool,
    },
    /// Let it go on; takes back a pause that it has not come to.
    Resume,
    /// Go on under another budget.
    RaiseBudget {
        /// It replaces the one before.
        budget: Budget,
    },
}

impl InputKind {
    /// What it is, for the rule of what may be said when.
    pub fn wish(&self) -> Wish {
        match self {
            Self::Steer { .. } => Wish::Steer,
            Self::Message { .. } => Wish::Message,
            Self::Answer { .. } => Wish::Answer,
            Self::Approve { .. } | Self::Reject { .. } => Wish::Approve,
            Self::Cancel => Wish::Cancel,
            Self::Pause { .. } => Wish::Pause,
            Self::Resume => Wish::Resume,
            Self::RaiseBudget { .. } => Wish::RaiseBudget,
        }
    }
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

/// A task to which something may have been said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// Which.
    pub task: TaskId,
    /// The number of its last change.
    pub changed: u64,
    /// The number of its newest input; 0 for none.
    pub newest: u64,
}

/// The longest text of an input, in bytes.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

impl Store {
    /// Puts an input for the newest turn of a task, seen by every process; gives its number. On
    /// disk when it returns, with what it does to attempts that nobody holds: a pause lets them
    /// stand still, a cancel ends what never began, and what a server worked on is offered to its
    /// workers again where it goes on or has something to be taken out.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotPossible`] where none of the attempts stands where this can be said.
    pub async fn put_input(&self, new: NewInput) -> Result<u64> {
        if let InputKind::Steer { text }
        | InputKind::Message { text }
        | InputKind::Answer { text }
        | InputKind::Approve { text: Some(text) }
        | InputKind::Reject { text } = &new.kind
        {
            bounded("bytes of what was said", text.len(), MAX_TEXT_BYTES)?;
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let turn = read::newest_turn(connection, new.task).await?;
        let attempts = spoken_to(connection, turn.id, new.attempt).await?;
        if let (Some(id), []) = (new.attempt, attempts.as_slice()) {
            return Err(StoreError::WrongAttempt { attempt: id });
        }
        if let Some(refused) = refused(&attempts, new.kind.wish()) {
            let number = read::task_by_id(connection, new.task).await?.number;
            let named = attempts.first().filter(|_| new.attempt.is_some());
            let name = AttemptRef { task: number, ordinal: named.map(|attempt| attempt.ordinal) };
            return Err(StoreError::NotPossible { name, refused });
        }
        let row = query(
            "UPDATE tasks SET inputs = inputs + 1, changed = $2 WHERE id = $1 RETURNING inputs",
        )
        .bind(new.task)
        .bind(next_change(connection).await?)
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
        let mut changed = false;
        for attempt in &attempts {
            changed |= heed(connection, attempt.id, &new.kind, new.now).await?;
        }
        if changed {
            refold(connection, new.task, Some(new.now)).await?;
        }
        // What was said is in the task itself.
        let kind = serde_json::to_value(&new.kind).unwrap_or_default();
        let kind = kind.get("input").cloned();
        let detail = serde_json::json!({ "input": number, "kind": kind, "attempt": new.attempt });
        self.note_of_task(connection, new.task, "task.input", detail, new.now).await?;
        transaction.commit().await?;
        Ok(number)
    }

    /// The tasks that changed after the number `after` of the counter of changes, in its order, at
    /// most 1,000: for whoever listens for what is said to many attempts at once.
    pub async fn spoken_since(&self, after: u64) -> Result<Vec<Spoken>> {
        let rows = query(
            "SELECT id, changed, inputs FROM tasks WHERE changed > $1 ORDER BY changed LIMIT 1000",
        )
        .bind(after)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        let spoken = |row| {
            Ok(Spoken {
                task: TaskId(rows::id(row, "id")?),
                changed: rows::number(row, "changed")?,
                newest: rows::number(row, "inputs")?,
            })
        };
        rows.iter().map(spoken).collect()
    }

    /// The inputs for an attempt with a number above `after`, in order, at most 256.
    pub async fn inputs_after(&self, attempt: AttemptId, after: u64) -> Result<Vec<Input>> {
        let rows = query(
            "SELECT i.number, i.kind, i.at FROM attempts a JOIN inputs i ON i.turn = a.turn
             WHERE a.id = $1 AND i.number > $2 AND i.number > a.hears_after
               AND (i.attempt IS NULL OR i.attempt = a.id)
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
