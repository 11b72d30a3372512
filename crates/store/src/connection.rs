//! Transactions: one writing connection, lent to one at a time, and a few that read.

use std::path::{Path, PathBuf};
use std::sync::{self, Arc, PoisonError};

use sqlx::ConnectOptions;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};

use crate::error::StoreError;
use crate::sql::{Connection, failure, run};
use crate::sqlite::{open, open_to_write, options};

/// How many may read at once.
const READERS: usize = 4;

/// The file, as one process has it open. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    path: PathBuf,
    writer: Arc<Mutex<Option<Lent>>>,
    readers: Arc<Readers>,
    /// How many transactions this process has committed.
    commits: watch::Sender<u64>,
}

/// What a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// On disk when it returns.
    Durable,
    /// Survives the process; after a crash of the machine it may be gone. Saves a sync. What was
    /// committed before and after stays in order.
    Lasting,
}

struct Lent {
    connection: Connection,
    promise: Promise,
}

/// A transaction that holds the write lock. Dropped without [`Transaction::commit`], by an error or
/// as its caller stopped waiting, it is rolled back at once: other processes wait for the lock.
pub(crate) struct Transaction {
    open: Option<Open>,
    commits: watch::Sender<u64>,
}

struct Open {
    lent: Lent,
    /// Where the connection goes back to. Held until then, so that the next one waits.
    home: OwnedMutexGuard<Option<Lent>>,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::over(Connection::Sqlite(open(path).await?), path))
    }

    /// As [`Database::open`], for who is about to write.
    pub(crate) async fn open_to_write(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::over(Connection::Sqlite(open_to_write(path).await?), path))
    }

    fn over(connection: Connection, path: &Path) -> Self {
        let readers =
            Readers { idle: sync::Mutex::default(), places: Arc::new(Semaphore::new(READERS)) };
        let lent = Lent { connection, promise: Promise::Durable };
        let writer = Arc::new(Mutex::new(Some(lent)));
        let commits = watch::Sender::new(0);
        Self { path: path.to_owned(), writer, readers: Arc::new(readers), commits }
    }

    /// Where to read outside of a transaction: the writing connection while nobody writes, so
    /// that a process that works on one attempt opens no other.
    pub(crate) async fn reader(&self) -> Result<Reader, StoreError> {
        let idle = self.readers.idle().pop();
        if idle.is_none()
            && let Ok(mut home) = Arc::clone(&self.writer).try_lock_owned()
            && let Some(lent) = home.take()
        {
            return Ok(Reader(Some(Reading::Writer(lent, home))));
        }
        let closed = |_| failure(sqlx::Error::PoolClosed);
        let place = Arc::clone(&self.readers.places).acquire_owned().await.map_err(closed)?;
        let connection = match idle.or_else(|| self.readers.idle().pop()) {
            Some(connection) => connection,
            None => reading(&self.path).await?,
        };
        Ok(Reader(Some(Reading::Own(connection, Arc::clone(&self.readers), place))))
    }

    pub(crate) async fn begin(&self, promise: Promise) -> Result<Transaction, StoreError> {
        let mut home = Arc::clone(&self.writer).lock_owned().await;
        let mut lent = match home.take() {
            Some(lent) => lent,
            // The last one was dropped as it could not be rolled back.
            None => Lent {
                connection: Connection::Sqlite(open(&self.path).await?),
                promise: Promise::Durable,
            },
        };
        if lent.promise != promise {
            let pragma = match promise {
                Promise::Durable => "PRAGMA synchronous = FULL",
                Promise::Lasting => "PRAGMA synchronous = NORMAL",
            };
            run(&mut lent.connection, pragma).await?;
            lent.promise = promise;
        }
        let open = Some(Open { lent, home });
        let mut transaction = Transaction { open, commits: self.commits.clone() };
        run(transaction.connection()?, "BEGIN IMMEDIATE").await?;
        Ok(transaction)
    }

    /// Counts the transactions that this process commits, each after it was.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    pub(crate) async fn close(&self) {
        self.readers.places.close();
        let idle = std::mem::take(&mut *self.readers.idle());
        for connection in idle {
            connection.close().await;
        }
        if let Some(lent) = self.writer.lock().await.take() {
            lent.connection.close().await;
        }
    }
}

/// Opens a connection that only reads.
async fn reading(path: &Path) -> Result<Connection, StoreError> {
    let options = options(path).read_only(true).create_if_missing(false);
    options.connect().await.map(Connection::Sqlite).map_err(failure)
}

/// Connections that read. Not sqlx's pool: that one takes a connection back a little later, in a
/// task of its own, and so opens the next for whoever reads twice in a row.
struct Readers {
    idle: sync::Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

impl Readers {
    fn idle(&self) -> sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to read on; the next one may have it when this is dropped.
pub(crate) struct Reader(Option<Reading>);

enum Reading {
    /// The writing one, and where it goes back to.
    Writer(Lent, OwnedMutexGuard<Option<Lent>>),
    /// One that only reads, where it goes back to, and its place among those open.
    Own(Connection, Arc<Readers>, OwnedSemaphorePermit),
}

impl Reader {
    /// Where to read.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        match &mut self.0 {
            Some(Reading::Writer(lent, _)) => Ok(&mut lent.connection),
            Some(Reading::Own(connection, ..)) => Ok(connection),
            // Only `drop` takes it.
            None => Err(failure(sqlx::Error::WorkerCrashed)),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // What was being read when its reader stopped waiting ends by itself.
        match self.0.take() {
            Some(Reading::Writer(lent, mut home)) => *home = Some(lent),
            Some(Reading::Own(connection, readers, _place)) if !readers.places.is_closed() => {
                readers.idle().push(connection);
            }
            Some(Reading::Own(..)) | None => {}
        }
    }
}

impl Transaction {
    /// Where the transaction's statements run.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        match &mut self.open {
            Some(open) => Ok(&mut open.lent.connection),
            // Only `commit` takes it, and that consumes the transaction.
            None => Err(failure(sqlx::Error::WorkerCrashed)),
        }
    }

    /// Keeps what was written.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        run(self.connection()?, "COMMIT").await?;
        if let Some(mut open) = self.open.take() {
            *open.home = Some(open.lent);
        }
        self.commits.send_modify(|commits| *commits = commits.wrapping_add(1));
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // Without a runtime the connection is dropped, and closing rolls back too.
        if let (Some(open), Ok(runtime)) = (self.open.take(), Handle::try_current()) {
            runtime.spawn(open.roll_back());
        }
    }
}

impl Open {
    async fn roll_back(mut self) {
        // Where SQLite had rolled back by itself this fails, and the next one opens the file anew.
        if run(&mut self.lent.connection, "ROLLBACK").await.is_ok() {
            *self.home = Some(self.lent);
        }
    }
}
