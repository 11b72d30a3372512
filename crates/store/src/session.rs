//! Browsers that signed in: what is kept of their cookie is a hash.

use quire_domain::ids::UserId;
use quire_domain::time::Timestamp;
use serde_json::json;

use crate::audit::Note;
use crate::connection::Promise;
use crate::read::not_found;
use crate::rows;
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};
use crate::token::USED_EVERY;

/// A browser that signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The SHA-256 of what the cookie holds.
    pub hash: [u8; 32],
    /// Who signed in.
    pub owner: UserId,
    /// What a page has to send along with what it changes.
    pub csrf: String,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When it was last used, give or take five minutes.
    pub seen_at: Timestamp,
    /// When they have to sign in again.
    pub expires_at: Timestamp,
    /// What the browser calls itself, at most 200 bytes.
    pub agent: String,
}

impl Session {
    /// What lists call it: says nothing of the cookie.
    pub fn name(&self) -> String {
        hex(&self.hash[..8])
    }
}

/// How long a session holds that nobody uses, in milliseconds: 14 days.
const IDLE: u64 = 14 * 24 * 60 * 60 * 1000;

/// How many sessions somebody may have; the oldest goes when there would be more.
const MOST: u32 = 100;

impl Store {
    /// Keeps a session, and how it came about (`password`, `link`, `oidc`). On disk when it
    /// returns.
    pub async fn add_session(&self, new: &Session, how: &str) -> Result<()> {
        let now = new.created_at;
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        query("DELETE FROM sessions WHERE expires_at <= $1 OR seen_at <= $2")
            .bind(now)
            .bind(Timestamp(now.0.saturating_sub(IDLE)))
            .execute(connection)
            .await?;
        query(
            "DELETE FROM sessions WHERE owner = $1 AND hash NOT IN
                (SELECT hash FROM sessions WHERE owner = $1 ORDER BY seen_at DESC LIMIT $2)",
        )
        .bind(new.owner)
        .bind(MOST - 1)
        .execute(connection)
        .await?;
        query(
            "INSERT INTO sessions (hash, owner, csrf, created_at, seen_at, expires_at, agent)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(new.hash.as_slice())
        .bind(new.owner)
        .bind(&new.csrf)
        .bind(now)
        .bind(new.seen_at)
        .bind(new.expires_at)
        .bind(short(&new.agent))
        .execute(connection)
        .await?;
        let note = Note {
            team: None,
            action: "session.begin",
            subject: format!("session {}", new.name()),
            detail: json!({ "how": how }),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Where somebody is signed in, last used first.
    pub async fn sessions_of(&self, owner: UserId, now: Timestamp) -> Result<Vec<Session>> {
        let rows = query(
            "SELECT * FROM sessions WHERE owner = $1 AND expires_at > $2 AND seen_at > $3
             ORDER BY seen_at DESC LIMIT 100",
        )
        .bind(owner)
        .bind(now)
        .bind(Timestamp(now.0.saturating_sub(IDLE)))
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(session).collect()
    }

    /// Signs out: one session of somebody by its [`Session::name`], all of them for `None`. Gives
    /// how many there were.
    ///
    /// # Errors
    ///
    /// [`crate::StoreError::NotFound`] if the one that is named is not theirs.
    pub async fn end_sessions(
        &self,
        owner: UserId,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<usize> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let rows = query("SELECT * FROM sessions WHERE owner = $1 LIMIT 1000")
            .bind(owner)
            .fetch_all(connection)
            .await?;
        let mut ended = 0;
        for row in &rows {
            let session = session(row)?;
            if name.is_none_or(|name| session.name() == name) {
                query("DELETE FROM sessions WHERE hash = $1")
                    .bind(session.hash.as_slice())
                    .execute(connection)
                    .await?;
                ended += 1;
            }
        }
        if let (Some(name), 0) = (name, ended) {
            return Err(not_found("session", name));
        }
        let subject = name.map_or("all sessions".to_owned(), |name| format!("session {name}"));
        let note =
            Note { team: None, action: "session.end", subject, detail: json!({ "ended": ended }) };
        self.write_down(connection, note, now).await?;
        transaction.commit().await?;
        Ok(ended)
    }

    /// Remembers that a session was used, if the last time is five minutes ago.
    pub(crate) async fn session_seen(&self, session: &Session, now: Timestamp) -> Result<()> {
        if now.0 < session.seen_at.0.saturating_add(USED_EVERY) {
            return Ok(());
        }
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        query("UPDATE sessions SET seen_at = $2 WHERE hash = $1")
            .bind(session.hash.as_slice())
            .bind(now)
            .execute(transaction.connection()?)
            .await?;
        transaction.commit().await
    }
}

/// The session with this hash, if it holds.
pub(crate) async fn by_hash(
    connection: &mut Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Session>> {
    let row = query("SELECT * FROM sessions WHERE hash = $1 AND expires_at > $2 AND seen_at > $3")
        .bind(hash.as_slice())
        .bind(now)
        .bind(Timestamp(now.0.saturating_sub(IDLE)))
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(session).transpose()
}

fn session(row: &Row) -> Result<Session> {
    let hash = rows::bytes(row, "hash")?;
    Ok(Session {
        hash: <[u8; 32]>::try_from(hash.as_slice())
            .map_err(|_| crate::StoreError::Damaged("column `hash`".into()))?,
        owner: UserId(rows::id(row, "owner")?),
        csrf: rows::text(row, "csrf")?,
        created_at: Timestamp(rows::number(row, "created_at")?),
        seen_at: Timestamp(rows::number(row, "seen_at")?),
        expires_at: Timestamp(rows::number(row, "expires_at")?),
        agent: rows::text(row, "agent")?,
    })
}

/// What a browser calls itself, as far as a list shows it.
fn short(agent: &str) -> String {
    agent.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(200).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
