//! What the store's tests stand on: a new store, and short words for its values.
//!
//! Every file of tests runs twice: by itself over SQLite, and as a part of `postgres.rs` over a
//! server.
#![allow(dead_code, clippy::unwrap_used, reason = "for tests; each file uses its part")]

pub mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quire_domain::attempt::{AttemptState, Outcome};
use quire_domain::budget::Spent;
use quire_domain::ids::AttemptId;
use quire_domain::task::Request;
use quire_domain::time::Timestamp;
use quire_store::{CountedIds, NewTask, Store, Write};

pub struct Stage {
    pub store: Store,
    /// Where SQLite's file is; nothing is there where the store is on a server.
    pub path: PathBuf,
    pub directory: tempfile::TempDir,
    pub place: Place,
}

/// Where a store is, to be opened as another process would.
#[derive(Clone)]
pub struct Place {
    url: Option<String>,
    path: PathBuf,
}

impl Place {
    pub async fn open(&self) -> Store {
        match &self.url {
            Some(url) => Store::open_url(url).await.unwrap(),
            None => Store::open(&self.path).await.unwrap(),
        }
    }
}

impl Stage {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("quire.db");
        let url = (env!("CARGO_CRATE_NAME") == "postgres").then(new_database);
        let place = Place { url, path: path.clone() };
        let store = place.open().await.with_ids(Arc::new(CountedIds::default()));
        Self { store, path, directory, place }
    }

    /// The same database, as another process opens it.
    pub async fn other(&self) -> Store {
        self.place.open().await
    }

    pub async fn submit_one(&self) -> AttemptId {
        self.store.submit(new_task("fix", 1)).await.unwrap().attempts[0].id
    }

    /// Claims an attempt, whoever holds it, and ends it.
    pub async fn end(&self, attempt: AttemptId, outcome: Outcome) {
        let later = Timestamp(1_000_000);
        let epoch = self.store.claim(attempt, "end", later, 1).await.unwrap().epoch;
        let done = state(AttemptState::Done { outcome }, later.0);
        self.store.set_state(attempt, epoch, done).await.unwrap();
    }
}

/// A database that nobody has used, on the server of all tests.
pub fn new_database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    server::Server::shared().database(&format!("t{}_{count}", std::process::id()))
}

pub fn at(millis: u64) -> Timestamp {
    Timestamp(millis)
}

pub fn state(state: AttemptState, now: u64) -> Write {
    Write { state, spent: Spent::default(), result: None, now: at(now) }
}

pub fn request(prompt: &str, attempts: u8) -> Request {
    // By way of JSON, so that a new field with a default concerns nobody here.
    let json = serde_json::json!({
        "mode": "code", "prompt": prompt, "model": "scripted", "attempts": attempts,
    });
    serde_json::from_value(json).unwrap()
}

pub fn new_task(prompt: &str, attempts: u8) -> NewTask {
    NewTask {
        repository: "/src/shop".to_owned(),
        title: prompt.to_owned(),
        request: request(prompt, attempts),
        origin: Some("{\"ref\":1}".to_owned()),
        idempotency_key: None,
        owner: quire_domain::access::Owner::LOCAL,
        offered: false,
        now: at(0),
    }
}
