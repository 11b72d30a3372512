//! Transactions: one writing connection, lent to one at a time, and a few that read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::StoreError;
use crate::sqlite::{failure, open, options, run};

/// How many may read at once.
const READERS: u32 = 4;

/// The file, as one process has it open. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    path: PathBuf,
    writer: Arc<Mutex<Option<Lent>>>,
    readers: SqlitePool,
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
    connection: SqliteConnection,
    promise: Promise,
}

/// A transaction that holds the write lock. Dropped without [`Transaction::commit`], by an error or
/// as its caller stopped waiting, it is rolled back at once: other processes wait for the lock.
pub(crate) struct Transaction(Option<Open>);

struct Open {
    lent: Lent,
    /// Where the connection goes back to. Held until then, so that the next one waits.
    home: OwnedMutexGuard<Option<Lent>>,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open(path).await?;
        // Readers connect when they are first needed.
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .connect_lazy_with(options(path).read_only(true).create_if_missing(false));
        let lent = Lent { connection, promise: Promise::Durable };
        Ok(Self { path: path.to_owned(), writer: Arc::new(Mutex::new(Some(lent))), readers })
    }

    /// Where to read outside of a transaction.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(crate) async fn begin(&self, promise: Promise) -> Result<Transaction, StoreError> {
        let mut home = Arc::clone(&self.writer).lock_owned().await;
        let mut lent = match home.take() {
            Some(lent) => lent,
            // The last one was dropped as it could not be rolled back.
            None => Lent { connection: open(&self.path).await?, promise: Promise::Durable },
        };
        if lent.promise != promise {
            let pragma = match promise {
                Promise::Durable => "PRAGMA synchronous = FULL",
                Promise::Lasting => "PRAGMA synchronous = NORMAL",
            };
            run(&mut lent.connection, pragma).await?;
            lent.promise = promise;
        }
        let mut transaction = Transaction(Some(Open { lent, home }));
        run(transaction.connection()?, "BEGIN IMMEDIATE").await?;
        Ok(transaction)
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        if let Some(lent) = self.writer.lock().await.take() {
            let _ = lent.connection.close().await;
        }
    }
}

impl Transaction {
    /// Where the transaction's statements run.
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        match &mut self.0 {
            Some(open) => Ok(&mut open.lent.connection),
            // Only `commit` takes it, and that consumes the transaction.
            None => Err(failure(sqlx::Error::WorkerCrashed)),
        }
    }

    /// Keeps what was written.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        run(self.connection()?, "COMMIT").await?;
        if let Some(mut open) = self.0.take() {
            *open.home = Some(open.lent);
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // Without a runtime the connection is dropped, and closing rolls back too.
        if let (Some(open), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
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
