//! Who is told of a team's tasks, how, and of what.

use quire_domain::ids::{TeamId, UserId};
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::audit::Note;
use crate::connection::Promise;
use crate::error::StoreError;
use crate::outbox::NoticeKind;
use crate::read::not_found;
use crate::rows::{self, to_json};
use crate::seal::Sealed;
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};
use crate::submit::bounded;

/// How somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By a signed request.
    Webhook,
    /// By e-mail.
    Email,
}

impl Channel {
    /// The word used in the table, on the wire and at the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

/// Somebody to be told of a team's tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: Uuid,
    /// Whose tasks.
    pub team: TeamId,
    /// Who set it up.
    pub owner: UserId,
    /// How.
    pub channel: Channel,
    /// Where to: a URL or an e-mail address.
    pub target: String,
    /// Of what.
    pub kinds: Vec<NoticeKind>,
    /// What webhooks are signed with, sealed for [`Subscription::place`].
    pub secret: Option<Sealed>,
    /// When it was set up.
    pub created_at: Timestamp,
}

impl Subscription {
    /// What a subscription's secret is sealed for.
    pub fn place(id: Uuid) -> String {
        format!("subscription/{id}")
    }
}

/// The longest address of a subscription, in bytes.
const MAX_TARGET_BYTES: usize = 2048;

/// Subscriptions of one team.
const MAX_SUBSCRIPTIONS: usize = 100;

impl Store {
    /// Adds somebody to be told. At most 100 of a team.
    pub async fn subscribe(&self, new: &Subscription) -> Result<()> {
        bounded("bytes of the address", new.target.len(), MAX_TARGET_BYTES)?;
        bounded("kinds of news", new.kinds.len(), 3)?;
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let row =
            query("SELECT count(*) AS n FROM subscriptions WHERE team = $1 AND deleted_at IS NULL")
                .bind(new.team)
                .fetch_one(connection)
                .await?;
        bounded(
            "subscriptions of a team",
            rows::number::<usize>(&row, "n")? + 1,
            MAX_SUBSCRIPTIONS,
        )?;
        query(
            "INSERT INTO subscriptions
                (id, team, owner, channel, target, kinds, secret, nonce, key_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(new.id)
        .bind(new.team)
        .bind(new.owner)
        .bind(new.channel.as_str())
        .bind(&*new.target)
        .bind(to_json(&new.kinds)?)
        .bind(new.secret.as_ref().map(|sealed| &*sealed.bytes))
        .bind(new.secret.as_ref().map(|sealed| &sealed.nonce[..]))
        .bind(new.secret.as_ref().map(|sealed| &*sealed.key_id))
        .bind(new.created_at)
        .execute(connection)
        .await?;
        let detail = serde_json::json!({ "channel": new.channel.as_str(), "target": new.target });
        self.write_down(
            connection,
            note(new.team, "notice.subscribe", new.id, detail),
            new.created_at,
        )
        .await?;
        transaction.commit().await
    }

    /// Who is told of a team's tasks, oldest first.
    pub async fn subscriptions(&self, team: TeamId) -> Result<Vec<Subscription>> {
        let mut reader = self.database.reader().await?;
        of_team(reader.connection()?, team).await
    }

    /// One of them, also after it was taken away.
    pub async fn subscription(&self, id: Uuid) -> Result<Subscription> {
        let row = query("SELECT * FROM subscriptions WHERE id = $1")
            .bind(id)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        subscription(&row.ok_or_else(|| not_found("subscription", id))?)
    }

    /// Signs what a webhook is sent with another secret from now on, also what waits already.
    pub async fn sign_anew(
        &self,
        team: TeamId,
        id: Uuid,
        secret: &Sealed,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let changed = query(
            "UPDATE subscriptions SET secret = $3, nonce = $4, key_id = $5
             WHERE id = $1 AND team = $2 AND channel = 'webhook' AND deleted_at IS NULL",
        )
        .bind(id)
        .bind(team)
        .bind(&*secret.bytes)
        .bind(&secret.nonce[..])
        .bind(&*secret.key_id)
        .execute(connection)
        .await?;
        if changed == 0 {
            return Err(not_found("webhook", id));
        }
        let note = note(team, "notice.rotate", id, serde_json::Value::Null);
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Tells somebody no more; what was on its way to them is given up.
    pub async fn unsubscribe(&self, team: TeamId, id: Uuid, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let gone = query(
            "UPDATE subscriptions SET deleted_at = $3
             WHERE id = $1 AND team = $2 AND deleted_at IS NULL",
        )
        .bind(id)
        .bind(team)
        .bind(now)
        .execute(connection)
        .await?;
        if gone == 0 {
            return Err(not_found("subscription", id));
        }
        query(
            "UPDATE deliveries SET state = 'given_up', detail = 'nobody is to be told any more',
                    updated_at = $2
             WHERE subscription = $1 AND state = 'waiting'",
        )
        .bind(id)
        .bind(now)
        .execute(connection)
        .await?;
        let note = note(team, "notice.unsubscribe", id, serde_json::Value::Null);
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }
}

pub(crate) fn note(
    team: TeamId,
    action: &'static str,
    id: Uuid,
    detail: serde_json::Value,
) -> Note {
    Note { team: Some(team), action, subject: format!("subscription {id}"), detail }
}

/// Those of a team, oldest first.
pub(crate) async fn of_team(
    connection: &mut Connection,
    team: TeamId,
) -> Result<Vec<Subscription>> {
    let rows = query(
        "SELECT * FROM subscriptions WHERE team = $1 AND deleted_at IS NULL ORDER BY created_at, id",
    )
    .bind(team)
    .fetch_all(connection)
    .await?;
    rows.iter().map(subscription).collect()
}

fn subscription(row: &Row) -> Result<Subscription> {
    let channel = match &*rows::text(row, "channel")? {
        "webhook" => Channel::Webhook,
        "email" => Channel::Email,
        other => return Err(StoreError::Damaged(format!("there is no channel `{other}`"))),
    };
    let secret = match rows::optional_bytes(row, "secret")? {
        None => None,
        Some(bytes) => Some(Sealed {
            key_id: rows::text(row, "key_id")?,
            nonce: rows::bytes(row, "nonce")?
                .try_into()
                .map_err(|_| StoreError::Damaged("a nonce of another length".to_owned()))?,
            bytes,
        }),
    };
    Ok(Subscription {
        id: rows::id(row, "id")?,
        team: TeamId(rows::id(row, "team")?),
        owner: UserId(rows::id(row, "owner")?),
        channel,
        target: rows::text(row, "target")?,
        kinds: rows::json(row, "kinds")?,
        secret,
        created_at: Timestamp(rows::number(row, "created_at")?),
    })
}
