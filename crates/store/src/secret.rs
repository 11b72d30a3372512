//! Secrets of environments: sealed rows that are opened one at a time, for one use.

use quire_domain::secret::Secret;
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use serde_json::json;

use crate::audit::Note;
use crate::connection::Promise;
use crate::environment::team_of;
use crate::error::StoreError;
use crate::read::not_found;
use crate::rows;
use crate::seal::{SealKey, Sealed};
use crate::sql::query;
use crate::store::{Result, Store};
use crate::submit::bounded;

/// The longest value, in bytes.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Whose secrets: those of one environment.
///
/// A recipe in a repository only names itself, so its secrets belong to the repository as well:
/// another repository cannot take the name and read them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretScope {
    /// Whose environment.
    pub owner: String,
    /// The repository whose recipe it is, as tasks name it; `None` for one that is kept here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The environment.
    pub environment: String,
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// The variable's name.
    pub name: String,
    /// Counted from 1; raised each time a value is set.
    pub version: u32,
    /// When it was set.
    pub at: Timestamp,
}

impl SecretScope {
    /// What a value is sealed for: it opens for this secret and version alone.
    fn place(&self, name: &str, version: u32) -> String {
        // JSON tells the parts apart whatever is in them.
        let parts = (&self.owner, &self.repository, &self.environment, name, version);
        serde_json::to_string(&parts).unwrap_or_default()
    }

    fn repository(&self) -> &str {
        self.repository.as_deref().unwrap_or_default()
    }
}

impl Store {
    /// Sets a secret and gives its version. On disk when it returns; the value is nowhere else.
    ///
    /// # Errors
    ///
    /// [`StoreError::OutOfBounds`] for an empty value or one above 64 KiB, [`StoreError::Sealed`].
    pub async fn set_secret(
        &self,
        key: &SealKey,
        scope: &SecretScope,
        name: &str,
        value: &Secret<Vec<u8>>,
        now: Timestamp,
    ) -> Result<u32> {
        bounded("bytes of the secret's name", name.len(), 128)?;
        bounded("bytes of the secret", value.reveal().len(), MAX_VALUE_BYTES)?;
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let before = query(
            "SELECT version FROM secrets
             WHERE owner = $1 AND repository = $2 AND environment = $3 AND name = $4",
        )
        .bind(&scope.owner)
        .bind(scope.repository())
        .bind(&scope.environment)
        .bind(name)
        .fetch_optional(connection)
        .await?;
        let before: u32 = before.as_ref().map_or(Ok(0), |row| rows::number(row, "version"))?;
        let version = before + 1;
        let sealed = key.seal(&scope.place(name, version), value.reveal())?;
        query(
            "INSERT INTO secrets
             (owner, repository, environment, name, version, key_id, nonce, sealed, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (owner, repository, environment, name)
             DO UPDATE SET version = excluded.version, key_id = excluded.key_id,
                 nonce = excluded.nonce, sealed = excluded.sealed, updated_at = excluded.updated_at",
        )
        .bind(&scope.owner)
        .bind(scope.repository())
        .bind(&scope.environment)
        .bind(name)
        .bind(version)
        .bind(&sealed.key_id)
        .bind(sealed.nonce.as_slice())
        .bind(&sealed.bytes)
        .bind(now)
        .execute(connection)
        .await?;
        self.write_down(connection, note(scope, name, "secret.write"), now).await?;
        transaction.commit().await?;
        Ok(version)
    }

    /// What secrets there are, by name, without their values.
    pub async fn secrets(&self, scope: &SecretScope) -> Result<Vec<SecretInfo>> {
        let rows = query(
            "SELECT name, version, updated_at FROM secrets
             WHERE owner = $1 AND repository = $2 AND environment = $3 AND sealed IS NOT NULL
             ORDER BY name",
        )
        .bind(&scope.owner)
        .bind(scope.repository())
        .bind(&scope.environment)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SecretInfo {
                    name: rows::text(row, "name")?,
                    version: rows::number(row, "version")?,
                    at: Timestamp(rows::number(row, "updated_at")?),
                })
            })
            .collect()
    }

    /// Opens a secret: its version and its value. `None` if it was never set, or was deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sealed`] if it was sealed with another key, or tampered with.
    pub async fn open_secret(
        &self,
        key: &SealKey,
        scope: &SecretScope,
        name: &str,
    ) -> Result<Option<(u32, Secret<Vec<u8>>)>> {
        let row = query(
            "SELECT version, key_id, nonce, sealed FROM secrets
             WHERE owner = $1 AND repository = $2 AND environment = $3 AND name = $4
             AND sealed IS NOT NULL",
        )
        .bind(&scope.owner)
        .bind(scope.repository())
        .bind(&scope.environment)
        .bind(name)
        .fetch_optional(self.database.reader().await?.connection()?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let version = rows::number(&row, "version")?;
        let nonce = rows::bytes(&row, "nonce")?;
        let nonce =
            nonce.try_into().map_err(|_| StoreError::Damaged("a nonce's length".to_owned()))?;
        let key_id = rows::text(&row, "key_id")?;
        let sealed = Sealed { key_id, nonce, bytes: rows::bytes(&row, "sealed")? };
        Ok(Some((version, key.open(&scope.place(name, version), &sealed)?)))
    }

    /// Deletes the value of a secret. On disk when it returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`].
    pub async fn delete_secret(
        &self,
        scope: &SecretScope,
        name: &str,
        now: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let deleted = query(
            "UPDATE secrets SET sealed = NULL, updated_at = $5
             WHERE owner = $1 AND repository = $2 AND environment = $3 AND name = $4
             AND sealed IS NOT NULL",
        )
        .bind(&scope.owner)
        .bind(scope.repository())
        .bind(&scope.environment)
        .bind(name)
        .bind(now)
        .execute(transaction.connection()?)
        .await?;
        if deleted == 0 {
            return Err(not_found("secret", name));
        }
        let note = note(scope, name, "secret.delete");
        self.write_down(transaction.connection()?, note, now).await?;
        transaction.commit().await
    }
}

/// That a secret was written or deleted: its name and place, never its value.
fn note(scope: &SecretScope, name: &str, action: &'static str) -> Note {
    let detail = json!({ "environment": scope.environment, "repository": scope.repository() });
    Note { team: team_of(&scope.owner), action, subject: format!("secret {name}"), detail }
}
