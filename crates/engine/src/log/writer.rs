//! The writer of the event log: what comes in while one commit runs shares the next.

use std::path::PathBuf;

use quire_domain::ids::{AttemptId, Epoch, Seq, Sha256};
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::announce::Announcements;
use super::local::head_of;
use super::sqlite::{failure, open, run};
use super::{Head, LogError, StoredEvent};

/// How many may wait to be written; who comes then waits for a place.
const QUEUE: usize = 1024;

/// How many writes may share a commit.
const GROUP: usize = 256;

/// How many entries one statement inserts: a statement costs about 35 µs however little it does, as
/// it goes through sqlx to SQLite's thread and back.
const ROWS: usize = 16;

/// An entry and its place among all logs.
type Row<'a> = (i64, &'a StoredEvent);

/// The writer's end that callers hold.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

enum Job {
    Fence { attempt: AttemptId, epoch: Epoch, reply: oneshot::Sender<Result<Head, LogError>> },
    Append { append: Append, reply: oneshot::Sender<Result<Seq, LogError>> },
    Close { reply: oneshot::Sender<()> },
}

struct Append {
    attempt: AttemptId,
    epoch: Epoch,
    after: Seq,
    events: Vec<StoredEvent>,
}

impl Writer {
    /// Starts the writer on the current runtime. It ends when its last end is dropped.
    pub(super) fn start(
        connection: SqliteConnection,
        path: PathBuf,
        announcements: Announcements,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let task = WriterTask { connection: Some(connection), waits: true, path, announcements };
        tokio::spawn(task.run(queue));
        Self { jobs }
    }

    pub(super) async fn fence(&self, attempt: AttemptId, epoch: Epoch) -> Result<Head, LogError> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(Job::Fence { attempt, epoch, reply }).await?;
        answer.await.map_err(|_| LogError::Closed)?
    }

    pub(super) async fn append(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        after: Seq,
        events: Vec<StoredEvent>,
    ) -> Result<Seq, LogError> {
        let (reply, answer) = oneshot::channel();
        let append = Append { attempt, epoch, after, events };
        self.hand_in(Job::Append { append, reply }).await?;
        answer.await.map_err(|_| LogError::Closed)?
    }

    pub(super) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.hand_in(Job::Close { reply }).await.is_ok() {
            let _ = answer.await;
        }
    }

    async fn hand_in(&self, job: Job) -> Result<(), LogError> {
        self.jobs.send(job).await.map_err(|_| LogError::Closed)
    }
}

struct WriterTask {
    /// `None` after a failure: the next group opens the file again.
    connection: Option<SqliteConnection>,
    /// Whether the connection's commits wait for the disk.
    waits: bool,
    path: PathBuf,
    announcements: Announcements,
}

/// What became of a job inside a transaction that is not committed yet.
enum Done {
    Fenced(Result<Head, LogError>),
    Appended(Result<Seq, LogError>),
}

impl WriterTask {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::new();
        let mut closing = None;
        while closing.is_none() {
            if queue.recv_many(&mut group, GROUP).await == 0 {
                break;
            }
            if let Some(place) = group.iter().position(|job| matches!(job, Job::Close { .. })) {
                let rest = group.split_off(place);
                closing = rest.into_iter().next();
                queue.close();
            }
            self.write(std::mem::take(&mut group)).await;
        }
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
        if let Some(Job::Close { reply }) = closing {
            let _ = reply.send(());
        }
    }

    /// Writes a group with one commit, then answers each.
    async fn write(&mut self, group: Vec<Job>) {
        if group.is_empty() {
            return;
        }
        let outcome = self.transact(&group).await;
        if outcome.is_err() {
            // Closing rolls back, whatever state the transaction is in.
            self.connection = None;
        }
        match outcome {
            Ok(done) => {
                for (job, done) in group.into_iter().zip(done) {
                    self.answer(job, done);
                }
            }
            Err(error) => group.into_iter().for_each(|job| refuse(job, &error)),
        }
    }

    async fn transact(&mut self, group: &[Job]) -> Result<Vec<Done>, LogError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            closed => {
                self.waits = true;
                closed.insert(open(&self.path).await?)
            }
        };
        // A fence holds between living processes and need not outlive the machine: the first
        // append under it brings it to the disk.
        let waits = group.iter().any(|job| !matches!(job, Job::Fence { .. }));
        if waits != self.waits {
            let pragma =
                if waits { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            run(connection, pragma).await?;
            self.waits = waits;
        }
        run(connection, "BEGIN IMMEDIATE").await?;
        let mut done = Vec::with_capacity(group.len());
        let mut rows = Vec::new();
        for job in group {
            done.push(match job {
                Job::Fence { attempt, epoch, .. } => {
                    Done::Fenced(refusal(fence(connection, *attempt, *epoch).await)?)
                }
                Job::Append { append, .. } => {
                    Done::Appended(refusal(append_one(connection, append, &mut rows).await)?)
                }
                Job::Close { .. } => continue,
            });
        }
        for some in rows.chunks(ROWS) {
            insert(connection, some).await?;
        }
        run(connection, "COMMIT").await?;
        Ok(done)
    }

    fn answer(&self, job: Job, done: Done) {
        match (job, done) {
            (Job::Fence { reply, .. }, Done::Fenced(result)) => {
                let _ = reply.send(result);
            }
            (Job::Append { append, reply }, Done::Appended(result)) => {
                let written = result.is_ok();
                let _ = reply.send(result);
                if written {
                    self.announcements.tell(append.attempt, append.events);
                }
            }
            _ => {}
        }
    }
}

/// Tells a refusal, which concerns one job and wrote nothing, from a failure of the file, which
/// concerns the whole group.
fn refusal<T>(result: Result<T, LogError>) -> Result<Result<T, LogError>, LogError> {
    match result {
        Err(refused @ (LogError::Fenced { .. } | LogError::WrongSeq { .. })) => Ok(Err(refused)),
        Err(failed) => Err(failed),
        Ok(value) => Ok(Ok(value)),
    }
}

fn refuse(job: Job, error: &LogError) {
    match job {
        Job::Fence { reply, .. } => drop(reply.send(Err(error.clone()))),
        Job::Append { reply, .. } => drop(reply.send(Err(error.clone()))),
        Job::Close { reply } => drop(reply.send(())),
    }
}

async fn head(connection: &mut SqliteConnection, attempt: AttemptId) -> Result<Head, LogError> {
    let row = sqlx::query("SELECT epoch, seq, hash FROM logs WHERE attempt = ?")
        .bind(attempt.0.as_bytes().as_slice())
        .fetch_optional(connection)
        .await
        .map_err(failure)?;
    row.map_or_else(|| Ok(Head::empty()), |row| head_of(&row))
}

async fn fence(
    connection: &mut SqliteConnection,
    attempt: AttemptId,
    epoch: Epoch,
) -> Result<Head, LogError> {
    let before = head(connection, attempt).await?;
    if epoch < before.epoch {
        return Err(LogError::Fenced { current: before.epoch, given: epoch });
    }
    if epoch > before.epoch {
        sqlx::query(
            "INSERT INTO logs (attempt, epoch, seq, hash) VALUES (?1, ?2, 0, zeroblob(32))
             ON CONFLICT (attempt) DO UPDATE SET epoch = excluded.epoch",
        )
        .bind(attempt.0.as_bytes().as_slice())
        .bind(i64::from(epoch.0))
        .execute(connection)
        .await
        .map_err(failure)?;
    }
    Ok(Head { epoch, ..before })
}

/// Moves the end of a log; its new entries are added to `rows`, to be inserted with others.
async fn append_one<'a>(
    connection: &mut SqliteConnection,
    append: &'a Append,
    rows: &mut Vec<Row<'a>>,
) -> Result<Seq, LogError> {
    let Some(last) = append.events.last() else { return Ok(append.after) };
    // One statement checks epoch and end, and moves the end.
    let log: Option<i64> = sqlx::query_scalar(
        "UPDATE logs SET seq = ?4, hash = ?5 WHERE attempt = ?1 AND epoch = ?2 AND seq = ?3
         RETURNING id",
    )
    .bind(append.attempt.0.as_bytes().as_slice())
    .bind(i64::from(append.epoch.0))
    .bind(seq_to_sql(append.after)?)
    .bind(seq_to_sql(last.seq)?)
    .bind(bytes_of(&last.hash).as_slice())
    .fetch_optional(&mut *connection)
    .await
    .map_err(failure)?;
    let Some(log) = log else {
        let head = head(connection, append.attempt).await?;
        return Err(if head.epoch == append.epoch {
            LogError::WrongSeq { current: head.seq, given: append.after }
        } else {
            LogError::Fenced { current: head.epoch, given: append.epoch }
        });
    };
    for event in &append.events {
        rows.push(((log << 32) + seq_to_sql(event.seq)?, event));
    }
    Ok(last.seq)
}

/// Inserts at most [`ROWS`] entries.
async fn insert(connection: &mut SqliteConnection, rows: &[Row<'_>]) -> Result<(), LogError> {
    // At most `ROWS` different texts, so each is prepared once and kept by the connection.
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO events (place, at, epoch, kind, body, prev_hash, hash) ",
    );
    query.push_values(rows, |mut row, (place, event)| {
        row.push_bind(*place)
            .push_bind(i64::try_from(event.at.0).unwrap_or(i64::MAX))
            .push_bind(i64::from(event.epoch.0))
            .push_bind(event.kind.as_str())
            .push_bind(event.body.as_str())
            .push_bind(bytes_of(&event.prev_hash).to_vec())
            .push_bind(bytes_of(&event.hash).to_vec());
    });
    query.build().execute(connection).await.map(|_| ()).map_err(failure)
}

/// A number of an entry has 32 bits of `place`.
fn seq_to_sql(seq: Seq) -> Result<i64, LogError> {
    u32::try_from(seq.0)
        .map(i64::from)
        .map_err(|_| LogError::Malformed(format!("{} is too large for a number", seq.0)))
}

/// The 32 bytes that 64 hexadecimal digits stand for.
fn bytes_of(digest: &Sha256) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digest.as_str().as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    bytes
}

/// `Sha256` holds lower-case digits only.
fn nibble(digit: u8) -> u8 {
    if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 }
}
