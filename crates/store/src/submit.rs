//! What comes in: new tasks and follow-ups.

use quire_domain::access::Owner;
use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::budget::Spent;
use quire_domain::ids::{AttemptId, TaskId, TurnId};
use quire_domain::task::{Request, StartPoint, Task, Turn};
use quire_domain::time::Timestamp;

use crate::again::note_fork;
use serde_json::json;

use crate::connection::Promise;
use crate::error::StoreError;
use crate::fold::refold;
use crate::read;
use crate::rows::{self, to_json};
use crate::sql::{Connection, query};
use crate::store::{Result, Store};

/// A task to submit, with its first turn.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// An absolute path, or a URL without credentials.
    pub repository: String,
    /// The first line of the prompt, at most 120 characters; longer ones are cut.
    pub title: String,
    /// What the person asks for. `request.attempts` attempts are offered.
    pub request: Request,
    /// What preparing needs beside the request (environment, base commit): a text of the caller's,
    /// opaque here, given back by [`crate::Store::origin`]. At most 64 KiB.
    pub origin: Option<String>,
    /// A second submit with the same key gives the first one's task.
    pub idempotency_key: Option<String>,
    /// Whose it is.
    pub owner: Owner,
    /// Whether its attempts wait for a worker of a server, from the moment it is written down.
    pub offered: bool,
    /// The time.
    pub now: Timestamp,
}

/// A turn to add to a task.
#[derive(Debug, Clone)]
pub struct FollowUp {
    /// The task.
    pub task: TaskId,
    /// What the person asks for.
    pub request: Request,
    /// The attempt to go on from; `None` takes the chosen one of the newest turn.
    pub continues: Option<AttemptId>,
    /// As in [`NewTask::origin`].
    pub origin: Option<String>,
    /// As in [`NewTask::idempotency_key`].
    pub idempotency_key: Option<String>,
    /// As in [`NewTask::offered`].
    pub offered: bool,
    /// The time.
    pub now: Timestamp,
}

/// What was submitted, as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The task.
    pub task: Task,
    /// Its newest turn.
    pub turn: Turn,
    /// The turn's attempts, in their order.
    pub attempts: Vec<Attempt>,
    /// The attempt they continue, in a follow-up.
    pub continues: Option<AttemptId>,
    /// Whether the key had been used and nothing was written.
    pub repeated: bool,
}

/// The longest prompt, in bytes.
const MAX_PROMPT_BYTES: usize = 1024 * 1024;

/// The longest `origin`, in bytes.
const MAX_ORIGIN_BYTES: usize = 64 * 1024;

/// The longest repository, in bytes: a path.
const MAX_REPOSITORY_BYTES: usize = 4096;

/// The longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// The longest title, in characters.
const MAX_TITLE_CHARS: usize = 120;

impl Store {
    /// Writes a task, its first turn and the turn's attempts. On disk when it returns.
    pub async fn submit(&self, new: NewTask) -> Result<Submission> {
        self.submit_as(Promise::Durable, new, None).await
    }

    /// As [`Store::submit`], for a caller who claims it at once: the claim's commit brings both to
    /// the disk, which saves waiting for it twice. Until then it survives the process alone.
    pub async fn submit_to_claim(&self, new: NewTask) -> Result<Submission> {
        self.submit_as(Promise::Lasting, new, None).await
    }

    /// As [`Store::submit`], for a task whose first turn goes on from an attempt of another one,
    /// which has ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotPossible`] where it has not.
    pub async fn fork(&self, new: NewTask, from: AttemptId) -> Result<Submission> {
        self.submit_as(Promise::Durable, new, Some(from)).await
    }

    async fn submit_as(
        &self,
        promise: Promise,
        new: NewTask,
        from: Option<AttemptId>,
    ) -> Result<Submission> {
        bounded("bytes of the repository's place", new.repository.len(), MAX_REPOSITORY_BYTES)?;
        check(&new.request, new.origin.as_deref(), new.idempotency_key.as_deref())?;
        let request = to_json(&new.request)?;
        let mut transaction = self.database.begin(promise).await?;
        let connection = transaction.connection()?;
        if let Some(key) = &new.idempotency_key
            && let Some(first) = submitted_with(connection, key).await?
        {
            let same = first.task.repository == new.repository && first.turn.ordinal == 1;
            return repeated(first, same, &new.request, key);
        }
        let task = TaskId(self.ids.uuid(new.now));
        query(
            "INSERT INTO tasks
                (id, title, repository, created_at, turns, mode, state, state_word, updated_at,
                 team, author)
             VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $4, $8, $9)",
        )
        .bind(task)
        .bind(new.title.chars().take(MAX_TITLE_CHARS).collect::<String>())
        .bind(&new.repository)
        .bind(new.now)
        .bind(new.request.mode.as_str())
        .bind(to_json(&AttemptState::Queued)?)
        .bind(AttemptState::Queued.word())
        .bind(new.owner.team)
        .bind(new.owner.author)
        .execute(connection)
        .await?;
        let turn = NewTurn {
            task,
            ordinal: 1,
            request: &new.request,
            json: &request,
            origin: new.origin.as_deref(),
            continues: from,
            key: new.idempotency_key.as_deref(),
            offered: new.offered,
            now: new.now,
        };
        let id = self.insert_turn(connection, &turn).await?;
        if let Some(from) = from {
            note_fork(connection, id, from).await?;
        }
        let submission = read_back(connection, id).await?;
        let action = if from.is_some() { "task.fork" } else { "task.submit" };
        let detail =
            json!({ "turn": 1, "mode": new.request.mode, "attempts": new.request.attempts });
        self.note_of_task(connection, task, action, detail, new.now).await?;
        transaction.commit().await?;
        Ok(submission)
    }

    /// Adds a turn to a task whose newest turn has ended. Takes the task out of the archive.
    ///
    /// # Errors
    ///
    /// [`StoreError::TurnOpen`], and [`StoreError::NotChosen`] where the turn before has several
    /// attempts of which none was chosen or named.
    pub async fn follow_up(&self, follow: FollowUp) -> Result<Submission> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let submission = self.follow_up_in(transaction.connection()?, follow).await?;
        transaction.commit().await?;
        Ok(submission)
    }

    /// As [`Store::follow_up`], with what else its transaction writes.
    pub(crate) async fn follow_up_in(
        &self,
        connection: &mut Connection,
        follow: FollowUp,
    ) -> Result<Submission> {
        check(&follow.request, follow.origin.as_deref(), follow.idempotency_key.as_deref())?;
        let request = to_json(&follow.request)?;
        if let Some(key) = &follow.idempotency_key
            && let Some(first) = submitted_with(connection, key).await?
        {
            let same = first.task.id == follow.task && first.turn.ordinal > 1;
            return repeated(first, same, &follow.request, key);
        }
        let task = read::task_by_id(connection, follow.task).await?;
        let before = read::newest_turn(connection, follow.task).await?;
        let attempts = read::attempts(connection, before.id).await?;
        if attempts.iter().any(|attempt| !matches!(attempt.state, AttemptState::Done { .. })) {
            return Err(StoreError::TurnOpen { task: task.number });
        }
        let continues = continued_by(&task, &before, &attempts, follow.continues)?;
        let turn = NewTurn {
            task: follow.task,
            ordinal: before.ordinal + 1,
            request: &follow.request,
            json: &request,
            origin: follow.origin.as_deref(),
            continues: Some(continues),
            key: follow.idempotency_key.as_deref(),
            offered: follow.offered,
            now: follow.now,
        };
        let id = self.insert_turn(connection, &turn).await?;
        let submission = read_back(connection, id).await?;
        let detail = json!({ "turn": submission.turn.ordinal, "mode": follow.request.mode,
                             "attempts": follow.request.attempts });
        self.note_of_task(connection, follow.task, "task.follow_up", detail, follow.now).await?;
        Ok(submission)
    }

    /// What was submitted with this key before, if anything was.
    pub async fn submitted(&self, key: &str) -> Result<Option<Submission>> {
        let mut reader = self.database.reader().await?;
        let found = submitted_with(reader.connection()?, key).await?;
        Ok(found.map(|first| Submission { repeated: true, ..first }))
    }

    /// Writes where the attempts of a turn start, unless that was written before; gives the one
    /// that stands. Of several attempts that begin at once the first decides.
    pub async fn set_start(&self, turn: TurnId, start: StartPoint) -> Result<StartPoint> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let (found, _) = read::turn(connection, turn).await?;
        if let Some(standing) = found.request.start {
            return Ok(standing);
        }
        let request = Request { start: Some(start.clone()), ..found.request };
        query("UPDATE turns SET request = $2 WHERE id = $1")
            .bind(turn)
            .bind(to_json(&request)?)
            .execute(connection)
            .await?;
        transaction.commit().await?;
        Ok(start)
    }

    async fn insert_turn(&self, connection: &mut Connection, new: &NewTurn<'_>) -> Result<TurnId> {
        let turn = TurnId(self.ids.uuid(new.now));
        let attempts: Vec<AttemptId> =
            (0..new.request.attempts).map(|_| AttemptId(self.ids.uuid(new.now))).collect();
        // A single attempt is chosen by itself.
        let chosen = match attempts.as_slice() {
            [only] => Some(only.0),
            _ => None,
        };
        query(
            "INSERT INTO turns
                (id, task, ordinal, request, origin, continues, chosen, idempotency_key, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(turn)
        .bind(new.task)
        .bind(new.ordinal)
        .bind(new.json)
        .bind(new.origin)
        .bind(new.continues)
        .bind(chosen.map(|attempt| attempt.as_bytes().to_vec()))
        .bind(new.key)
        .bind(new.now)
        .execute(connection)
        .await?;
        for (attempt, ordinal) in attempts.into_iter().zip(1_i64..) {
            query(
                "INSERT INTO attempts (id, turn, task, ordinal, state, epoch, losses, applied, open,
                                       spent, created_at, updated_at, offered, team, author)
                 SELECT $1, $2, $3, $4, $5, 0, 0, 0, 1, $6, $7, $7, $8, team, author
                 FROM tasks WHERE id = $3",
            )
            .bind(attempt)
            .bind(turn)
            .bind(new.task)
            .bind(ordinal)
            .bind(to_json(&AttemptState::Queued)?)
            .bind(to_json(&Spent::default())?)
            .bind(new.now)
            .bind(new.offered)
            .execute(connection)
            .await?;
        }
        query("UPDATE tasks SET turns = $2, mode = $3, archived_at = NULL WHERE id = $1")
            .bind(new.task)
            .bind(new.ordinal)
            .bind(new.request.mode.as_str())
            .execute(connection)
            .await?;
        refold(connection, new.task, Some(new.now)).await?;
        Ok(turn)
    }
}

/// A turn to insert.
struct NewTurn<'a> {
    task: TaskId,
    ordinal: u32,
    request: &'a Request,
    json: &'a str,
    origin: Option<&'a str>,
    continues: Option<AttemptId>,
    key: Option<&'a str>,
    offered: bool,
    now: Timestamp,
}

fn check(request: &Request, origin: Option<&str>, key: Option<&str>) -> Result<()> {
    bounded("bytes of the prompt", request.prompt.len(), MAX_PROMPT_BYTES)?;
    bounded("attempts", usize::from(request.attempts), 4)?;
    if let Some(origin) = origin {
        bounded("bytes of the origin", origin.len(), MAX_ORIGIN_BYTES)?;
    }
    if let Some(key) = key {
        bounded("bytes of the idempotency key", key.len(), MAX_KEY_BYTES)?;
    }
    Ok(())
}

pub(crate) fn bounded(what: &'static str, found: usize, allowed: usize) -> Result<()> {
    if (1..=allowed).contains(&found) {
        Ok(())
    } else {
        Err(StoreError::OutOfBounds { what, found, allowed })
    }
}

/// The attempt that a follow-up goes on from.
fn continued_by(
    task: &Task,
    before: &Turn,
    attempts: &[Attempt],
    named: Option<AttemptId>,
) -> Result<AttemptId> {
    let Some(id) = named.or(before.chosen) else {
        let attempts = before.request.attempts;
        return Err(StoreError::NotChosen { task: task.number, attempts });
    };
    if attempts.iter().any(|attempt| attempt.id == id) {
        Ok(id)
    } else {
        Err(StoreError::WrongAttempt { attempt: id })
    }
}

async fn submitted_with(connection: &mut Connection, key: &str) -> Result<Option<Submission>> {
    let row = query("SELECT id FROM turns WHERE idempotency_key = $1")
        .bind(key)
        .fetch_optional(connection)
        .await?;
    match row {
        None => Ok(None),
        Some(row) => read_back(connection, TurnId(rows::id(&row, "id")?)).await.map(Some),
    }
}

fn repeated(first: Submission, same: bool, request: &Request, key: &str) -> Result<Submission> {
    // The start may have been written since.
    let start = request.start.clone().or_else(|| first.turn.request.start.clone());
    if same && first.turn.request == (Request { start, ..request.clone() }) {
        Ok(Submission { repeated: true, ..first })
    } else {
        Err(StoreError::KeyReused { key: key.to_owned() })
    }
}

async fn read_back(connection: &mut Connection, turn: TurnId) -> Result<Submission> {
    let (turn, continues) = read::turn(connection, turn).await?;
    Ok(Submission {
        task: read::task_by_id(connection, turn.task).await?,
        attempts: read::attempts(connection, turn.id).await?,
        turn,
        continues,
        repeated: false,
    })
}
