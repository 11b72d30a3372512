//! The end of a log: the evidence is summed up, signed, and put beside it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use quire_domain::event::{Event, EventBody};
use quire_domain::ids::{AttemptId, Sha256, TaskId};
use quire_domain::journal::JournalError;
use quire_domain::sandbox::ExitStatus;
use quire_engine::StoredEvent;
use quire_evidence::bundle::Bundle;
use quire_evidence::record::LogEntry;
use quire_evidence::statement::{About, Statement, StatementError};

use crate::recorder::{blob_error, log_error};
use crate::worker::Worker;

/// Why evidence could not be signed or read.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The log cannot be read.
    #[error("cannot read the log")]
    Log(#[from] JournalError),
    /// The log is not one.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The bundle cannot be written or read.
    #[error("cannot reach `{}`", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file that holds an attempt's evidence: signed when it ended, and never again.
pub fn bundle_path(worker: &Worker, attempt: AttemptId) -> PathBuf {
    worker.place.evidence(attempt).with_extension("jsonl")
}

/// Signs the log of an attempt as it stands and writes its bundle, with what its citations point
/// at by digest. Safe to repeat.
pub async fn seal(
    worker: &Worker,
    task: TaskId,
    attempt: AttemptId,
    mut contents: BTreeMap<Sha256, Vec<u8>>,
) -> Result<Bundle, SealError> {
    let entries = entries(worker, attempt).await?;
    for blob in Statement::blobs(&entries) {
        let bytes = worker.record.blobs.get(&blob).await.map_err(blob_error)?;
        contents.insert(blob, bytes.to_vec());
    }
    // Evidence without the number is better than none.
    let number = worker.store.task_by_id(task).await.ok().map(|task| task.number);
    let about = About { task, number, attempt, quire_version: worker.place.version.clone() };
    let damaged = |error: StatementError| SealError::Damaged(error.to_string());
    let statement = Statement::of_log_with(&entries, &contents, about).map_err(damaged)?;
    let envelope = statement.sign(&worker.key).map_err(damaged)?;
    let bundle = Bundle { entries, contents, envelope, key: worker.key.public() };
    let path = bundle_path(worker, attempt);
    let text = bundle.to_text();
    let written = path.clone();
    tokio::task::spawn_blocking(move || write_whole(&written, text.as_bytes()))
        .await
        .map_err(|error| SealError::Damaged(error.to_string()))?
        .map_err(|source| SealError::Io { path, source })?;
    Ok(bundle)
}

/// Checks that passed, and all, by the last result of each.
pub fn checks_of(events: &[Event]) -> Option<(u32, u32)> {
    let mut results: BTreeMap<&str, bool> = BTreeMap::new();
    for event in events {
        if let EventBody::CheckFinished(check) = &event.body {
            results.insert(&check.check.name, check.exit.is_some_and(ExitStatus::success));
        }
    }
    let passed = results.values().filter(|passed| **passed).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (!results.is_empty()).then(|| (count(passed), count(results.len())))
}

/// The log in the form that is hashed.
pub async fn entries(worker: &Worker, attempt: AttemptId) -> Result<Vec<LogEntry>, SealError> {
    let mut entries: Vec<LogEntry> = Vec::new();
    loop {
        let from = quire_domain::ids::Seq(entries.len() as u64 + 1);
        let page = worker.record.log.read(attempt, from, 2_000).await.map_err(log_error)?;
        if page.is_empty() {
            return Ok(entries);
        }
        for stored in page {
            entries.push(entry(stored)?);
        }
    }
}

fn entry(stored: StoredEvent) -> Result<LogEntry, SealError> {
    let damaged = |what: &str| SealError::Damaged(format!("event {}: {what}", stored.seq.0));
    let mut value: serde_json::Value =
        serde_json::from_str(&stored.body).map_err(|error| damaged(&error.to_string()))?;
    let body = value.get_mut("body").map_or(serde_json::Value::Null, serde_json::Value::take);
    Ok(LogEntry {
        seq: stored.seq,
        at: stored.at,
        epoch: stored.epoch,
        kind: stored.kind,
        body,
        prev_hash: stored.prev_hash,
        hash: stored.hash,
    })
}

/// Writes a file whole or not at all.
fn write_whole(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::NotFound)?;
    std::fs::create_dir_all(directory)?;
    let unfinished = path.with_extension("tmp");
    std::fs::write(&unfinished, bytes)?;
    std::fs::File::open(&unfinished)?.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    std::fs::File::open(directory)?.sync_all()
}
