//! The event log of one machine: a SQLite file with one writer per process.

use std::path::Path;

use async_trait::async_trait;
use quire_domain::ids::{AttemptId, Epoch, Seq, Sha256};
use quire_domain::time::Timestamp;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{Row, SqliteConnection};
use tokio::sync::broadcast;

use super::announce::Announcements;
use super::sqlite::{self, failure, open, open_to_write, options};
use super::writer::Writer;
use super::{Batch, EventLog, Head, LogError, StoredEvent};

/// How many may read at once.
const READERS: u32 = 4;

/// The logs in `events.db` of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct LocalLog {
    writer: Writer,
    readers: SqlitePool,
    announcements: Announcements,
}

impl LocalLog {
    /// Opens the log at `path` (`<data-dir>/events.db`), makes or migrates it where needed. The
    /// directory has to exist. Needs a tokio runtime, on which its writer runs.
    pub async fn open(path: &Path) -> Result<Self, LogError> {
        Ok(Self::over(open(path).await?, path))
    }

    /// As [`LocalLog::open`], for who is about to write: begins the write-ahead log, so that the
    /// first write waits for the disk once.
    pub async fn open_to_write(path: &Path) -> Result<Self, LogError> {
        Ok(Self::over(open_to_write(path).await?, path))
    }

    /// Copies the logs in the file `from`, as they stand at one moment, to the new file `to`, while
    /// others write. On disk when it returns, and found sound.
    pub async fn copy(from: &Path, to: &Path) -> Result<(), LogError> {
        sqlite::copy(from, to).await
    }

    fn over(connection: SqliteConnection, path: &Path) -> Self {
        // Readers connect when they are first needed, which a plain run never does.
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .connect_lazy_with(options(path).read_only(true).create_if_missing(false));
        let announcements = Announcements::default();
        let writer = Writer::start(connection, path.to_owned(), announcements.clone());
        Self { writer, readers, announcements }
    }

    /// Waits for what was handed in, then closes the file. A process that ends without it loses
    /// nothing that was acknowledged.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[async_trait]
impl EventLog for LocalLog {
    async fn head(&self, attempt: AttemptId) -> Result<Head, LogError> {
        let row = sqlx::query("SELECT epoch, seq, hash FROM logs WHERE attempt = ?")
            .bind(attempt.0.as_bytes().as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(failure)?;
        row.map_or_else(|| Ok(Head::empty()), |row| head_of(&row))
    }

    async fn fence(&self, attempt: AttemptId, epoch: Epoch) -> Result<Head, LogError> {
        self.writer.fence(attempt, epoch).await
    }

    async fn append(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        after: Seq,
        events: Vec<StoredEvent>,
    ) -> Result<Seq, LogError> {
        super::check_batch(epoch, after, &events)?;
        self.writer.append(attempt, epoch, after, events).await
    }

    async fn read(
        &self,
        attempt: AttemptId,
        from: Seq,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let from = i64::try_from(from.0.max(1)).unwrap_or(i64::MAX);
        let rows = sqlx::query(
            "SELECT e.place, e.at, e.epoch, e.kind, e.body, e.prev_hash, e.hash
             FROM logs l JOIN events e
               ON e.place >= (l.id << 32) + min(?2, 4294967295) AND e.place <= (l.id << 32) + l.seq
             WHERE l.attempt = ?1 ORDER BY e.place LIMIT ?3",
        )
        .bind(attempt.0.as_bytes().as_slice())
        .bind(from)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .map_err(failure)?;
        let events: Vec<StoredEvent> = rows.iter().map(event_of).collect::<Result<_, _>>()?;
        for (event, seq) in events.iter().zip(from..) {
            if i64::try_from(event.seq.0) != Ok(seq) {
                return Err(LogError::Damaged(format!("event {seq} of attempt {attempt} is gone")));
            }
        }
        Ok(events)
    }

    fn announcements(&self, attempt: AttemptId) -> broadcast::Receiver<Batch> {
        self.announcements.subscribe(attempt)
    }
}

/// Reads `epoch, seq, hash`.
pub(super) fn head_of(row: &SqliteRow) -> Result<Head, LogError> {
    Ok(Head { epoch: Epoch(number(row, 0)?), seq: Seq(number(row, 1)?), hash: digest(row, 2)? })
}

fn event_of(row: &SqliteRow) -> Result<StoredEvent, LogError> {
    let place: u64 = number(row, 0)?;
    Ok(StoredEvent {
        seq: Seq(place & 0xffff_ffff),
        at: Timestamp(number(row, 1)?),
        epoch: Epoch(number(row, 2)?),
        kind: row.try_get(3).map_err(failure)?,
        body: row.try_get(4).map_err(failure)?,
        prev_hash: digest(row, 5)?,
        hash: digest(row, 6)?,
    })
}

fn number<T: TryFrom<i64>>(row: &SqliteRow, column: usize) -> Result<T, LogError> {
    let found: i64 = row.try_get(column).map_err(failure)?;
    T::try_from(found).map_err(|_| LogError::Damaged(format!("{found} stands for a number")))
}

fn digest(row: &SqliteRow, column: usize) -> Result<Sha256, LogError> {
    let bytes: &[u8] = row.try_get(column).map_err(failure)?;
    let bytes: &[u8; 32] =
        bytes.try_into().map_err(|_| LogError::Damaged("a digest has no 32 bytes".to_owned()))?;
    Ok(Sha256::from_bytes(bytes))
}
