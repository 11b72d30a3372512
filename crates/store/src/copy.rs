//! Backups of the SQLite file, and what a copy needs before it is used in the original's place.

use std::path::Path;

use quire_domain::ids::{AttemptId, Epoch};
use sqlx::{ConnectOptions, Connection as _};

use crate::connection::Promise;
use crate::error::StoreError;
use crate::rows;
use crate::sql::{failure, query};
use crate::sqlite::options;
use crate::store::{Result, Store};

impl Store {
    /// Copies the database in the file `from`, as it stands at one moment, to the new file `to`,
    /// while others write. On disk when it returns, and found sound.
    pub async fn copy(from: &Path, to: &Path) -> Result<()> {
        let source = options(from).read_only(true).create_if_missing(false);
        let mut connection = source.connect().await.map_err(failure)?;
        let name = to.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO ?").bind(name).execute(&mut connection).await.map_err(failure)?;
        let mut copied = options(to).create_if_missing(false).connect().await.map_err(failure)?;
        let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
            .fetch_one(&mut copied)
            .await
            .map_err(failure)?;
        copied.close().await.map_err(failure)?;
        if found != "ok" {
            return Err(StoreError::Damaged(found));
        }
        let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
        synced.map_err(|error| StoreError::Io(Box::new(error)))
    }

    /// The attempts that have not ended.
    pub async fn open_attempts(&self) -> Result<Vec<AttemptId>> {
        let rows = query("SELECT id FROM attempts WHERE open = 1")
            .fetch_all(self.database.reader().await?.connection()?)
            .await?;
        rows.iter().map(|row| Ok(AttemptId(rows::id(row, "id")?))).collect()
    }

    /// Takes attempts from whoever held them before this copy was made, and raises their epochs to
    /// those that their logs have seen: what claims them next is then newer than both.
    pub async fn release(&self, epochs: &[(AttemptId, Epoch)]) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        for (attempt, epoch) in epochs {
            query(
                "UPDATE attempts SET epoch = CASE WHEN epoch < $2 THEN $2 ELSE epoch END,
                        lease_until = CASE WHEN lease_until IS NULL THEN NULL ELSE 1 END
                 WHERE id = $1",
            )
            .bind(*attempt)
            .bind(i64::from(epoch.0))
            .execute(connection)
            .await?;
        }
        transaction.commit().await
    }
}
