//! Statements over either database: `query("… $1 …").bind(value).fetch_all(connection)`.
//!
//! Both understand parameters numbered with `$`, and our columns have three types: integers of 64
//! bits, text and bytes. What is written once here runs on both, so nobody else asks which it is.

mod build;
mod row;
mod value;

use std::borrow::Cow;

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};

use crate::connection::Promise;
use crate::error::StoreError;
use crate::postgres::{self, Rows, Session};
use crate::sqlite;

pub(crate) use build::Builder;
pub(crate) use row::Row;
pub(crate) use value::{Bind, Value};

type Prepared<D, A> = sqlx::query::Query<'static, D, A>;

type Result<T> = std::result::Result<T, StoreError>;

/// Which of the two databases, for the few statements that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A connection to the database.
pub(crate) enum Connection {
    /// To a file of SQLite.
    Sqlite(SqliteConnection),
    /// To a server of Postgres.
    Postgres(Box<Session>),
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
            Connection::Postgres(at) => Ok(at.ask(&self, Rows::None).await?.changed),
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
            Connection::Postgres(at) => {
                let answer = at.ask(&self, Rows::First).await?;
                Ok(answer.rows.into_iter().next().map(Row::Postgres))
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
            Connection::Postgres(at) => {
                let answer = at.ask(&self, Rows::All).await?;
                Ok(answer.rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    fn sqlite(self) -> Result<Prepared<sqlx::Sqlite, SqliteArguments>> {
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

    pub(crate) fn postgres(&self) -> Result<Prepared<sqlx::Postgres, PgArguments>> {
        let mut arguments = PgArguments::default();
        for value in &self.values {
            let bound = match value {
                Value::Integer(value) => arguments.add(*value),
                // No text of Postgres has a zero in it.
                Value::Text(Some(text)) if text.contains('\0') => {
                    arguments.add(text.replace('\0', "\u{fffd}"))
                }
                Value::Text(value) => arguments.add(value.as_deref()),
                Value::Bytes(value) => arguments.add(value.as_deref()),
            };
            bound.map_err(|error| failure(sqlx::Error::Encode(error)))?;
        }
        Ok(sqlx::query_with(AssertSqlSafe(self.sql.clone()), arguments))
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
    /// Begins a transaction as the only one who writes; waits for the one before.
    pub(crate) async fn begin(&mut self, promise: Promise) -> Result<()> {
        match self {
            Self::Sqlite(at) => sqlite::run(at, "BEGIN IMMEDIATE").await,
            Self::Postgres(at) => {
                at.begin(match promise {
                    Promise::Durable => postgres::BEGIN,
                    Promise::Lasting => postgres::BEGIN_LASTING,
                })
                .await
            }
        }
    }

    /// Keeps what was written.
    pub(crate) async fn commit(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(at) => sqlite::run(at, "COMMIT").await,
            Self::Postgres(at) => at.end("COMMIT").await,
        }
    }

    /// Leaves everything as it was before.
    pub(crate) async fn roll_back(&mut self) -> Result<()> {
        match self {
            // Where SQLite had rolled back by itself this fails.
            Self::Sqlite(at) => sqlite::run(at, "ROLLBACK").await,
            // The server rolls back where a connection ends: nothing is waited for that was left
            // in the middle.
            Self::Postgres(at) if at.is_busy() => {
                Err(StoreError::Unreachable("the connection was left in the middle".into()))
            }
            Self::Postgres(at) => at.end("ROLLBACK").await,
        }
    }

    /// Whether somebody else can have it now.
    pub(crate) fn usable(&self) -> bool {
        match self {
            // What was being read when its reader stopped waiting ends by itself.
            Self::Sqlite(_) => true,
            Self::Postgres(at) => at.usable(),
        }
    }

    /// Says goodbye; what goes wrong then concerns nobody.
    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(connection) => {
                let _ = sqlx::Connection::close(connection).await;
            }
            Self::Postgres(session) => session.close().await,
        }
    }
}
