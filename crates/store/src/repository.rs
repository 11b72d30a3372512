//! Repositories that a team may name, and what people pushed to them as bases of tasks.

use quire_domain::access::Owner;
use quire_domain::ids::{CommitId, TeamId, UserId};
use quire_domain::task::StartPoint;
use quire_domain::time::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::audit::Note;
use crate::connection::Promise;
use crate::error::StoreError;
use crate::read::not_found;
use crate::rows;
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};
use crate::submit::bounded;

/// A repository that a team may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRepository {
    /// Its id; never reused.
    pub id: Uuid,
    /// Whose.
    pub team: TeamId,
    /// What people type.
    pub name: String,
    /// An address, or a path on the server; empty for one that has no home but this.
    pub place: String,
    /// Whether people push to it, as it has no other home.
    pub pushed: bool,
    /// Since when.
    pub created_at: Timestamp,
}

/// What a person pushed: where a task may start that no branch names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Its id.
    pub id: Uuid,
    /// Whose; nobody else begins a task with it.
    pub owner: Owner,
    /// The repository.
    pub repository: Uuid,
    /// The mirror that it was put beside, by its key.
    pub mirror: String,
    /// The commits, and how much of the base is uncommitted work.
    pub start: StartPoint,
    /// When it came.
    pub created_at: Timestamp,
}

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 100;
/// The longest place, in bytes.
const MAX_PLACE_BYTES: usize = 4096;
/// The most repositories of a team that are listed.
const MOST: u32 = 10_000;

/// Whether a text can be the name of a repository: a path of plain words, as in `shop/web`.
pub fn is_repository_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && text.bytes().all(plain)
        && text.split('/').all(|word| !word.is_empty() && !word.starts_with(['.', '-']))
}

impl Store {
    /// Registers a repository. `place` is `None` for one that people push to. On disk when it
    /// returns. Registering the same again gives what is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where the name is that of another place, [`StoreError::OutOfBounds`].
    pub async fn add_repository(
        &self,
        team: TeamId,
        name: &str,
        place: Option<&str>,
        now: Timestamp,
    ) -> Result<StoredRepository> {
        bounded("bytes of the repository's name", name.len(), MAX_NAME_BYTES)?;
        if let Some(place) = place {
            bounded("bytes of the repository's place", place.len(), MAX_PLACE_BYTES)?;
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        if let Some(found) = by_name(connection, team, name).await? {
            let same =
                found.pushed == place.is_none() && place.is_none_or(|place| place == found.place);
            if same {
                return Ok(found);
            }
            return Err(StoreError::Taken { what: "repository", name: name.to_owned() });
        }
        let made = StoredRepository {
            id: self.ids.uuid(now),
            team,
            name: name.to_owned(),
            place: place.unwrap_or_default().to_owned(),
            pushed: place.is_none(),
            created_at: now,
        };
        query(
            "INSERT INTO repositories (id, team, name, place, pushed, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(made.id)
        .bind(team)
        .bind(name)
        .bind(&made.place)
        .bind(made.pushed)
        .bind(now)
        .execute(connection)
        .await?;
        let note = Note {
            team: Some(team),
            action: "repository.add",
            subject: format!("repository {name}"),
            detail: json!({ "place": made.place, "pushed": made.pushed }),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// The repositories of a team, by name; at most 10,000.
    pub async fn repositories(&self, team: TeamId) -> Result<Vec<StoredRepository>> {
        let rows = query(
            "SELECT * FROM repositories WHERE team = $1 AND deleted_at IS NULL
             ORDER BY name LIMIT $2",
        )
        .bind(team)
        .bind(MOST)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(repository).collect()
    }

    /// A repository of a team, by name.
    pub async fn repository(&self, team: TeamId, name: &str) -> Result<StoredRepository> {
        let found = by_name(self.database.reader().await?.connection()?, team, name).await?;
        found.ok_or_else(|| not_found("repository", name))
    }

    /// Takes a repository away: nobody can name it any more. What ran on it stays.
    pub async fn remove_repository(&self, team: TeamId, name: &str, now: Timestamp) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let changed = query(
            "UPDATE repositories SET deleted_at = $3
             WHERE team = $1 AND name = $2 AND deleted_at IS NULL",
        )
        .bind(team)
        .bind(name)
        .bind(now)
        .execute(connection)
        .await?;
        if changed == 0 {
            return Err(not_found("repository", name));
        }
        let note = Note {
            team: Some(team),
            action: "repository.remove",
            subject: format!("repository {name}"),
            detail: json!({}),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await
    }

    /// Notes what somebody pushed. On disk when it returns.
    pub async fn add_push(
        &self,
        owner: Owner,
        repository: &StoredRepository,
        mirror: &str,
        start: &StartPoint,
        now: Timestamp,
    ) -> Result<Push> {
        let branch = start.branch.as_deref();
        if let Some(branch) = branch {
            bounded("bytes of the branch's name", branch.len(), 1024)?;
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let push = Push {
            id: self.ids.uuid(now),
            owner,
            repository: repository.id,
            mirror: mirror.to_owned(),
            start: start.clone(),
            created_at: now,
        };
        query(
            "INSERT INTO pushes
             (id, team, author, repository, mirror, base, head, branch, uncommitted, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(push.id)
        .bind(owner.team)
        .bind(owner.author)
        .bind(repository.id)
        .bind(mirror)
        .bind(start.base.as_str())
        .bind(start.head.as_str())
        .bind(branch)
        .bind(start.uncommitted)
        .bind(now)
        .execute(connection)
        .await?;
        let note = Note {
            team: Some(owner.team),
            action: "repository.push",
            subject: format!("repository {}", repository.name),
            detail: json!({ "base": start.base, "uncommitted": start.uncommitted }),
        };
        self.write_down(connection, note, now).await?;
        transaction.commit().await?;
        Ok(push)
    }

    /// What `owner` pushed under this id.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], also for what is somebody else's.
    pub async fn push(&self, owner: Owner, id: Uuid) -> Result<Push> {
        let row = query("SELECT * FROM pushes WHERE id = $1 AND team = $2 AND author = $3")
            .bind(id)
            .bind(owner.team)
            .bind(owner.author)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        row.as_ref().map(push).ok_or_else(|| not_found("push", id))?
    }
}

async fn by_name(
    connection: &mut Connection,
    team: TeamId,
    name: &str,
) -> Result<Option<StoredRepository>> {
    let row =
        query("SELECT * FROM repositories WHERE team = $1 AND name = $2 AND deleted_at IS NULL")
            .bind(team)
            .bind(name)
            .fetch_optional(connection)
            .await?;
    row.as_ref().map(repository).transpose()
}

fn repository(row: &Row) -> Result<StoredRepository> {
    Ok(StoredRepository {
        id: rows::id(row, "id")?,
        team: TeamId(rows::id(row, "team")?),
        name: rows::text(row, "name")?,
        place: rows::text(row, "place")?,
        pushed: rows::number::<i64>(row, "pushed")? == 1,
        created_at: Timestamp(rows::number(row, "created_at")?),
    })
}

fn push(row: &Row) -> Result<Push> {
    let commit = |name| {
        CommitId::parse(&rows::text(row, name)?)
            .map_err(|error| StoreError::Damaged(error.to_string()))
    };
    Ok(Push {
        id: rows::id(row, "id")?,
        owner: Owner {
            team: TeamId(rows::id(row, "team")?),
            author: UserId(rows::id(row, "author")?),
        },
        repository: rows::id(row, "repository")?,
        mirror: rows::text(row, "mirror")?,
        start: StartPoint {
            base: commit("base")?,
            head: commit("head")?,
            branch: rows::optional_text(row, "branch")?,
            uncommitted: rows::number(row, "uncommitted")?,
        },
        created_at: Timestamp(rows::number(row, "created_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_of_plain_words() {
        assert!(is_repository_name("shop/web-app_2.0"));
        let long = "a".repeat(101);
        for bad in ["", "/a", "a/", "a//b", "../a", ".git", "-x", "a b", "ü", "a:b", long.as_str()]
        {
            assert!(!is_repository_name(bad), "{bad}");
        }
    }
}
