//! What has to leave the machine: written in the transaction of what it is about, made out to those
//! who asked to hear of it, and kept until it was delivered or given up.

use quire_domain::attempt::AttemptState;
use quire_domain::ids::{TaskId, TeamId};
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::connection::Promise;
use crate::error::StoreError;
use crate::read::not_found;
use crate::rows::{self, to_json};
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};
use crate::subscription;

/// What people may want to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A task waits for a person, or stands still.
    NeedsYou,
    /// A task ended.
    Ended,
    /// A step of a task's plan is done, or its checks began.
    Progress,
    /// Somebody wants to see whether a subscription works: nothing happened.
    Test,
}

impl NoticeKind {
    /// What is sent to who says nothing else.
    pub const DEFAULT: [Self; 2] = [Self::NeedsYou, Self::Ended];

    /// The word used on the wire and at the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeedsYou => "needs_you",
            Self::Ended => "ended",
            Self::Progress => "progress",
            Self::Test => "test",
        }
    }

    /// What a state is news of, if of anything.
    fn of(state: &AttemptState) -> Option<Self> {
        match state {
            AttemptState::WaitingForUser
            | AttemptState::WaitingForApproval
            | AttemptState::Suspended { .. } => Some(Self::NeedsYou),
            AttemptState::Done { .. } => Some(Self::Ended),
            AttemptState::Queued | AttemptState::Preparing | AttemptState::Working => None,
        }
    }
}

/// What is told of a task. What a webhook's body holds is made of this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What kind of news it is.
    pub kind: NoticeKind,
    /// The task's number; a test is about none.
    pub task: Option<u64>,
    /// Its title.
    pub title: String,
    /// Its repository; empty where there is no task.
    pub repository: String,
    /// The word for where it stands; empty where there is no task.
    pub state: String,
    /// What happened, where the state does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, or tried again, when it is due.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was not, as often as it was tried.
    GivenUp,
}

impl DeliveryState {
    /// The word used in the table and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// A notice on its way to one who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, the same at each try.
    pub id: Uuid,
    /// To whom.
    pub subscription: Uuid,
    /// What.
    pub notice: Notice,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, while it waits.
    pub due_at: Timestamp,
    /// The status of the last answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong last.
    pub detail: String,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Where the delivery stands now.
    pub state: DeliveryState,
    /// When to try next, where it waits.
    pub due_at: Timestamp,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong, cut at 1 KiB; empty where nothing did.
    pub detail: String,
}

/// The longest word of what went wrong, in characters.
const MAX_DETAIL_CHARS: usize = 1024;

impl Store {
    /// Tells of something that is no change of a task's state, if anybody asked for such news.
    pub async fn tell_progress(&self, task: TaskId, detail: &str, now: Timestamp) -> Result<()> {
        let asked = query(
            "SELECT 1 FROM subscriptions s JOIN tasks t ON t.team = s.team
             WHERE t.id = $1 AND s.deleted_at IS NULL AND s.kinds LIKE '%\"progress\"%' LIMIT 1",
        )
        .bind(task)
        .fetch_optional(self.database.reader().await?.connection()?)
        .await?;
        if asked.is_none() {
            return Ok(());
        }
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        write(transaction.connection()?, task, NoticeKind::Progress, Some(detail), now).await?;
        transaction.commit().await
    }

    /// Makes out what is new to everyone who asked for it, at most 256 pieces of news at once; gives
    /// how many there were.
    pub async fn make_out_deliveries(&self, now: Timestamp) -> Result<u32> {
        let open = query("SELECT 1 FROM outbox WHERE done_at IS NULL LIMIT 1")
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        if open.is_none() {
            return Ok(0);
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let new = query(
            "SELECT number, kind, team FROM outbox WHERE done_at IS NULL ORDER BY number LIMIT 256",
        )
        .fetch_all(connection)
        .await?;
        for row in &new {
            let number: i64 = rows::number(row, "number")?;
            let kind = rows::text(row, "kind")?;
            for to in subscription::of_team(connection, TeamId(rows::id(row, "team")?)).await? {
                if !to.kinds.iter().any(|wanted| wanted.as_str() == kind) {
                    continue;
                }
                self.make_out(connection, number, to.id, now).await?;
            }
            query("UPDATE outbox SET done_at = $2 WHERE number = $1")
                .bind(number)
                .bind(now)
                .execute(connection)
                .await?;
        }
        transaction.commit().await?;
        Ok(u32::try_from(new.len()).unwrap_or(u32::MAX))
    }

    /// Deliveries that are due at `now`, those that waited longest first, at most `limit`.
    pub async fn due_deliveries(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>> {
        let rows = query(
            "SELECT d.*, o.body FROM deliveries d JOIN outbox o ON o.number = d.outbox
             WHERE d.state = 'waiting' AND d.due_at <= $1 ORDER BY d.due_at LIMIT $2",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// When the next delivery is due, if any waits.
    pub async fn next_delivery(&self) -> Result<Option<Timestamp>> {
        let row = query("SELECT min(due_at) AS due_at FROM deliveries WHERE state = 'waiting'")
            .fetch_one(self.database.reader().await?.connection()?)
            .await?;
        Ok(rows::optional_number(&row, "due_at")?.map(Timestamp))
    }

    /// Notes how a try ended.
    pub async fn delivery_tried(&self, id: Uuid, tried: &Tried, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let detail: String = tried.detail.chars().take(MAX_DETAIL_CHARS).collect();
        query(
            "UPDATE deliveries SET state = $2, tries = tries + 1, due_at = $3, status = $4,
                    detail = $5, updated_at = $6
             WHERE id = $1 AND state = 'waiting'",
        )
        .bind(id)
        .bind(tried.state.as_str())
        .bind(tried.due_at)
        .bind(tried.status.map(i64::from))
        .bind(detail)
        .bind(now)
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await
    }

    /// What was sent, or tried to be, to one who asked for it: the newest first, at most `limit`.
    pub async fn deliveries(&self, subscription: Uuid, limit: u32) -> Result<Vec<Delivery>> {
        let rows = query(
            "SELECT d.*, o.body FROM deliveries d JOIN outbox o ON o.number = d.outbox
             WHERE d.subscription = $1 ORDER BY d.updated_at DESC, d.id DESC LIMIT $2",
        )
        .bind(subscription)
        .bind(limit.min(500))
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// One delivery.
    pub async fn delivery(&self, id: Uuid) -> Result<Delivery> {
        let row = query(
            "SELECT d.*, o.body FROM deliveries d JOIN outbox o ON o.number = d.outbox
             WHERE d.id = $1",
        )
        .bind(id)
        .fetch_optional(self.database.reader().await?.connection()?)
        .await?;
        delivery(&row.ok_or_else(|| not_found("delivery", id))?)
    }

    /// Sends a delivery of a team once more, however it ended.
    pub async fn redeliver(&self, team: TeamId, id: Uuid, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let found = query(
            "UPDATE deliveries SET state = 'waiting', tries = 0, due_at = $3, updated_at = $3
             WHERE id = $1 AND subscription IN
                (SELECT id FROM subscriptions WHERE team = $2 AND deleted_at IS NULL)",
        )
        .bind(id)
        .bind(team)
        .bind(now)
        .execute(connection)
        .await?;
        if found == 0 {
            return Err(not_found("delivery", id));
        }
        let note = subscription::note(team, "notice.redeliver", id, serde_json::Value::Null);
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Sends a piece of news without a task to one who is told of a team's, to see whether it comes.
    pub async fn send_test(&self, team: TeamId, to: Uuid, now: Timestamp) -> Result<Uuid> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let known =
            query("SELECT 1 FROM subscriptions WHERE id = $1 AND team = $2 AND deleted_at IS NULL")
                .bind(to)
                .bind(team)
                .fetch_optional(connection)
                .await?;
        if known.is_none() {
            return Err(not_found("subscription", to));
        }
        let notice = Notice {
            kind: NoticeKind::Test,
            task: None,
            title: "A test: what tasks do will come here.".to_owned(),
            repository: String::new(),
            state: String::new(),
            detail: None,
            at: now,
        };
        let row = query(
            "INSERT INTO outbox (kind, team, body, created_at, done_at) VALUES ($1, $2, $3, $4, $4)
             RETURNING number",
        )
        .bind(NoticeKind::Test.as_str())
        .bind(team)
        .bind(to_json(&notice)?)
        .bind(now)
        .fetch_one(connection)
        .await?;
        let id = self.make_out(connection, rows::number(&row, "number")?, to, now).await?;
        let note = subscription::note(team, "notice.test", to, serde_json::Value::Null);
        self.write_down(connection, note, now).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Makes a piece of news out to one who asked for it.
    async fn make_out(
        &self,
        connection: &mut Connection,
        news: i64,
        to: Uuid,
        now: Timestamp,
    ) -> Result<Uuid> {
        let id = self.ids.uuid(now);
        query(
            "INSERT INTO deliveries (id, outbox, subscription, state, tries, due_at, updated_at)
             VALUES ($1, $2, $3, 'waiting', 0, $4, $4)",
        )
        .bind(id)
        .bind(news)
        .bind(to)
        .bind(now)
        .execute(connection)
        .await?;
        Ok(id)
    }

    /// Forgets what was told before `before` and is no longer on its way.
    pub async fn forget_deliveries(&self, before: Timestamp) -> Result<u64> {
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        let connection = transaction.connection()?;
        query("DELETE FROM deliveries WHERE state <> 'waiting' AND updated_at < $1")
            .bind(before)
            .execute(connection)
            .await?;
        let gone = query(
            "DELETE FROM outbox WHERE done_at < $1
             AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.outbox = outbox.number)",
        )
        .bind(before)
        .execute(connection)
        .await?;
        transaction.commit().await?;
        Ok(gone)
    }
}

/// Notes that a task's state changed to `state`, if that is news to anybody: inside the transaction
/// that changed it.
pub(crate) async fn note_state(
    connection: &mut Connection,
    task: TaskId,
    state: &AttemptState,
    now: Timestamp,
) -> Result<()> {
    match NoticeKind::of(state) {
        Some(kind) => write(connection, task, kind, None, now).await,
        None => Ok(()),
    }
}

async fn write(
    connection: &mut Connection,
    task: TaskId,
    kind: NoticeKind,
    detail: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    // Where nobody is to be told, as on most machines of one person, this is all it costs.
    let row = query(
        "SELECT number, title, repository, state_word, team FROM tasks
         WHERE id = $1 AND team IN (SELECT team FROM subscriptions WHERE deleted_at IS NULL)",
    )
    .bind(task)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let notice = Notice {
        kind,
        task: Some(rows::number(&row, "number")?),
        title: rows::text(&row, "title")?,
        repository: rows::text(&row, "repository")?,
        state: rows::text(&row, "state_word")?,
        detail: detail.map(|detail| detail.chars().take(MAX_DETAIL_CHARS).collect()),
        at: now,
    };
    query("INSERT INTO outbox (kind, team, subject, body, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(kind.as_str())
        .bind(TeamId(rows::id(&row, "team")?))
        .bind(task)
        .bind(to_json(&notice)?)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

fn delivery(row: &Row) -> Result<Delivery> {
    let state = match &*rows::text(row, "state")? {
        "waiting" => DeliveryState::Waiting,
        "delivered" => DeliveryState::Delivered,
        "given_up" => DeliveryState::GivenUp,
        other => return Err(StoreError::Damaged(format!("no delivery is `{other}`"))),
    };
    Ok(Delivery {
        id: rows::id(row, "id")?,
        subscription: rows::id(row, "subscription")?,
        notice: rows::json(row, "body")?,
        state,
        tries: rows::number(row, "tries")?,
        due_at: Timestamp(rows::number(row, "due_at")?),
        status: rows::optional_number(row, "status")?,
        detail: rows::text(row, "detail")?,
        updated_at: Timestamp(rows::number(row, "updated_at")?),
    })
}
