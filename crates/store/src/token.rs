//! Bearer tokens: what is kept of them is a hash, what they narrow, and until when they hold.

use std::collections::BTreeSet;

use quire_domain::access::{Limits, Right};
use quire_domain::ids::{TeamId, TokenId, UserId};
use quire_domain::time::Timestamp;
use serde_json::json;

use crate::audit::Note;
use crate::connection::Promise;
use crate::read::not_found;
use crate::rows;
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};
use crate::submit::bounded;

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Whose it is; of a service, who made it.
    pub owner: UserId,
    /// What it is for, in its owner's words.
    pub name: String,
    /// Whether it is a service's: its rights are its own then, in its team.
    pub service: bool,
    /// What it narrows its owner's rights to.
    pub limits: Limits,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take five minutes.
    pub used_at: Option<Timestamp>,
    /// Since when it is void.
    pub revoked_at: Option<Timestamp>,
}

/// A token to keep.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The SHA-256 of the whole token.
    pub hash: [u8; 32],
    /// Whose it is.
    pub owner: UserId,
    /// What it is for, 1 to 100 bytes.
    pub name: String,
    /// Whether it is a service's; `limits` then name rights and a team.
    pub service: bool,
    /// What it narrows its owner's rights to.
    pub limits: Limits,
    /// Until when it holds.
    pub expires_at: Option<Timestamp>,
    /// The time.
    pub now: Timestamp,
}

/// How precisely it is kept when something was last used, in milliseconds.
pub(crate) const USED_EVERY: u64 = 5 * 60 * 1000;

const COLUMNS: &str = "id, owner, team, name, service, scopes, created_at, expires_at, used_at,
    revoked_at";

impl Store {
    /// Keeps a token. On disk when it returns.
    pub async fn add_token(&self, new: NewToken) -> Result<Token> {
        bounded("bytes of the token's name", new.name.len(), 100)?;
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let token = Token {
            id: TokenId(self.ids.uuid(new.now)),
            owner: new.owner,
            name: new.name,
            service: new.service,
            limits: new.limits,
            created_at: new.now,
            expires_at: new.expires_at,
            used_at: None,
            revoked_at: None,
        };
        query(
            "INSERT INTO tokens
                (id, hash, owner, team, name, service, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(token.id.0)
        .bind(new.hash.as_slice())
        .bind(token.owner)
        .bind(token.limits.team)
        .bind(&token.name)
        .bind(token.service)
        .bind(rows::to_json(&token.limits.rights)?)
        .bind(new.now)
        .bind(token.expires_at)
        .execute(connection)
        .await?;
        let note = Note {
            team: token.limits.team,
            action: "token.create",
            subject: format!("token {}", token.id),
            detail: json!({ "name": token.name, "service": token.service,
                            "rights": token.limits.rights,
                            "expires_at": token.expires_at.map(|at| at.0) }),
        };
        self.write_down(connection, note, new.now).await?;
        transaction.commit().await?;
        Ok(token)
    }

    /// Somebody's own tokens, newest first, those of services left out; at most 1,000.
    pub async fn tokens_of(&self, owner: UserId) -> Result<Vec<Token>> {
        let text = format!(
            "SELECT {COLUMNS} FROM tokens WHERE owner = $1 AND service = 0
             ORDER BY created_at DESC LIMIT 1000"
        );
        let mut reader = self.database.reader().await?;
        let rows = query(text).bind(owner).fetch_all(reader.connection()?).await?;
        rows.iter().map(token).collect()
    }

    /// The tokens of a team's services, newest first; at most 1,000.
    pub async fn service_tokens(&self, team: TeamId) -> Result<Vec<Token>> {
        let text = format!(
            "SELECT {COLUMNS} FROM tokens WHERE team = $1 AND service = 1
             ORDER BY created_at DESC LIMIT 1000"
        );
        let mut reader = self.database.reader().await?;
        let rows = query(text).bind(team).fetch_all(reader.connection()?).await?;
        rows.iter().map(token).collect()
    }

    /// A token by its id.
    pub async fn token(&self, id: TokenId) -> Result<Token> {
        let text = format!("SELECT {COLUMNS} FROM tokens WHERE id = $1");
        let mut reader = self.database.reader().await?;
        let row = query(text).bind(id.0).fetch_optional(reader.connection()?).await?;
        token(&row.ok_or_else(|| not_found("token", id))?)
    }

    /// Makes a token void, for good. Nothing happens to one that is.
    pub async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let text = format!("SELECT {COLUMNS} FROM tokens WHERE id = $1");
        let row = query(text).bind(id.0).fetch_optional(connection).await?;
        let found = token(&row.ok_or_else(|| not_found("token", id))?)?;
        if found.revoked_at.is_some() {
            return Ok(());
        }
        query("UPDATE tokens SET revoked_at = $2 WHERE id = $1")
            .bind(id.0)
            .bind(now)
            .execute(connection)
            .await?;
        let note = Note {
            team: found.limits.team,
            action: "token.revoke",
            subject: format!("token {id}"),
            detail: json!({ "name": found.name, "service": found.service }),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Makes all tokens of an owner with this name void: what a restarted server made before.
    pub async fn revoke_tokens_named(
        &self,
        owner: UserId,
        name: &str,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        query(
            "UPDATE tokens SET revoked_at = $3
             WHERE owner = $1 AND name = $2 AND revoked_at IS NULL",
        )
        .bind(owner)
        .bind(name)
        .bind(now)
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await
    }

    /// Remembers that a token was used, if the last time is five minutes ago.
    pub(crate) async fn token_used(&self, token: &Token, now: Timestamp) -> Result<()> {
        if token.used_at.is_some_and(|last| now.0 < last.0.saturating_add(USED_EVERY)) {
            return Ok(());
        }
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        query("UPDATE tokens SET used_at = $2 WHERE id = $1")
            .bind(token.id.0)
            .bind(now)
            .execute(transaction.connection()?)
            .await?;
        transaction.commit().await
    }
}

/// The token with this hash, if it holds.
pub(crate) async fn by_hash(
    connection: &mut Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Token>> {
    let text = format!(
        "SELECT {COLUMNS} FROM tokens WHERE hash = $1 AND revoked_at IS NULL
         AND (expires_at IS NULL OR expires_at > $2)"
    );
    let row = query(text).bind(hash.as_slice()).bind(now).fetch_optional(connection).await?;
    row.as_ref().map(token).transpose()
}

fn token(row: &Row) -> Result<Token> {
    let rights: Option<BTreeSet<Right>> = rows::json(row, "scopes")?;
    Ok(Token {
        id: TokenId(rows::id(row, "id")?),
        owner: UserId(rows::id(row, "owner")?),
        name: rows::text(row, "name")?,
        service: rows::number::<u8>(row, "service")? != 0,
        limits: Limits { rights, team: rows::optional_id(row, "team")?.map(TeamId) },
        created_at: Timestamp(rows::number(row, "created_at")?),
        expires_at: rows::optional_number(row, "expires_at")?.map(Timestamp),
        used_at: rows::optional_number(row, "used_at")?.map(Timestamp),
        revoked_at: rows::optional_number(row, "revoked_at")?.map(Timestamp),
    })
}
