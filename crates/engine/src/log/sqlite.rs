//! The log's SQLite file: opening it, bringing it up to date, naming what goes wrong.
//!
//! `store` opens its own with a copy of these lines; why, and what follows from it, stands there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use super::LogError;

/// What brings the file from each version to the next; the version is SQLite's `user_version`.
///
/// `sqlx::migrate!` would read its own table at each start and pull in the query macros; this is
/// one number in the file's header.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/sqlite/0001_events.sql")];

/// How long another process may hold the lock before we give up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How every connection to the file is made.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
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
pub(super) async fn open(path: &Path) -> Result<SqliteConnection, LogError> {
    let mut tries = 0;
    loop {
        match try_open(path).await {
            // The switch to WAL of a new file does not wait for the lock by itself.
            Err(LogError::Busy) if tries < 200 => {
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
pub(super) async fn open_to_write(path: &Path) -> Result<SqliteConnection, LogError> {
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

async fn try_open(path: &Path) -> Result<SqliteConnection, LogError> {
    let mut connection = options(path).connect().await.map_err(failure)?;
    if version(&mut connection).await? != known() {
        migrate(&mut connection).await?;
    }
    Ok(connection)
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, LogError> {
    let found: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await.map_err(failure)?;
    if found > known() {
        return Err(LogError::Newer { found, known: known() });
    }
    Ok(found)
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), LogError> {
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

/// Runs statements without parameters.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<(), LogError> {
    sqlx::raw_sql(sql).execute(connection).await.map(|_| ()).map_err(failure)
}

/// Names what went wrong, by SQLite's own result code.
pub(super) fn failure(error: sqlx::Error) -> LogError {
    let code = match &error {
        sqlx::Error::Database(database) => {
            database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0)
        }
        _ => 0,
    };
    match (code & 0xff, code) {
        (5 | 6, _) => LogError::Busy,
        // 4874: the shared-memory file could not grow.
        (13, _) | (_, 4874) => LogError::DiskFull,
        (11 | 26, _) => LogError::Damaged(error.to_string()),
        _ => LogError::Io(Arc::new(error)),
    }
}

/// Copies the file `from`, as it stands at one moment, to the new file `to`, while others write.
/// On disk when it returns, and found sound.
pub(super) async fn copy(from: &Path, to: &Path) -> Result<(), LogError> {
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
        return Err(LogError::Damaged(found));
    }
    let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| LogError::Io(Arc::new(error)))
}
