//! A row of either database, and its columns by name.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::error::StoreError;
use crate::sql::failure;

/// A row. What a column is computed by has to give a type that columns have: a sum is
/// `CAST(sum(x) AS BIGINT)`.
pub(crate) enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of Postgres.
    Postgres(PgRow),
}

impl Row {
    /// An integer; `None` is NULL.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite(row) => row.try_get(name).map_err(failure),
            // A constant of a statement is a shorter one.
            Self::Postgres(row) => row.try_get(name).or_else(|error| {
                let short: Option<i32> = row.try_get(name).map_err(|_| failure(error))?;
                Ok(short.map(i64::from))
            }),
        }
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, StoreError> {
        match self {
            Self::Sqlite(row) => row.try_get(name).map_err(failure),
            Self::Postgres(row) => row.try_get(name).map_err(failure),
        }
    }

    /// Bytes.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<&[u8]>, StoreError> {
        match self {
            Self::Sqlite(row) => row.try_get(name).map_err(failure),
            Self::Postgres(row) => row.try_get(name).map_err(failure),
        }
    }
}
