//! Transactions: one writing connection, lent to one at a time, and a few that read.

use std::path::{Path, PathBuf};
use std::sync::{self, Arc, PoisonError};

use sqlx::ConnectOptions;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};

use crate::error::StoreError;
use crate::postgres::Server;
use crate::sql::{Connection, Dialect, failure};
use crate::sqlite::{self, open, open_to_write, options};

/// How many may read at once.
const READERS: usize = 4;

/// The database, as one process has it open. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    place: Place,
    writer: Arc<Mutex<Option<Lent>>>,
    readers: Arc<Readers>,
    /// How many transactions this process has committed.
    commits: watch::Sender<u64>,
}

/// Where it is.
#[derive(Clone)]
enum Place {
    File(PathBuf),
    Server(Server),
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
        Ok(Self::over(Connection::Sqlite(open(path).await?), Place::File(path.to_owned())))
    }

    /// As [`Database::open`], for who is about to write.
    pub(crate) async fn open_to_write(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::Sqlite(open_to_write(path).await?);
        Ok(Self::over(connection, Place::File(path.to_owned())))
    }

    /// Opens a database of a server.
    pub(crate) async fn open_url(url: &str) -> Result<Self, StoreError> {
        let server = Server::parse(url)?;
        let connection = Connection::Postgres(Box::new(server.open().await?));
        Ok(Self::over(connection, Place::Server(server)))
    }

    fn over(connection: Connection, place: Place) -> Self {
        let readers =
            Readers { idle: sync::Mutex::default(), places: Arc::new(Semaphore::new(READERS)) };
        let lent = Lent { connection, promise: Promise::Durable };
        let writer = Arc::new(Mutex::new(Some(lent)));
        let commits = watch::Sender::new(0);
        Self { place, writer, readers: Arc::new(readers), commits }
    }

    /// What the database understands where not both understand the same.
    pub(crate) fn dialect(&self) -> Dialect {
        match self.place {
            Place::File(_) => Dialect::Sqlite,
            Place::Server(_) => Dialect::Postgres,
        }
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
        self.own_reader(idle).await
    }

    /// A connection that only reads, or writes what need not be on disk when it returns.
    async fn own_reader(&self, idle: Option<Connection>) -> Result<Reader, StoreError> {
        let closed = |_| failure(sqlx::Error::PoolClosed);
        let place = Arc::clone(&self.readers.places).acquire_owned().await.map_err(closed)?;
        let connection = match idle.or_else(|| self.readers.idle().pop()) {
            Some(connection) => connection,
            None => self.place.reading().await?,
        };
        Ok(Reader(Some(Reading::Own(connection, Arc::clone(&self.readers), place))))
    }

    pub(crate) async fn begin(&self, promise: Promise) -> Result<Transaction, StoreError> {
        let mut home = Arc::clone(&self.writer).lock_owned().await;
        let mut lent = match home.take() {
            Some(lent) => lent,
            // The last one was dropped as it could not be rolled back.
            None => Lent { connection: self.place.writing().await?, promise: Promise::Durable },
        };
        if let Connection::Sqlite(connection) = &mut lent.connection
            && lent.promise != promise
        {
            let pragma = match promise {
                Promise::Durable => "PRAGMA synchronous = FULL",
                Promise::Lasting => "PRAGMA synchronous = NORMAL",
            };
            sqlite::run(connection, pragma).await?;
            lent.promise = promise;
        }
        let open = Some(Open { lent, home });
        let mut transaction = Transaction { open, commits: self.commits.clone() };
        transaction.connection()?.begin(promise).await?;
        Ok(transaction)
    }

    /// For a write that is right whatever others write meanwhile (it compares and sets one row),
    /// and may be done twice. Survives the process, not a crash of the machine. Others who write
    /// are not waited for where the database allows that.
    pub(crate) async fn alone(&self) -> Result<Alone, StoreError> {
        Ok(match self.place {
            Place::File(_) => Alone::Transaction(self.begin(Promise::Lasting).await?),
            Place::Server(_) => {
                let idle = self.readers.idle().pop();
                Alone::Statement(self.own_reader(idle).await?, self.commits.clone())
            }
        })
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

impl Place {
    async fn writing(&self) -> Result<Connection, StoreError> {
        Ok(match self {
            Self::File(path) => Connection::Sqlite(open(path).await?),
            Self::Server(server) => Connection::Postgres(Box::new(server.open().await?)),
        })
    }

    async fn reading(&self) -> Result<Connection, StoreError> {
        match self {
            Self::File(path) => {
                let options = options(path).read_only(true).create_if_missing(false);
                options.connect().await.map(Connection::Sqlite).map_err(failure)
            }
            Self::Server(server) => Ok(Connection::Postgres(Box::new(server.reading().await?))),
        }
    }
}

/// A write outside of the order of the others.
pub(crate) enum Alone {
    Transaction(Transaction),
    Statement(Reader, watch::Sender<u64>),
}

impl Alone {
    /// Where its statement runs.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        match self {
            Self::Transaction(transaction) => transaction.connection(),
            Self::Statement(reader, _) => reader.connection(),
        }
    }

    /// Keeps what was written.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Transaction(transaction) => transaction.commit().await,
            Self::Statement(reader, commits) => {
                drop(reader);
                tick(&commits);
                Ok(())
            }
        }
    }
}

fn tick(commits: &watch::Sender<u64>) {
    commits.send_modify(|commits| *commits = commits.wrapping_add(1));
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
        match self.0.take() {
            Some(Reading::Writer(lent, mut home)) if lent.connection.usable() => *home = Some(lent),
            Some(Reading::Own(connection, readers, _place))
                if connection.usable() && !readers.places.is_closed() =>
            {
                readers.idle().push(connection);
            }
            Some(Reading::Writer(..) | Reading::Own(..)) | None => {}
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
        self.connection()?.commit().await?;
        if let Some(mut open) = self.open.take() {
            *open.home = Some(open.lent);
        }
        tick(&self.commits);
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
        // Where this fails the next one opens the database anew.
        if self.lent.connection.roll_back().await.is_ok() {
            *self.home = Some(self.lent);
        }
    }
}
