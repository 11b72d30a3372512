//! The record of what people and tokens did: written with what it is about, never changed.

use std::sync::Arc;

use quire_domain::ids::{TeamId, TokenId, UserId};
use quire_domain::time::Timestamp;
use serde_json::Value;

use crate::rows;
use crate::sql::{Builder, Connection, Row, query};
use crate::store::{Result, Store};

/// Who does something, as the record names them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actor {
    /// The person; `None` is somebody who has not signed in.
    pub user: Option<UserId>,
    /// The token they came with, if any.
    pub token: Option<TokenId>,
    /// Where from: an address, or `command line`.
    pub address: String,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whose admins may read it; `None` is for administrators of the installation.
    pub team: Option<TeamId>,
    /// What, as a word with a dot, e.g. `task.submit`.
    pub action: &'static str,
    /// To what, e.g. `task 42`.
    pub subject: String,
    /// More of it; never a secret.
    pub detail: Value,
}

/// Which rows of the record to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only what this person did.
    pub actor: Option<UserId>,
    /// Only what is about one of these teams; `None` is everything.
    pub teams: Option<Vec<TeamId>>,
    /// Only actions that begin so, e.g. `task.` or `token.create`.
    pub action: Option<String>,
    /// Only what was done then or later.
    pub since: Option<Timestamp>,
    /// Only what was done earlier.
    pub until: Option<Timestamp>,
    /// Only rows with a lower number: the page before's last.
    pub before: Option<u64>,
    /// At most so many, 1 to 1,000; 0 is 100.
    pub limit: u32,
}

/// A row of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Rises with each row.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who; `None` is somebody who had not signed in.
    pub actor: Option<UserId>,
    /// Their name.
    pub actor_name: Option<String>,
    /// The token they came with.
    pub token: Option<TokenId>,
    /// Whose it was.
    pub team: Option<TeamId>,
    /// That team's name.
    pub team_name: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More of it.
    pub detail: Value,
    /// Where from.
    pub address: String,
}

/// The longest texts of a row, in bytes.
const MOST_BYTES: (usize, usize) = (512, 16 * 1024);

impl Store {
    /// The same store, for what `actor` does: each change that is made through it is written down
    /// in its own transaction. What nobody does (a worker's progress) is not.
    #[must_use]
    pub fn acting(&self, actor: Actor) -> Self {
        Self { actor: Some(Arc::new(actor)), ..self.clone() }
    }

    /// Writes something down that changes nothing else here: a download, a refusal. On disk when
    /// it returns.
    pub async fn note(&self, note: Note, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(crate::connection::Promise::Durable).await?;
        self.write_down(transaction.connection()?, note, now).await?;
        transaction.commit().await
    }

    /// Writes down what the actor does, in the transaction of what it is about.
    pub(crate) async fn write_down(
        &self,
        connection: &mut Connection,
        note: Note,
        now: Timestamp,
    ) -> Result<()> {
        let Some(actor) = &self.actor else { return Ok(()) };
        let mut detail = rows::to_json(&note.detail)?;
        if detail.len() > MOST_BYTES.1 {
            detail = format!("{{\"left_out_bytes\":{}}}", detail.len());
        }
        query(
            "INSERT INTO audit (at, actor, token, team, action, subject, detail, address)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(now)
        .bind(actor.user)
        .bind(actor.token.map(|token| token.0))
        .bind(note.team)
        .bind(note.action)
        .bind(cut(&note.subject))
        .bind(detail)
        .bind(cut(&actor.address))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// A part of the record, newest first.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>> {
        let limit = if filter.limit == 0 { 100 } else { filter.limit.min(1000) };
        let mut text = Builder::new(
            "SELECT a.number, a.at, a.actor, a.token, a.team, a.action, a.subject, a.detail,
                    a.address, u.name AS actor_name, t.name AS team_name
             FROM audit a LEFT JOIN users u ON u.id = a.actor LEFT JOIN teams t ON t.id = a.team
             WHERE 1 = 1",
        );
        if let Some(actor) = filter.actor {
            text.push(" AND a.actor = ").bind(actor);
        }
        if let Some(teams) = &filter.teams {
            if teams.is_empty() {
                return Ok(Vec::new());
            }
            text.push(" AND a.team IN (").bind_all(teams.iter().copied()).push(")");
        }
        if let Some(action) = &filter.action {
            text.push(" AND substr(a.action, 1, ").bind(action.chars().count() as u64);
            text.push(") = ").bind(action.as_str());
        }
        if let Some(since) = filter.since {
            text.push(" AND a.at >= ").bind(since);
        }
        if let Some(until) = filter.until {
            text.push(" AND a.at < ").bind(until);
        }
        if let Some(before) = filter.before {
            text.push(" AND a.number < ").bind(before);
        }
        text.push(" ORDER BY a.number DESC LIMIT ").bind(limit);
        let rows = text.query().fetch_all(self.database.reader().await?.connection()?).await?;
        rows.iter().map(row).collect()
    }
}

fn row(row: &Row) -> Result<AuditRow> {
    Ok(AuditRow {
        number: rows::number(row, "number")?,
        at: Timestamp(rows::number(row, "at")?),
        actor: rows::optional_id(row, "actor")?.map(UserId),
        actor_name: rows::optional_text(row, "actor_name")?,
        token: rows::optional_id(row, "token")?.map(TokenId),
        team: rows::optional_id(row, "team")?.map(TeamId),
        team_name: rows::optional_text(row, "team_name")?,
        action: rows::text(row, "action")?,
        subject: rows::text(row, "subject")?,
        detail: rows::json(row, "detail")?,
        address: rows::text(row, "address")?,
    })
}

/// At most 512 bytes, and no zero byte: Postgres keeps none in a text.
fn cut(text: &str) -> String {
    let mut end = text.len().min(MOST_BYTES.0);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\u{fffd}")
}
