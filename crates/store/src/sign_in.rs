//! Signing in: links that do it once, failures that make it slower, and who comes with what.

use quire_domain::access::{Grants, LOCAL_USER, Role};
use quire_domain::ids::UserId;
use quire_domain::time::Timestamp;
use serde_json::json;

use crate::audit::Note;
use crate::connection::Promise;
use crate::read::not_found;
use crate::rows;
use crate::session::{self, Session};
use crate::sql::{Connection, query};
use crate::store::{Result, Store};
use crate::team::{self, Team};
use crate::token::{self, Token};
use crate::user::{self, User};

/// Somebody who came with a token or a cookie that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Who.
    pub user: User,
    /// Their teams, with what they are there.
    pub teams: Vec<(Team, Role)>,
    /// What they came with.
    pub by: Means,
    /// What they may do.
    pub grants: Grants,
}

/// What somebody came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// A bearer token.
    Token(Token),
    /// A browser's cookie.
    Session(Session),
    /// What only who runs the server on its machine has.
    Machine,
}

/// How often somebody failed to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// How often, since the last time it worked.
    pub count: u32,
    /// Until when no try is taken.
    pub locked_until: Timestamp,
}

/// Failures are forgotten after this time without another, in milliseconds: a day.
const FORGOTTEN_AFTER: u64 = 24 * 60 * 60 * 1000;

impl Store {
    /// Who has the token with this hash, if it holds and they may come in. Remembers the use.
    pub async fn who_has_token(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Known>> {
        let known = {
            let mut reader = self.database.reader().await?;
            let connection = reader.connection()?;
            let Some(token) = token::by_hash(connection, hash, now).await? else { return Ok(None) };
            known(connection, token.owner, Means::Token(token)).await?
        };
        if let Some(Known { by: Means::Token(token), .. }) = &known {
            self.token_used(token, now).await?;
        }
        Ok(known)
    }

    /// Who runs the server on its machine.
    pub async fn who_runs_the_machine(&self) -> Result<Known> {
        let mut reader = self.database.reader().await?;
        let known = known(reader.connection()?, LOCAL_USER, Means::Machine).await?;
        known.ok_or_else(|| not_found("user", LOCAL_USER))
    }

    /// Who has the cookie with this hash, if it holds and they may come in. Remembers the use.
    pub async fn who_has_session(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Known>> {
        let known = {
            let mut reader = self.database.reader().await?;
            let connection = reader.connection()?;
            let found = session::by_hash(connection, hash, now).await?;
            let Some(session) = found else { return Ok(None) };
            known(connection, session.owner, Means::Session(session)).await?
        };
        if let Some(Known { by: Means::Session(session), .. }) = &known {
            self.session_seen(session, now).await?;
        }
        Ok(known)
    }

    /// Keeps a link that signs somebody in once. `hash` is of its secret.
    pub async fn add_sign_in_link(
        &self,
        hash: &[u8; 32],
        owner: UserId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let person = user::by_id(connection, owner).await?;
        query("DELETE FROM sign_in_links WHERE expires_at <= $1")
            .bind(now)
            .execute(connection)
            .await?;
        query("INSERT INTO sign_in_links (hash, owner, expires_at) VALUES ($1, $2, $3)")
            .bind(hash.as_slice())
            .bind(owner)
            .bind(expires_at)
            .execute(connection)
            .await?;
        let note = Note {
            team: None,
            action: "user.link",
            subject: format!("user {}", person.name),
            detail: json!({ "expires_at": expires_at.0 }),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Uses a link up, and gives whom it signs in. Of several at once one gets it.
    pub async fn use_sign_in_link(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<User>> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let row = query(
            "SELECT owner FROM sign_in_links
             WHERE hash = $1 AND used_at IS NULL AND expires_at > $2",
        )
        .bind(hash.as_slice())
        .bind(now)
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let owner = user::by_id(connection, UserId(rows::id(&row, "owner")?)).await?;
        if owner.disabled_at.is_some() {
            return Ok(None);
        }
        query("UPDATE sign_in_links SET used_at = $2 WHERE hash = $1")
            .bind(hash.as_slice())
            .bind(now)
            .execute(connection)
            .await?;
        transaction.commit().await?;
        Ok(Some(owner))
    }

    /// How often each of `subjects` failed, in their order.
    pub async fn sign_in_failures(
        &self,
        subjects: &[&str],
        now: Timestamp,
    ) -> Result<Vec<Failures>> {
        let mut reader = self.database.reader().await?;
        let connection = reader.connection()?;
        let mut found = Vec::with_capacity(subjects.len());
        for subject in subjects {
            found.push(failures(connection, subject, now).await?);
        }
        Ok(found)
    }

    /// Counts a try of a subject as failed, before it is known: of many at once each counts. `lock`
    /// says for how many milliseconds so many failures lock it. One that is locked is left as it
    /// is. Gives how it stood before.
    pub async fn count_sign_in(
        &self,
        subject: &str,
        now: Timestamp,
        lock: fn(u32) -> u64,
    ) -> Result<Failures> {
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        let connection = transaction.connection()?;
        let before = failures(connection, subject, now).await?;
        if before.locked_until > now {
            return Ok(before);
        }
        query("DELETE FROM sign_in_failures WHERE last_at <= $1")
            .bind(Timestamp(now.0.saturating_sub(FORGOTTEN_AFTER)))
            .execute(connection)
            .await?;
        let count = before.count.saturating_add(1);
        query(
            "INSERT INTO sign_in_failures (subject, failures, last_at, locked_until)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (subject) DO UPDATE SET failures = excluded.failures,
                 last_at = excluded.last_at, locked_until = excluded.locked_until",
        )
        .bind(subject)
        .bind(count)
        .bind(now)
        .bind(Timestamp(now.0.saturating_add(lock(count))))
        .execute(connection)
        .await?;
        transaction.commit().await?;
        Ok(before)
    }

    /// Forgets the failures of a subject: it worked.
    pub async fn forget_sign_in_failures(&self, subject: &str) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        query("DELETE FROM sign_in_failures WHERE subject = $1")
            .bind(subject)
            .execute(transaction.connection()?)
            .await?;
        transaction.commit().await
    }
}

/// What somebody may do with what they came with; `None` if they are disabled.
async fn known(connection: &mut Connection, owner: UserId, by: Means) -> Result<Option<Known>> {
    let user = user::by_id(connection, owner).await?;
    let teams = team::memberships(connection, owner).await?;
    let roles = teams.iter().map(|(team, role)| (team.id, *role));
    let own = Grants::new(roles, user.admin);
    let grants = match &by {
        Means::Token(token) if token.service => {
            let (Some(team), Some(rights)) = (token.limits.team, token.limits.rights.clone())
            else {
                return Ok(None);
            };
            let team = team::by_id(connection, team).await?;
            let grants = Grants::of_service(team.id, rights);
            let teams = vec![(team, Role::Admin)];
            return Ok(Some(Known { user, teams, by, grants }));
        }
        Means::Token(token) => own.within(token.limits.clone()),
        Means::Session(_) | Means::Machine => own,
    };
    if user.disabled_at.is_some() {
        return Ok(None);
    }
    let teams = teams.into_iter().filter(|(team, _)| grants.belongs_to(team.id)).collect();
    Ok(Some(Known { user, teams, by, grants }))
}

async fn failures(connection: &mut Connection, subject: &str, now: Timestamp) -> Result<Failures> {
    let row = query(
        "SELECT failures, locked_until FROM sign_in_failures
         WHERE subject = $1 AND last_at > $2",
    )
    .bind(subject)
    .bind(Timestamp(now.0.saturating_sub(FORGOTTEN_AFTER)))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(Failures::default()) };
    Ok(Failures {
        count: rows::number(&row, "failures")?,
        locked_until: Timestamp(rows::number(&row, "locked_until")?),
    })
}
