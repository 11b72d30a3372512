//! Links that show one task to who has them, read-only and for a time.

use quire_domain::ids::{ShareLinkId, TaskId, TeamId, UserId};
use quire_domain::time::Timestamp;
use serde_json::json;

use crate::audit::Note;
use crate::connection::Promise;
use crate::read::{self, not_found};
use crate::rows;
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};

/// A link that shows one task, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareLink {
    /// What lists call it.
    pub id: ShareLinkId,
    /// The task.
    pub task: TaskId,
    /// Who made it.
    pub author: UserId,
    /// When.
    pub created_at: Timestamp,
    /// Until when it shows anything.
    pub expires_at: Timestamp,
    /// Since when it shows nothing.
    pub revoked_at: Option<Timestamp>,
}

/// How many links of a task may hold at once.
const MOST: i64 = 100;

const COLUMNS: &str = "id, task, author, created_at, expires_at, revoked_at";

impl Store {
    /// Keeps a link; `hash` is of its secret. On disk when it returns.
    ///
    /// # Errors
    ///
    /// [`crate::StoreError::OutOfBounds`] if a hundred links to the task hold.
    pub async fn add_share_link(
        &self,
        hash: &[u8; 32],
        task: TaskId,
        author: UserId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<ShareLink> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let row = query(
            "SELECT CAST(count(*) AS BIGINT) AS links FROM share_links
             WHERE task = $1 AND revoked_at IS NULL AND expires_at > $2",
        )
        .bind(task)
        .bind(now)
        .fetch_one(connection)
        .await?;
        let found: i64 = rows::number(&row, "links")?;
        if found >= MOST {
            let (found, allowed) = (101, 100);
            let what = "links to one task";
            return Err(crate::StoreError::OutOfBounds { what, found, allowed });
        }
        let id = ShareLinkId(self.ids.uuid(now));
        query(
            "INSERT INTO share_links (hash, id, task, author, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(hash.as_slice())
        .bind(id.0)
        .bind(task)
        .bind(author)
        .bind(now)
        .bind(expires_at)
        .execute(connection)
        .await?;
        let detail = json!({ "link": id, "expires_at": expires_at.0 });
        self.note_of_task(connection, task, "share.create", detail, now).await?;
        transaction.commit().await?;
        Ok(ShareLink { id, task, author, created_at: now, expires_at, revoked_at: None })
    }

    /// The links to a task that were not revoked, newest first.
    pub async fn share_links(&self, task: TaskId) -> Result<Vec<ShareLink>> {
        let text = format!(
            "SELECT {COLUMNS} FROM share_links WHERE task = $1 AND revoked_at IS NULL
             ORDER BY created_at DESC LIMIT 1000"
        );
        let mut reader = self.database.reader().await?;
        let rows = query(text).bind(task).fetch_all(reader.connection()?).await?;
        rows.iter().map(link).collect()
    }

    /// Takes a link of a task back.
    pub async fn revoke_share_link(
        &self,
        task: TaskId,
        id: ShareLinkId,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let revoked = query(
            "UPDATE share_links SET revoked_at = $3
             WHERE id = $1 AND task = $2 AND revoked_at IS NULL",
        )
        .bind(id.0)
        .bind(task)
        .bind(now)
        .execute(connection)
        .await?;
        if revoked == 0 {
            return Err(not_found("link", id));
        }
        self.note_of_task(connection, task, "share.revoke", json!({ "link": id }), now).await?;
        transaction.commit().await
    }

    /// What the link with this hash shows, if it holds.
    pub async fn shared_by(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<ShareLink>> {
        let text = format!(
            "SELECT {COLUMNS} FROM share_links
             WHERE hash = $1 AND revoked_at IS NULL AND expires_at > $2"
        );
        let mut reader = self.database.reader().await?;
        let connection = reader.connection()?;
        let row = query(text).bind(hash.as_slice()).bind(now).fetch_optional(connection).await?;
        row.as_ref().map(link).transpose()
    }

    /// Writes down what an actor does with a task, for the admins of its team.
    pub(crate) async fn note_of_task(
        &self,
        connection: &mut Connection,
        task: TaskId,
        action: &'static str,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<()> {
        if self.actor.is_none() {
            return Ok(());
        }
        let found = read::task_by_id(connection, task).await?;
        let row =
            query("SELECT team FROM tasks WHERE id = $1").bind(task).fetch_one(connection).await?;
        let team = Some(TeamId(rows::id(&row, "team")?));
        let subject = format!("task {}", found.number);
        self.write_down(connection, Note { team, action, subject, detail }, now).await
    }
}

fn link(row: &Row) -> Result<ShareLink> {
    Ok(ShareLink {
        id: ShareLinkId(rows::id(row, "id")?),
        task: TaskId(rows::id(row, "task")?),
        author: UserId(rows::id(row, "author")?),
        created_at: Timestamp(rows::number(row, "created_at")?),
        expires_at: Timestamp(rows::number(row, "expires_at")?),
        revoked_at: rows::optional_number(row, "revoked_at")?.map(Timestamp),
    })
}
