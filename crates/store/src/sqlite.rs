//! The SQLite file: opening it, bringing it up to date.
//!
//! The log in `engine` opens its file with a copy of these lines, on purpose: to share them, one of
//! the two would have to see the other, and a server replaces each by another thing (Postgres here,
//! NATS there). A change of how a file is made durable belongs into both.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

use crate::error::StoreError;
use crate::sql::failure;

/// What brings the file from each version to the next; the version is SQLite's `user_version`.
///
/// `sqlx::migrate!` would read its own table at each start and pull in the query macros; this is
/// one number in the file's header.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/sqlite/0001_tasks.sql"),
    include_str!("../migrations/sqlite/0002_environments.sql"),
    include_str!("../migrations/sqlite/0003_server.sql"),
];

/// How long another process may hold the lock before we give up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How every connection to the file is made.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Opens the file and brings it up to date.
pub(crate) async fn open(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut tries = 0;
    loop {
        match try_open(path).await {
            // The switch to WAL of a new file does not wait for the lock by itself.
            Err(StoreError::Busy) if tries < 200 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}

/// Marks the file as Quire's (SQLite's `application_id`, the bytes `Quir`): a write that changes
/// nothing else.
const MARK: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; \
    PRAGMA application_id = 0x51756972; COMMIT; PRAGMA synchronous = FULL";

/// Opens the file for who is about to write, and begins its write-ahead log: the first write of a
/// process that is alone with the file syncs three times (the head of a new log, its directory,
/// the commit), and two of them can be done while other things are waited for.
pub(crate) async fn open_to_write(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut connection = open(path).await?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let begun = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
    if begun || run(&mut connection, MARK).await.is_ok() {
        return Ok(connection);
    }
    // What is wrong (no room, a lock) the first write that matters says, on a fresh connection.
    drop(connection);
    open(path).await
}

async fn try_open(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut connection = options(path).connect().await.map_err(|error| cannot_open(path, error))?;
    if version(&mut connection).await? != known() {
        migrate(&mut connection).await?;
    }
    Ok(connection)
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let found: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await.map_err(failure)?;
    if found > known() {
        return Err(StoreError::Newer { found, known: known() });
    }
    Ok(found)
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    run(connection, "BEGIN IMMEDIATE").await?;
    // Another process may have been first.
    let found = usize::try_from(version(connection).await?).unwrap_or(0);
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        run(connection, migration).await?;
        let note = format!("PRAGMA user_version = {}", done + 1);
        sqlx::raw_sql(AssertSqlSafe(note)).execute(&mut *connection).await.map_err(failure)?;
    }
    run(connection, "COMMIT").await
}

/// A file that cannot be opened at all is told apart: its path is what helps.
fn cannot_open(path: &Path, error: sqlx::Error) -> StoreError {
    match failure(error) {
        StoreError::Io(source) => StoreError::Open { path: path.to_owned(), source },
        known => known,
    }
}

/// Runs statements without parameters.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<(), StoreError> {
    sqlx::raw_sql(sql).execute(connection).await.map(|_| ()).map_err(failure)
}
