//! Statements over either database: `query("… $1 …").bind(value).fetch_all(connection)`.
//!
//! Both understand parameters numbered with `$`, and our columns have three types: integers of 64
//! bits, text and bytes. What is written once here runs on both, so nobody else asks which it is.

mod build;
mod row;
mod value;

use std::borrow::Cow;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};

use crate::error::StoreError;

pub(crate) use build::Builder;
pub(crate) use row::Row;
pub(crate) use value::{Bind, Value};

type Prepared = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

type Result<T> = std::result::Result<T, StoreError>;

/// A connection to the database.
pub(crate) enum Connection {
    /// To a file of SQLite.
    Sqlite(SqliteConnection),
}

/// A statement with its values.
#[must_use = "a query does nothing until it is executed or fetched"]
pub(crate) struct Query<'q> {
    sql: Cow<'static, str>,
    values: Vec<Value<'q>>,
}

/// A statement: its parameters are `$1`, `$2` and so on, bound in this order.
///
/// A statement is prepared once per connection. A text that is made at run time is made of
/// [`Builder`]'s parts: never of anything that came from outside.
pub(crate) fn query<'q>(sql: impl Into<Cow<'static, str>>) -> Query<'q> {
    Query { sql: sql.into(), values: Vec::new() }
}

impl<'q> Query<'q> {
    /// Gives the next parameter its value.
    pub(crate) fn bind(mut self, value: impl Bind<'q>) -> Self {
        self.values.push(value.value());
        self
    }

    /// Runs it, and gives how many rows it changed.
    pub(crate) async fn execute(self, at: &mut Connection) -> Result<u64> {
        match at {
            Connection::Sqlite(at) => {
                let done = self.sqlite()?.execute(at).await.map_err(failure)?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs it, and gives its one row; that there is none is an error of whoever wrote it.
    pub(crate) async fn fetch_one(self, at: &mut Connection) -> Result<Row> {
        self.fetch_optional(at).await?.ok_or_else(|| failure(sqlx::Error::RowNotFound))
    }

    /// Runs it, and gives its first row.
    pub(crate) async fn fetch_optional(self, at: &mut Connection) -> Result<Option<Row>> {
        match at {
            Connection::Sqlite(at) => {
                let row = self.sqlite()?.fetch_optional(at).await.map_err(failure)?;
                Ok(row.map(Row::Sqlite))
            }
        }
    }

    /// Runs it, and gives its rows.
    pub(crate) async fn fetch_all(self, at: &mut Connection) -> Result<Vec<Row>> {
        match at {
            Connection::Sqlite(at) => {
                let rows = self.sqlite()?.fetch_all(at).await.map_err(failure)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    fn sqlite(self) -> Result<Prepared> {
        let mut arguments = SqliteArguments::default();
        for value in self.values {
            let bound = match value {
                Value::Integer(value) => arguments.add(value),
                Value::Text(value) => arguments.add(value.map(Cow::into_owned)),
                Value::Bytes(value) => arguments.add(value.map(Cow::into_owned)),
            };
            bound.map_err(|error| failure(sqlx::Error::Encode(error)))?;
        }
        Ok(sqlx::query_with(AssertSqlSafe(self.sql), arguments))
    }
}

/// Runs statements without parameters, one after the other.
pub(crate) async fn run(at: &mut Connection, sql: impl Into<Cow<'static, str>>) -> Result<()> {
    let sql = AssertSqlSafe(sql.into());
    match at {
        Connection::Sqlite(at) => sqlx::raw_sql(sql).execute(at).await.map(|_| ()).map_err(failure),
    }
}

/// Names what went wrong, by the database's own code.
pub(crate) fn failure(error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(database) => {
            database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0)
        }
        _ => 0,
    };
    match (code & 0xff, code) {
        (5 | 6, _) => StoreError::Busy,
        // 4874: the shared-memory file could not grow.
        (13, _) | (_, 4874) => StoreError::DiskFull,
        (11 | 26, _) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Io(Box::new(error)),
    }
}

impl Connection {
    /// Says goodbye; what goes wrong then concerns nobody.
    pub(crate) async fn close(self) {
        let _ = match self {
            Self::Sqlite(connection) => sqlx::Connection::close(connection).await,
        };
    }
}
