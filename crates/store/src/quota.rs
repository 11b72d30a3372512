//! Quotas: what the server, a team or a person may have at work and spend in a month; and the
//! pauses that providers asked for.

use quire_domain::attempt::{AttemptState, SuspendReason};
use quire_domain::ids::{AttemptId, Epoch, TeamId, UserId};
use quire_domain::quota::{Quota, Subject};
use quire_domain::time::Timestamp;
use serde_json::json;

use crate::audit::Note;
use crate::claim::refusal;
use crate::connection::Promise;
use crate::queue::offer_in;
use crate::rows::{self, to_json};
use crate::sql::query;
use crate::store::{Result, Store};

/// The most attempts that are woken at once; the next look wakes others.
const MOST_WOKEN: u64 = 256;

/// A pause that a provider asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderWindow {
    /// The provider's id.
    pub provider: String,
    /// Nobody asks it before.
    pub until: Timestamp,
    /// What it said.
    pub message: String,
}

impl Store {
    /// The limits of a subject; none where nobody set any.
    pub async fn quota(&self, subject: Subject) -> Result<Quota> {
        let row = query("SELECT quota FROM quotas WHERE subject = $1")
            .bind(subject.key())
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        Ok(row.map(|row| rows::json(&row, "quota")).transpose()?.unwrap_or_default())
    }

    /// The limits that hold for a task: those of the server, of its team and of its author, where
    /// somebody set any.
    pub async fn quotas_of(&self, team: TeamId, author: UserId) -> Result<Vec<(Subject, Quota)>> {
        let subjects = [Subject::Server, Subject::Team(team), Subject::User(author)];
        let rows = query("SELECT subject, quota FROM quotas WHERE subject IN ($1, $2, $3)")
            .bind(subjects[0].key())
            .bind(subjects[1].key())
            .bind(subjects[2].key())
            .fetch_all(self.database.reader().await?.connection()?)
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let key = rows::text(&row, "subject")?;
            if let Some(subject) = subjects.iter().find(|subject| subject.key() == key) {
                found.push((*subject, rows::json(&row, "quota")?));
            }
        }
        Ok(found)
    }

    /// All limits that somebody set, by the key of their subject.
    pub async fn quotas(&self) -> Result<Vec<(String, Quota)>> {
        let rows = query("SELECT subject, quota FROM quotas ORDER BY subject")
            .fetch_all(self.database.reader().await?.connection()?)
            .await?;
        rows.iter()
            .map(|row| Ok((rows::text(row, "subject")?, rows::json(row, "quota")?)))
            .collect()
    }

    /// Sets the limits of a subject, or takes them away where they limit nothing. What stands still
    /// for want of a quota is looked at again. On disk when it returns.
    pub async fn set_quota(&self, subject: Subject, quota: Quota, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let key = subject.key();
        if quota.is_none() {
            query("DELETE FROM quotas WHERE subject = $1").bind(key).execute(connection).await?;
        } else {
            query(
                "INSERT INTO quotas (subject, quota, updated_at) VALUES ($1, $2, $3)
                 ON CONFLICT (subject)
                 DO UPDATE SET quota = excluded.quota, updated_at = excluded.updated_at",
            )
            .bind(key)
            .bind(to_json(&quota)?)
            .bind(now)
            .execute(connection)
            .await?;
        }
        query("UPDATE attempts SET not_before = 0 WHERE open = 1 AND offered = 2 AND state = $1")
            .bind(held()?)
            .execute(connection)
            .await?;
        let team = match subject {
            Subject::Team(team) => Some(team),
            Subject::Server | Subject::User(_) => None,
        };
        let subject = match subject {
            Subject::Server => "server".to_owned(),
            Subject::Team(id) => format!("team {id}"),
            Subject::User(id) => format!("user {id}"),
        };
        let note = Note { team, action: "quota.set", subject, detail: json!(quota) };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Notes that an attempt which is about to stand still for want of a quota is not to be looked
    /// at before `until`.
    ///
    /// # Errors
    ///
    /// [`crate::StoreError::Fenced`] if it is not held under `epoch`.
    pub async fn hold_until(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        until: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        let connection = transaction.connection()?;
        let held = query(
            "UPDATE attempts SET not_before = $3
             WHERE id = $1 AND epoch = $2 AND lease_until IS NOT NULL",
        )
        .bind(attempt)
        .bind(epoch)
        .bind(until)
        .execute(connection)
        .await?;
        if held == 0 {
            return Err(refusal(connection, attempt).await);
        }
        transaction.commit().await
    }

    /// Offers again what stood still for want of a quota and may be looked at by now, at most 256;
    /// gives which. Whether there is room now shows at its next model call.
    pub async fn wake_held(&self, now: Timestamp) -> Result<Vec<AttemptId>> {
        let due = "SELECT id FROM attempts
             WHERE open = 1 AND offered = 2 AND lease_until IS NULL AND state = $1
               AND not_before <= $2 ORDER BY not_before, created_at LIMIT $3";
        // A look that takes no lock: mostly there are none.
        let due = query(due).bind(held()?).bind(now).bind(MOST_WOKEN);
        let rows = due.fetch_all(self.database.reader().await?.connection()?).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let found = rows.iter().map(|row| rows::id(row, "id").map(AttemptId));
        let found: Vec<AttemptId> = found.collect::<Result<_>>()?;
        let mut transaction = self.database.begin(Promise::Durable).await?;
        for attempt in &found {
            offer_in(transaction.connection()?, *attempt, now).await?;
        }
        transaction.commit().await?;
        Ok(found)
    }

    /// Tells every process that a provider is to be left alone. A shorter pause does not end a
    /// longer one. Survives the process, not a crash of the machine.
    pub async fn close_provider(&self, window: &ProviderWindow) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        query(
            "INSERT INTO provider_windows (provider, closed_until, reason) VALUES ($1, $2, $3)
             ON CONFLICT (provider) DO UPDATE
             SET closed_until = excluded.closed_until, reason = excluded.reason
             WHERE provider_windows.closed_until < excluded.closed_until",
        )
        .bind(window.provider.as_str())
        .bind(window.until)
        .bind(window.message.replace('\0', "\u{fffd}"))
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await
    }

    /// The pauses that are not over at `now`.
    pub async fn provider_windows(&self, now: Timestamp) -> Result<Vec<ProviderWindow>> {
        let rows = query(
            "SELECT provider, closed_until, reason FROM provider_windows WHERE closed_until > $1",
        )
        .bind(now)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ProviderWindow {
                    provider: rows::text(row, "provider")?,
                    until: Timestamp(rows::number(row, "closed_until")?),
                    message: rows::text(row, "reason")?,
                })
            })
            .collect()
    }
}

/// The state of what stands still for want of a quota.
fn held() -> Result<String> {
    to_json(&AttemptState::Suspended { reason: SuspendReason::Quota })
}
