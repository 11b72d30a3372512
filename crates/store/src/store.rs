//! The store: opened once per process, shared by all of it.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::audit::Actor;
use crate::connection::Database;
use crate::error::StoreError;
use crate::ids::{NewIds, RandomIds};

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// The store of one data directory. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) ids: Arc<dyn NewIds>,
    /// Who does what is done through this one, if somebody does.
    pub(crate) actor: Option<Arc<Actor>>,
}

impl Store {
    /// Opens the database at `path` (`<data-dir>/quire.db`), makes or migrates it where needed.
    ///
    /// The directory has to exist. About a millisecond when nothing is to be migrated.
    pub async fn open(path: &Path) -> Result<Self> {
        Ok(Self { database: Database::open(path).await?, ids: Arc::new(RandomIds), actor: None })
    }

    /// As [`Store::open`], for who is about to write: begins the write-ahead log, so that the first
    /// write waits for the disk once.
    pub async fn open_to_write(path: &Path) -> Result<Self> {
        Ok(Self {
            database: Database::open_to_write(path).await?,
            ids: Arc::new(RandomIds),
            actor: None,
        })
    }

    /// Opens a database of a Postgres server, `postgres://person:password@host/database`, makes or
    /// migrates it where needed. What the address leaves out is taken from where every program of
    /// Postgres takes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadUrl`], [`StoreError::Connect`] after ten seconds without a server.
    pub async fn open_url(url: &str) -> Result<Self> {
        Ok(Self { database: Database::open_url(url).await?, ids: Arc::new(RandomIds), actor: None })
    }

    /// The same store, with ids of new things from `ids`.
    #[must_use]
    pub fn with_ids(mut self, ids: Arc<dyn NewIds>) -> Self {
        self.ids = ids;
        self
    }

    /// Ticks after each commit of this process: whoever waits for news asks again what it needs.
    /// What other processes commit does not tick.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.database.commits()
    }

    /// Closes the database; waits for what is running. A process that ends without it loses
    /// nothing that was acknowledged.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
