//! Transactions: one writing connection, lent to one at a time, and a few that read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, SqliteConnection};
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
    /// A transaction was left open: by an error, or as its caller stopped waiting.
    open: bool,
}

/// A transaction that holds the write lock. Dropped without [`Transaction::commit`] it is rolled
/// back before the next begins.
pub(crate) struct Transaction {
    home: OwnedMutexGuard<Option<Lent>>,
    lent: Option<Lent>,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open(path).await?;
        // Readers connect when they are first needed.
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .connect_lazy_with(options(path).read_only(true).create_if_missing(false));
        let lent = Lent { connection, promise: Promise::Durable, open: false };
        Ok(Self { path: path.to_owned(), writer: Arc::new(Mutex::new(Some(lent))), readers })
    }

    /// Where to read outside of a transaction.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(crate) async fn begin(&self, promise: Promise) -> Result<Transaction, StoreError> {
        let mut home = Arc::clone(&self.writer).lock_owned().await;
        let mut lent = match home.take() {
            Some(lent) => self.tidied(lent).await?,
            None => self.reopened().await?,
        };
        if lent.promise != promise {
            let pragma = match promise {
                Promise::Durable => "PRAGMA synchronous = FULL",
                Promise::Lasting => "PRAGMA synchronous = NORMAL",
            };
            run(&mut lent.connection, pragma).await?;
            lent.promise = promise;
        }
        let mut transaction = Transaction { home, lent: Some(lent) };
        transaction.start().await?;
        Ok(transaction)
    }

    async fn tidied(&self, mut lent: Lent) -> Result<Lent, StoreError> {
        if lent.open && run(&mut lent.connection, "ROLLBACK").await.is_err() {
            // SQLite had rolled back by itself, or the connection is of no more use.
            return self.reopened().await;
        }
        lent.open = false;
        Ok(lent)
    }

    async fn reopened(&self) -> Result<Lent, StoreError> {
        let connection = open(&self.path).await?;
        Ok(Lent { connection, promise: Promise::Durable, open: false })
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        if let Some(lent) = self.writer.lock().await.take() {
            let _ = lent.connection.close().await;
        }
    }
}

impl Transaction {
    async fn start(&mut self) -> Result<(), StoreError> {
        if let Some(lent) = &mut self.lent {
            lent.open = true;
            run(&mut lent.connection, "BEGIN IMMEDIATE").await?;
        }
        Ok(())
    }

    /// Where the transaction's statements run.
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        match &mut self.lent {
            Some(lent) => Ok(&mut lent.connection),
            // Only `commit` takes it, and that consumes the transaction.
            None => Err(failure(sqlx::Error::WorkerCrashed)),
        }
    }

    /// Keeps what was written.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        run(self.connection()?, "COMMIT").await?;
        if let Some(lent) = &mut self.lent {
            lent.open = false;
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        *self.home = self.lent.take();
    }
}
