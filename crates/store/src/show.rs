//! One task or attempt with whose it is, as those who look at it from outside need it.

use quire_domain::access::Owner;
use quire_domain::attempt::Attempt;
use quire_domain::ids::{AttemptId, TaskNumber};

use crate::list::{self, Listed};
use crate::read::not_found;
use crate::rows;
use crate::sql::query;
use crate::store::{Result, Store};

impl Store {
    /// A task as a list has it.
    pub async fn listed(&self, number: TaskNumber) -> Result<Listed> {
        let row = query("SELECT * FROM tasks WHERE number = $1")
            .bind(number)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        let mut found = [list::task(&row.ok_or_else(|| not_found("task", number))?)?];
        self.add_attempts(&mut found).await?;
        let [found] = found;
        Ok(found)
    }

    /// An attempt, with the number of its task, the place of its turn in it, and whose it is.
    pub async fn attempt_of(
        &self,
        attempt: AttemptId,
    ) -> Result<(Attempt, TaskNumber, u32, Owner)> {
        let row = query(
            "SELECT a.*, k.number AS task_number, t.ordinal AS turn_ordinal
             FROM attempts a JOIN tasks k ON k.id = a.task JOIN turns t ON t.id = a.turn
             WHERE a.id = $1",
        )
        .bind(attempt)
        .fetch_optional(self.database.reader().await?.connection()?)
        .await?;
        let row = row.ok_or_else(|| not_found("attempt", attempt))?;
        Ok((
            rows::attempt(&row)?,
            TaskNumber(rows::number(&row, "task_number")?),
            rows::number(&row, "turn_ordinal")?,
            rows::owner(&row)?,
        ))
    }
}
