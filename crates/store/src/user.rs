//! People who may sign in.

use quire_domain::access::{LOCAL_USER, UserName};
use quire_domain::ids::UserId;
use quire_domain::secret::Secret;
use quire_domain::time::Timestamp;
use serde_json::json;

use crate::audit::Note;
use crate::connection::Promise;
use crate::error::StoreError;
use crate::read::not_found;
use crate::rows;
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};
use crate::submit::bounded;

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// What they type to sign in.
    pub name: UserName,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// Whether they administer the whole installation.
    pub admin: bool,
    /// Whether they can sign in with a password.
    pub has_password: bool,
    /// Who they are to the provider of sign-ins, if it brought them.
    pub identity: Option<Identity>,
    /// When they were added.
    pub created_at: Timestamp,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
}

/// Who somebody is to a provider of sign-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// Its name for the person, which never changes.
    pub subject: String,
}

/// Somebody to add.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// What they type to sign in.
    pub name: UserName,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// Whether they administer the whole installation.
    pub admin: bool,
    /// The hash of their password, in its PHC form.
    pub password: Option<Secret<String>>,
    /// Who they are to a provider of sign-ins.
    pub identity: Option<Identity>,
    /// The time.
    pub now: Timestamp,
}

/// What to change of somebody; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// `true` ends their sessions and tokens at once.
    pub disabled: Option<bool>,
    /// Whether they administer the whole installation.
    pub admin: Option<bool>,
    /// Where mail reaches them; an empty text takes it away.
    pub email: Option<String>,
}

/// How the columns of a user are read; their password's hash is not among them.
pub(crate) const COLUMNS: &str = "u.id, u.name, u.email, u.admin, u.oidc_issuer, u.oidc_subject,
    u.created_at, u.disabled_at, CASE WHEN u.password IS NULL THEN 0 ELSE 1 END AS has_password";

/// The most that are listed.
const MOST: u32 = 10_000;

impl Store {
    /// Adds somebody. On disk when it returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] if there is one of that name, or of that identity.
    pub async fn add_user(&self, new: NewUser) -> Result<User> {
        if let Some(email) = &new.email {
            bounded("bytes of the address for mail", email.len(), 254)?;
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        if by_name(connection, &new.name).await?.is_some() {
            return Err(StoreError::Taken { what: "user", name: new.name.to_string() });
        }
        if let Some(identity) = &new.identity
            && by_identity(connection, identity).await?.is_some()
        {
            return Err(StoreError::Taken { what: "identity", name: identity.subject.clone() });
        }
        let id = UserId(self.ids.uuid(new.now));
        query(
            "INSERT INTO users
                (id, name, email, password, oidc_issuer, oidc_subject, admin, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id)
        .bind(new.name.as_str())
        .bind(new.email.as_deref())
        .bind(new.password.as_ref().map(|hash| hash.reveal().as_str()))
        .bind(new.identity.as_ref().map(|identity| identity.issuer.as_str()))
        .bind(new.identity.as_ref().map(|identity| identity.subject.as_str()))
        .bind(new.admin)
        .bind(new.now)
        .execute(connection)
        .await?;
        let note = Note {
            team: None,
            action: "user.add",
            subject: format!("user {}", new.name),
            detail: json!({ "admin": new.admin }),
        };
        self.write_down(connection, note, new.now).await?;
        let user = by_id(connection, id).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Everybody, by name; at most 10,000.
    pub async fn users(&self) -> Result<Vec<User>> {
        let rows = query(format!("SELECT {COLUMNS} FROM users u ORDER BY u.name LIMIT $1"))
            .bind(MOST)
            .fetch_all(self.database.reader().await?.connection()?)
            .await?;
        rows.iter().map(user).collect()
    }

    /// Whether anybody but who runs the installation may sign in.
    pub async fn has_users(&self) -> Result<bool> {
        let row = query(
            "SELECT name FROM users WHERE id <> $1 AND disabled_at IS NULL
             AND (password IS NOT NULL OR oidc_subject IS NOT NULL) LIMIT 1",
        )
        .bind(LOCAL_USER)
        .fetch_optional(self.database.reader().await?.connection()?)
        .await?;
        Ok(row.is_some())
    }

    /// Somebody by id.
    pub async fn user(&self, user: UserId) -> Result<User> {
        by_id(self.database.reader().await?.connection()?, user).await
    }

    /// Somebody by name.
    pub async fn user_by_name(&self, name: &UserName) -> Result<User> {
        let found = by_name(self.database.reader().await?.connection()?, name).await?;
        found.ok_or_else(|| not_found("user", name))
    }

    /// Somebody by who they are to a provider of sign-ins.
    pub async fn user_by_identity(&self, identity: &Identity) -> Result<Option<User>> {
        by_identity(self.database.reader().await?.connection()?, identity).await
    }

    /// The hash of somebody's password, if they have one.
    pub async fn password_of(&self, user: UserId) -> Result<Option<Secret<String>>> {
        let row = query("SELECT password FROM users WHERE id = $1")
            .bind(user)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        let row = row.ok_or_else(|| not_found("user", user))?;
        Ok(rows::optional_text(&row, "password")?.map(Secret::new))
    }

    /// Gives somebody another password (`None` takes it away), and ends their sessions.
    pub async fn set_password(
        &self,
        user: UserId,
        password: Option<Secret<String>>,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let found = by_id(connection, user).await?;
        query("UPDATE users SET password = $2 WHERE id = $1")
            .bind(user)
            .bind(password.as_ref().map(|hash| hash.reveal().as_str()))
            .execute(connection)
            .await?;
        query("DELETE FROM sessions WHERE owner = $1").bind(user).execute(connection).await?;
        // A link that was made out before would sign in whoever was to be kept out.
        query("DELETE FROM sign_in_links WHERE owner = $1").bind(user).execute(connection).await?;
        let note = Note {
            team: None,
            action: "user.password",
            subject: format!("user {}", found.name),
            detail: json!({ "set": password.is_some() }),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Changes somebody. Who is disabled loses sessions, links and tokens of their own at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Kept`] for who runs the installation: it would be without administrator.
    pub async fn change_user(
        &self,
        user: UserId,
        change: UserChange,
        now: Timestamp,
    ) -> Result<User> {
        if let Some(email) = change.email.as_ref().filter(|email| !email.is_empty()) {
            bounded("bytes of the address for mail", email.len(), 254)?;
        }
        if user == LOCAL_USER && (change.disabled == Some(true) || change.admin == Some(false)) {
            return Err(StoreError::Kept { what: "user", name: "local".to_owned() });
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let before = by_id(connection, user).await?;
        let disabled_at = match change.disabled {
            None => before.disabled_at,
            Some(true) => before.disabled_at.or(Some(now)),
            Some(false) => None,
        };
        let email = match &change.email {
            None => before.email,
            Some(email) => Some(email.clone()).filter(|email| !email.is_empty()),
        };
        query("UPDATE users SET admin = $2, disabled_at = $3, email = $4 WHERE id = $1")
            .bind(user)
            .bind(change.admin.unwrap_or(before.admin))
            .bind(disabled_at)
            .bind(email.as_deref())
            .execute(connection)
            .await?;
        if change.disabled == Some(true) {
            leave_out(connection, user, now).await?;
        }
        let note = Note {
            team: None,
            action: "user.change",
            subject: format!("user {}", before.name),
            detail: json!({ "disabled": change.disabled, "admin": change.admin,
                            "email": change.email.is_some() }),
        };
        self.write_down(connection, note, now).await?;
        let user = by_id(connection, user).await?;
        transaction.commit().await?;
        Ok(user)
    }
}

/// Ends everything that somebody could come in with. Tokens of services stay: they are their
/// team's.
async fn leave_out(connection: &mut Connection, user: UserId, now: Timestamp) -> Result<()> {
    query("DELETE FROM sessions WHERE owner = $1").bind(user).execute(connection).await?;
    query("DELETE FROM sign_in_links WHERE owner = $1").bind(user).execute(connection).await?;
    query(
        "UPDATE tokens SET revoked_at = $2
         WHERE owner = $1 AND service = 0 AND revoked_at IS NULL",
    )
    .bind(user)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn by_id(connection: &mut Connection, id: UserId) -> Result<User> {
    let row = query(format!("SELECT {COLUMNS} FROM users u WHERE u.id = $1"))
        .bind(id)
        .fetch_optional(connection)
        .await?;
    user(&row.ok_or_else(|| not_found("user", id))?)
}

async fn by_name(connection: &mut Connection, name: &UserName) -> Result<Option<User>> {
    let row = query(format!("SELECT {COLUMNS} FROM users u WHERE u.name = $1"))
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(user).transpose()
}

async fn by_identity(connection: &mut Connection, identity: &Identity) -> Result<Option<User>> {
    let row = query(format!(
        "SELECT {COLUMNS} FROM users u WHERE u.oidc_issuer = $1 AND u.oidc_subject = $2"
    ))
    .bind(&identity.issuer)
    .bind(&identity.subject)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(user).transpose()
}

/// A user from the columns [`COLUMNS`].
pub(crate) fn user(row: &Row) -> Result<User> {
    let name = rows::text(row, "name")?;
    let issuer = rows::optional_text(row, "oidc_issuer")?;
    let subject = rows::optional_text(row, "oidc_subject")?;
    Ok(User {
        id: UserId(rows::id(row, "id")?),
        name: UserName::parse(&name).map_err(|_| StoreError::Damaged("column `name`".into()))?,
        email: rows::optional_text(row, "email")?,
        admin: rows::number::<u8>(row, "admin")? != 0,
        has_password: rows::number::<u8>(row, "has_password")? != 0,
        identity: issuer.zip(subject).map(|(issuer, subject)| Identity { issuer, subject }),
        created_at: Timestamp(rows::number(row, "created_at")?),
        disabled_at: rows::optional_number(row, "disabled_at")?.map(Timestamp),
    })
}
