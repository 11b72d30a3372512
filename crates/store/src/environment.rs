//! Environments that are kept here: each edit is a new version, and versions never change.

use quire_domain::access::LOCAL_TEAM;
use quire_domain::ids::TeamId;
use quire_domain::time::Timestamp;
use serde_json::json;

use crate::audit::Note;

use crate::connection::Promise;
use crate::error::StoreError;
use crate::read::not_found;
use crate::rows;
use crate::sql::{Row, query};
use crate::store::{Result, Store};
use crate::submit::bounded;

/// The longest recipe, in bytes.
const MAX_RECIPE_BYTES: usize = 256 * 1024;

/// A version of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEnvironment {
    /// Whose it is.
    pub owner: String,
    /// Its name, unique per owner.
    pub name: String,
    /// The repository whose default it is, as tasks name it.
    pub repository: Option<String>,
    /// Counted from 1.
    pub version: u32,
    /// The recipe, as a person wrote it.
    pub recipe: String,
    /// Who wrote this version.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

/// A version to write.
#[derive(Debug, Clone)]
pub struct NewEnvironment {
    /// Whose it is.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// The repository whose default it becomes; what it was before if `None`.
    pub repository: Option<String>,
    /// The recipe. Whoever calls has read it: the store looks at its length only.
    pub recipe: String,
    /// Who writes it.
    pub author: String,
    /// The version it was made from, 0 for a new environment. Another one since is refused.
    pub based_on: u32,
    /// The time.
    pub now: Timestamp,
}

/// The version $4 of each, the newest if NULL; of the name $2 and the repository $3, if not NULL.
const VERSIONS: &str = "SELECT e.owner, e.name, e.repository, v.version, v.recipe, v.author, v.at
    FROM environments e JOIN environment_versions v
        ON v.environment = e.id AND v.version = coalesce($4, e.version)
    WHERE e.deleted_at IS NULL AND e.owner = $1
        AND ($2 IS NULL OR e.name = $2) AND ($3 IS NULL OR e.repository = $3)
    ORDER BY e.name LIMIT 1000";

impl Store {
    /// Writes a version and gives its number. On disk when it returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::Edited`] if `based_on` is not the newest version (a name that is taken, for a
    /// new one), [`StoreError::RepositoryTaken`], [`StoreError::OutOfBounds`].
    pub async fn put_environment(&self, new: NewEnvironment) -> Result<u32> {
        bounded("bytes of the recipe", new.recipe.len(), MAX_RECIPE_BYTES)?;
        bounded("bytes of the environment's name", new.name.len(), 60)?;
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let found = query(
            "SELECT id, version FROM environments
             WHERE owner = $1 AND name = $2 AND deleted_at IS NULL",
        )
        .bind(&new.owner)
        .bind(&new.name)
        .fetch_optional(connection)
        .await?;
        let newest = found.as_ref().map_or(Ok(0), |row| rows::number(row, "version"))?;
        if newest != new.based_on {
            return Err(StoreError::Edited { name: new.name, newest, based_on: new.based_on });
        }
        if let Some(repository) = &new.repository {
            let other = query(
                "SELECT name FROM environments WHERE owner = $1 AND repository = $2 AND name <> $3
                 AND deleted_at IS NULL",
            )
            .bind(&new.owner)
            .bind(repository)
            .bind(&new.name)
            .fetch_optional(connection)
            .await?;
            if let Some(other) = other {
                let other = rows::text(&other, "name")?;
                return Err(StoreError::RepositoryTaken { repository: repository.clone(), other });
            }
        }
        let version = newest + 1;
        let now = new.now;
        let id: i64 = if let Some(row) = &found {
            let id: i64 = rows::number(row, "id")?;
            query(
                "UPDATE environments SET version = $2, updated_at = $3,
                     repository = coalesce($4, repository) WHERE id = $1",
            )
            .bind(id)
            .bind(version)
            .bind(now)
            .bind(&new.repository)
            .execute(connection)
            .await?;
            id
        } else {
            let row = query(
                "INSERT INTO environments
                         (owner, name, repository, version, created_at, updated_at)
                     VALUES ($1, $2, $3, $4, $5, $5) RETURNING id",
            )
            .bind(&new.owner)
            .bind(&new.name)
            .bind(&new.repository)
            .bind(version)
            .bind(now)
            .fetch_one(connection)
            .await?;
            rows::number(&row, "id")?
        };
        query(
            "INSERT INTO environment_versions (environment, version, recipe, author, at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(version)
        .bind(&new.recipe)
        .bind(&new.author)
        .bind(now)
        .execute(connection)
        .await?;
        let detail = json!({ "version": version });
        let (subject, action) = (format!("environment {}", new.name), "environment.write");
        let note = Note { team: team_of(&new.owner), action, subject, detail };
        self.write_down(connection, note, now).await?;
        transaction.commit().await?;
        Ok(version)
    }

    /// The newest version of every environment of an owner, by name; at most 1,000.
    pub async fn environments(&self, owner: &str) -> Result<Vec<StoredEnvironment>> {
        self.versions(owner, None, None, None).await
    }

    /// An environment: its newest version, or the one that is named.
    pub async fn environment(
        &self,
        owner: &str,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<StoredEnvironment>> {
        Ok(self.versions(owner, Some(name), None, version).await?.pop())
    }

    /// The environment that is the default of a repository.
    pub async fn environment_of(
        &self,
        owner: &str,
        repository: &str,
    ) -> Result<Option<StoredEnvironment>> {
        Ok(self.versions(owner, None, Some(repository), None).await?.pop())
    }

    /// All versions of an environment, newest first; at most 1,000.
    pub async fn environment_history(
        &self,
        owner: &str,
        name: &str,
    ) -> Result<Vec<StoredEnvironment>> {
        let rows = query(
            "SELECT e.owner, e.name, e.repository, v.version, v.recipe, v.author, v.at
             FROM environments e JOIN environment_versions v ON v.environment = e.id
             WHERE e.deleted_at IS NULL AND e.owner = $1 AND e.name = $2
             ORDER BY v.version DESC LIMIT 1000",
        )
        .bind(owner)
        .bind(name)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(environment).collect()
    }

    async fn versions(
        &self,
        owner: &str,
        name: Option<&str>,
        repository: Option<&str>,
        version: Option<u32>,
    ) -> Result<Vec<StoredEnvironment>> {
        let rows = query(VERSIONS)
            .bind(owner)
            .bind(name)
            .bind(repository)
            .bind(version)
            .fetch_all(self.database.reader().await?.connection()?)
            .await?;
        rows.iter().map(environment).collect()
    }

    /// Deletes an environment and the values of its secrets. Its name is free again; its versions
    /// stay for the tasks that were made from them. On disk when it returns.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`].
    pub async fn delete_environment(&self, owner: &str, name: &str, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let deleted = query(
            "UPDATE environments SET deleted_at = $3
             WHERE owner = $1 AND name = $2 AND deleted_at IS NULL",
        )
        .bind(owner)
        .bind(name)
        .bind(now)
        .execute(connection)
        .await?;
        if deleted == 0 {
            return Err(not_found("environment", name));
        }
        query(
            "UPDATE secrets SET sealed = NULL, updated_at = $3
             WHERE owner = $1 AND repository = '' AND environment = $2",
        )
        .bind(owner)
        .bind(name)
        .bind(now)
        .execute(connection)
        .await?;
        let (subject, action) = (format!("environment {name}"), "environment.delete");
        let note = Note { team: team_of(owner), action, subject, detail: json!({}) };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }
}

/// The team whose environments and secrets stand under this name.
pub(crate) fn team_of(owner: &str) -> Option<TeamId> {
    if owner == "local" { Some(LOCAL_TEAM) } else { owner.parse().ok() }
}

fn environment(row: &Row) -> Result<StoredEnvironment> {
    Ok(StoredEnvironment {
        owner: rows::text(row, "owner")?,
        name: rows::text(row, "name")?,
        repository: rows::optional_text(row, "repository")?,
        version: rows::number(row, "version")?,
        recipe: rows::text(row, "recipe")?,
        author: rows::text(row, "author")?,
        at: Timestamp(rows::number(row, "at")?),
    })
}
