//! Reading tasks, turns and attempts, inside a transaction or outside.

use quire_domain::attempt::Attempt;
use quire_domain::budget::Spent;
use quire_domain::ids::{AttemptId, AttemptRef, TaskId, TaskNumber, TurnId};
use quire_domain::task::{Task, Turn};

use crate::error::StoreError;
use crate::rows;
use crate::sql::{Connection, query};
use crate::store::{Result, Store};

impl Store {
    /// The task with this number.
    pub async fn task(&self, number: TaskNumber) -> Result<Task> {
        let row = query("SELECT * FROM tasks WHERE number = $1")
            .bind(number)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        rows::task(&row.ok_or_else(|| not_found("task", number))?)
    }

    /// The task with this id.
    pub async fn task_by_id(&self, task: TaskId) -> Result<Task> {
        task_by_id(self.database.reader().await?.connection()?, task).await
    }

    /// The turns of a task, oldest first.
    pub async fn turns(&self, task: TaskId) -> Result<Vec<Turn>> {
        let rows = query("SELECT * FROM turns WHERE task = $1 ORDER BY ordinal")
            .bind(task)
            .fetch_all(self.database.reader().await?.connection()?)
            .await?;
        rows.iter().map(rows::turn).collect()
    }

    /// One turn.
    pub async fn turn(&self, turn: TurnId) -> Result<Turn> {
        Ok(self::turn(self.database.reader().await?.connection()?, turn).await?.0)
    }

    /// The attempts of a turn, in their order.
    pub async fn attempts(&self, turn: TurnId) -> Result<Vec<Attempt>> {
        attempts(self.database.reader().await?.connection()?, turn).await
    }

    /// The attempt that a person means: of the newest turn, the one named, else the chosen one.
    pub async fn attempt(&self, name: AttemptRef) -> Result<Attempt> {
        let task = self.task(name.task).await?;
        let turn = newest_turn(self.database.reader().await?.connection()?, task.id).await?;
        let attempts = self.attempts(turn.id).await?;
        if name.ordinal.is_none() && turn.chosen.is_none() {
            let attempts = turn.request.attempts;
            return Err(StoreError::NotChosen { task: task.number, attempts });
        }
        attempts
            .into_iter()
            .find(|attempt| match name.ordinal {
                Some(ordinal) => attempt.ordinal == ordinal,
                None => Some(attempt.id) == turn.chosen,
            })
            .ok_or_else(|| not_found("attempt", name))
    }

    /// The attempt with this id.
    pub async fn attempt_by_id(&self, attempt: AttemptId) -> Result<Attempt> {
        attempt_by_id(self.database.reader().await?.connection()?, attempt).await
    }

    /// The attempts that an attempt continues, nearest first: those whose chunks it may cite.
    pub async fn continued(&self, attempt: AttemptId) -> Result<Vec<AttemptId>> {
        let rows = query(
            "WITH RECURSIVE chain (id, depth) AS (
                 SELECT t.continues, 1 FROM attempts a JOIN turns t ON t.id = a.turn
                 WHERE a.id = $1
                 UNION ALL
                 SELECT t.continues, depth + 1
                 FROM chain JOIN attempts a ON a.id = chain.id JOIN turns t ON t.id = a.turn
             )
             SELECT id FROM chain WHERE id IS NOT NULL ORDER BY depth",
        )
        .bind(attempt)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(|row| rows::id(row, "id").map(AttemptId)).collect()
    }

    /// What preparing a turn needs beside its request, as it was submitted.
    pub async fn origin(&self, turn: TurnId) -> Result<Option<String>> {
        let row = query("SELECT origin FROM turns WHERE id = $1")
            .bind(turn)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        rows::optional_text(&row.ok_or_else(|| not_found("turn", turn))?, "origin")
    }

    /// What preparing any turn of any task needs, each text once.
    pub async fn origins(&self) -> Result<Vec<String>> {
        let rows = query("SELECT DISTINCT origin FROM turns WHERE origin IS NOT NULL")
            .fetch_all(self.database.reader().await?.connection()?)
            .await?;
        let texts = rows.iter().map(|row| rows::optional_text(row, "origin"));
        texts.filter_map(Result::transpose).collect()
    }

    /// What all attempts of a turn have cost together: sums, but of the time at work the longest.
    pub async fn spent(&self, turn: TurnId) -> Result<Spent> {
        spent(self.database.reader().await?.connection()?, turn).await
    }
}

pub(crate) async fn task_by_id(at: &mut Connection, task: TaskId) -> Result<Task> {
    let row = query("SELECT * FROM tasks WHERE id = $1").bind(task).fetch_optional(at).await?;
    rows::task(&row.ok_or_else(|| not_found("task", task))?)
}

/// A turn, and the attempt it continues.
pub(crate) async fn turn(at: &mut Connection, turn: TurnId) -> Result<(Turn, Option<AttemptId>)> {
    let row = query("SELECT * FROM turns WHERE id = $1").bind(turn).fetch_optional(at).await?;
    let row = row.ok_or_else(|| not_found("turn", turn))?;
    Ok((rows::turn(&row)?, rows::optional_id(&row, "continues")?.map(AttemptId)))
}

pub(crate) async fn newest_turn(at: &mut Connection, task: TaskId) -> Result<Turn> {
    let row = query("SELECT * FROM turns WHERE task = $1 ORDER BY ordinal DESC LIMIT 1")
        .bind(task)
        .fetch_optional(at)
        .await?;
    rows::turn(&row.ok_or_else(|| not_found("task", task))?)
}

pub(crate) async fn attempts(at: &mut Connection, turn: TurnId) -> Result<Vec<Attempt>> {
    let rows = query("SELECT * FROM attempts WHERE turn = $1 ORDER BY ordinal")
        .bind(turn)
        .fetch_all(at)
        .await?;
    rows.iter().map(rows::attempt).collect()
}

pub(crate) async fn attempt_by_id(at: &mut Connection, attempt: AttemptId) -> Result<Attempt> {
    let row =
        query("SELECT * FROM attempts WHERE id = $1").bind(attempt).fetch_optional(at).await?;
    rows::attempt(&row.ok_or_else(|| not_found("attempt", attempt))?)
}

pub(crate) async fn spent(at: &mut Connection, turn: TurnId) -> Result<Spent> {
    let rows = query("SELECT spent FROM attempts WHERE turn = $1").bind(turn).fetch_all(at).await?;
    let mut all = Spent::default();
    for row in &rows {
        let one: Spent = rows::json(row, "spent")?;
        all.usage = all.usage.plus(one.usage);
        all.cost.0 = all.cost.0.saturating_add(one.cost.0);
        all.model_calls = all.model_calls.saturating_add(one.model_calls);
        // They work side by side: the person waits for the longest.
        all.wall_ms = all.wall_ms.max(one.wall_ms);
    }
    Ok(all)
}

pub(crate) fn not_found(what: &'static str, name: impl std::fmt::Display) -> StoreError {
    StoreError::NotFound { what, name: name.to_string() }
}
