//! Lists of tasks, newest first.

mod statement;

use std::collections::HashMap;

use quire_domain::access::Owner;
use quire_domain::attempt::machine::Wish;
use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::{AttemptId, TaskId, TaskNumber, TeamId, TurnId, UserId};
use quire_domain::task::{Mode, Task};
use quire_domain::time::Timestamp;

use crate::again::possible;
use crate::connection::Promise;
use crate::error::StoreError;
use crate::fold::{next_change, refold};
use crate::read::{self, not_found};
use crate::rows;
use crate::sql::{Builder, Row, query};
use crate::store::{Result, Store};

pub(crate) use statement::narrow;
use statement::statement;

/// Which tasks to list. The default is the newest 50 that are not archived.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Only tasks in one of these states, by the words of [`AttemptState::word`], or `done` for
    /// all that ended and `waiting` for all that wait for a person; empty is all.
    pub states: Vec<String>,
    /// Only tasks of this repository.
    pub repository: Option<String>,
    /// `Some(true)` lists only archived ones, `Some(false)` and `None` only the others.
    pub archived: Option<bool>,
    /// Only tasks whose title holds this text, at most 1,000 bytes; ASCII letters match in both
    /// cases.
    pub text: Option<String>,
    /// Only tasks of these teams, at most 100; `None` is all teams, an empty list none.
    pub teams: Option<Vec<TeamId>>,
    /// Only tasks that this person asked for.
    pub author: Option<UserId>,
    /// At most so many, 1 to 500; 0 is 50.
    pub limit: u32,
    /// Only tasks with a lower number: the page before's [`Page::next`].
    pub before: Option<TaskNumber>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The tasks, newest first.
    pub tasks: Vec<Listed>,
    /// Where the next page starts, if there is more.
    pub next: Option<TaskNumber>,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The task.
    pub task: Task,
    /// The state of its newest turn: of several attempts, of the one that most needs a person.
    pub state: AttemptState,
    /// What the newest turn may do.
    pub mode: Mode,
    /// How many turns there are.
    pub turns: u32,
    /// The attempts of the newest turn.
    pub attempts: Vec<Attempt>,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// Whose it is.
    pub owner: Owner,
    /// The number of its last change: see [`Store::changed_since`].
    pub changed: u64,
}

/// The page's size where none is asked for, and the largest.
const PAGE: (u32, u32) = (50, 500);

/// How many states a filter may name.
const MAX_STATES: usize = 16;

/// How many teams a filter may name.
const MAX_TEAMS: usize = 100;

/// The longest text of a filter, in bytes.
const MAX_TEXT_BYTES: usize = 1000;

impl Store {
    /// A page of tasks, newest first.
    pub async fn list(&self, filter: &ListFilter) -> Result<Page> {
        filter.check()?;
        if filter.teams.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Page { tasks: Vec::new(), next: None });
        }
        let limit = if filter.limit == 0 { PAGE.0 } else { filter.limit.min(PAGE.1) } as usize;
        let statement = statement(filter, limit, self.database.dialect());
        let rows = statement.fetch_all(self.database.reader().await?.connection()?).await?;
        let mut tasks = Vec::with_capacity(rows.len().min(limit));
        for row in rows.iter().take(limit) {
            tasks.push(task(row)?);
        }
        self.add_attempts(&mut tasks).await?;
        let next = tasks.last().map(|listed| listed.task.number).filter(|_| rows.len() > limit);
        Ok(Page { tasks, next })
    }

    /// Gives each task the attempts of its newest turn, with one query for all of them.
    pub(crate) async fn add_attempts(&self, tasks: &mut [Listed]) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut query = Builder::new(
            "SELECT a.* FROM tasks k
             JOIN turns t ON t.task = k.id AND t.ordinal = k.turns
             JOIN attempts a ON a.turn = t.id
             WHERE k.number IN (",
        );
        query.bind_all(tasks.iter().map(|listed| listed.task.number));
        query.push(") ORDER BY a.ordinal");
        let found = query.query().fetch_all(self.database.reader().await?.connection()?).await?;
        let mut attempts: HashMap<TaskId, Vec<Attempt>> = HashMap::new();
        for row in &found {
            let attempt = rows::attempt(row)?;
            attempts.entry(attempt.task).or_default().push(attempt);
        }
        for listed in tasks {
            listed.attempts = attempts.remove(&listed.task.id).unwrap_or_default();
        }
        Ok(())
    }

    /// Chooses the attempt of a turn that is applied and followed up.
    pub async fn choose(&self, turn: TurnId, attempt: AttemptId, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let (found, _) = read::turn(connection, turn).await?;
        let chosen = read::attempt_by_id(connection, attempt).await?;
        if chosen.turn != turn {
            return Err(StoreError::WrongAttempt { attempt });
        }
        possible(connection, &chosen, Wish::Choose).await?;
        query("UPDATE turns SET chosen = $2 WHERE id = $1")
            .bind(turn)
            .bind(attempt)
            .execute(connection)
            .await?;
        refold(connection, found.task, None).await?;
        let detail = serde_json::json!({ "attempt": chosen.ordinal });
        self.note_of_task(connection, found.task, "task.choose", detail, now).await?;
        transaction.commit().await
    }

    /// Puts a task away. Lists leave it out; nothing is deleted.
    pub async fn archive(&self, task: TaskId, now: Timestamp) -> Result<()> {
        self.set_archived(task, Some(now), "task.archive", now).await
    }

    /// Takes a task out of the archive.
    pub async fn unarchive(&self, task: TaskId, now: Timestamp) -> Result<()> {
        self.set_archived(task, None, "task.unarchive", now).await
    }

    async fn set_archived(
        &self,
        task: TaskId,
        at: Option<Timestamp>,
        action: &'static str,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let change = next_change(connection).await?;
        let changed = query("UPDATE tasks SET archived_at = $2, changed = $3 WHERE id = $1")
            .bind(task)
            .bind(at)
            .bind(change)
            .execute(connection)
            .await?;
        if changed == 0 {
            return Err(not_found("task", task));
        }
        self.note_of_task(connection, task, action, serde_json::json!({}), now).await?;
        transaction.commit().await
    }
}

impl ListFilter {
    /// Whether it is small enough.
    pub(crate) fn check(&self) -> Result<()> {
        let teams = self.teams.as_ref().map_or(0, Vec::len);
        let text = self.text.as_ref().map_or(0, String::len);
        for (what, found, allowed) in [
            ("states of a filter", self.states.len(), MAX_STATES),
            ("teams of a filter", teams, MAX_TEAMS),
            ("bytes of the text of a filter", text, MAX_TEXT_BYTES),
        ] {
            if found > allowed {
                return Err(StoreError::OutOfBounds { what, found, allowed });
            }
        }
        Ok(())
    }
}

/// A task without its attempts.
pub(crate) fn task(row: &Row) -> Result<Listed> {
    Ok(Listed {
        task: rows::task(row)?,
        state: rows::json(row, "state")?,
        mode: mode(&rows::text(row, "mode")?)?,
        turns: rows::number(row, "turns")?,
        attempts: Vec::new(),
        updated_at: Timestamp(rows::number(row, "updated_at")?),
        owner: rows::owner(row)?,
        changed: rows::number(row, "changed")?,
    })
}

fn mode(text: &str) -> Result<Mode> {
    [Mode::Code, Mode::Ask, Mode::Plan, Mode::Review]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| StoreError::Damaged(format!("there is no mode `{text}`")))
}
