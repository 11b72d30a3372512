//! The recorder: the one writer of an attempt's log, its chunks and its blobs.
//!
//! Each event is hashed onto the one before as it is written. Events that need not be on disk at
//! once are [noted](Recorder::note): they have their place in the log and go to disk with the
//! next append, so that a phase costs no commit of its own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::event::{CommandPurpose, Event, EventBody};
use quire_domain::ids::{AttemptId, ChunkId, Epoch, Seq, Sha256};
use quire_domain::journal::{ChunkReader, ChunkSummary, ChunkWriter, Journal, JournalError, Live};
use quire_domain::secret::Secret;
use quire_domain::time::Clock;
use quire_engine::{
    AttemptChunks, BlobError, Blobs, Bus, EventLog, LogError, Redaction, StoredEvent, Stream,
    restore, spill,
};
use tokio::sync::watch;

use crate::progress::Progress;
use crate::redacted;
use crate::way_out::behind::Behind;

/// What the recorder of every attempt writes to.
#[derive(Clone)]
pub struct Record {
    /// The logs.
    pub log: Arc<dyn EventLog>,
    /// The live bus.
    pub bus: Arc<dyn Bus>,
    /// The blobs.
    pub blobs: Arc<dyn Blobs>,
    /// The chunks.
    pub chunks: quire_engine::Chunks,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What this process knows and nobody may read: the keys of models.
    pub redaction: Redaction,
}

impl Record {
    /// Reads the whole log of `attempt`, bodies opened.
    pub async fn events(&self, attempt: AttemptId) -> Result<Vec<Event>, JournalError> {
        let mut events = Vec::new();
        loop {
            let from = Seq(events.len() as u64 + 1);
            let page = self.log.read(attempt, from, READ_PAGE).await.map_err(log_error)?;
            let last = page.len() < READ_PAGE as usize;
            for stored in page {
                events.push(self.open_event(stored).await?);
            }
            if last {
                return Ok(events);
            }
        }
    }

    /// Opens the body of a stored event.
    pub async fn open_event(&self, stored: StoredEvent) -> Result<Event, JournalError> {
        let text = restore(self.blobs.as_ref(), stored.body).await.map_err(blob_error)?;
        let body: EventBody = serde_json::from_str(&text).map_err(|error| {
            JournalError::Damaged(format!("event {} is not readable: {error}", stored.seq.0))
        })?;
        Ok(Event {
            seq: stored.seq,
            at: stored.at,
            epoch: stored.epoch,
            body,
            prev_hash: stored.prev_hash,
            hash: stored.hash,
        })
    }
}

/// Events are read this many at a time.
const READ_PAGE: u32 = 2_000;

/// The one writer of an attempt's record.
pub struct Recorder {
    record: Record,
    attempt: AttemptId,
    epoch: Epoch,
    chunks: AttemptChunks,
    chunk_cap: u64,
    state: Mutex<State>,
    touched: watch::Sender<Touched>,
    /// What is taken out of all that is recorded and shown.
    redaction: RwLock<Redaction>,
    said: Mutex<Said>,
    /// Grows with all that is recorded or shown.
    signs: AtomicU64,
    /// Whose requests the way out of the attempt's sandbox tells apart.
    behind: Mutex<Option<Arc<Behind>>>,
    /// Tells people how far the attempt is.
    progress: Mutex<Option<Progress>>,
    /// Held over a whole append, so that batches reach the log in the order of their numbers.
    writing: tokio::sync::Mutex<()>,
}

/// What of the record says that the working tree may have changed.
#[derive(Debug, Clone, Default)]
pub struct Touched {
    /// Grows with each such event.
    pub steps: u64,
    /// Commands of the model's that go on.
    pub running: BTreeSet<ChunkId>,
}

impl Touched {
    /// Takes one more event; whether it says so.
    fn push(&mut self, body: &EventBody) -> bool {
        match body {
            EventBody::CommandStarted(started) => {
                if !matches!(started.purpose, CommandPurpose::Call(_)) {
                    return false;
                }
                self.running.insert(started.chunk.clone());
            }
            EventBody::CommandFinished(finished) => {
                if !self.running.remove(&finished.chunk.id) {
                    return false;
                }
            }
            EventBody::PatchApplied(_) => {}
            _ => return false,
        }
        self.steps += 1;
        true
    }
}

/// The model's words as they come, which may end in the middle of a secret.
#[derive(Default)]
struct Said {
    text: Option<Stream>,
    reasoning: Option<Stream>,
}

struct State {
    /// The last event that has a number, written or noted.
    last: Seq,
    last_hash: Sha256,
    /// The last event on disk.
    written: Seq,
    noted: Vec<StoredEvent>,
}

impl Recorder {
    /// Takes over the log of `attempt` under `epoch`. `continued` are the attempts it goes on
    /// from, nearest first; `chunk_cap` the bytes of one command's output that are kept.
    pub async fn open(
        record: Record,
        attempt: AttemptId,
        epoch: Epoch,
        continued: Vec<AttemptId>,
        chunk_cap: u64,
    ) -> Result<Self, JournalError> {
        let head = record.log.fence(attempt, epoch).await.map_err(log_error)?;
        let chunks = record.chunks.of(attempt, continued);
        let state =
            State { last: head.seq, last_hash: head.hash, written: head.seq, noted: Vec::new() };
        let redaction = RwLock::new(record.redaction.clone());
        Ok(Self {
            redaction,
            said: Mutex::default(),
            signs: AtomicU64::new(0),
            behind: Mutex::default(),
            progress: Mutex::default(),
            record,
            attempt,
            epoch,
            chunks,
            chunk_cap,
            state: Mutex::new(state),
            touched: watch::Sender::new(Touched::default()),
            writing: tokio::sync::Mutex::new(()),
        })
    }

    /// Takes these values out of all that is recorded from now on. Of a command that runs already
    /// only what it is made of is looked for that was known when it began.
    pub fn redact(&self, values: impl IntoIterator<Item = Secret<Vec<u8>>>) {
        let mut redaction = self.redaction.write().unwrap_or_else(PoisonError::into_inner);
        let more = redaction.with(values);
        *redaction = more;
    }

    /// What is taken out of all that is recorded.
    pub fn redaction(&self) -> Redaction {
        self.redaction.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The hash of the last event, noted ones included.
    pub fn last_hash(&self) -> Sha256 {
        self.lock().last_hash.clone()
    }

    /// Whether the log is empty.
    pub fn is_empty(&self) -> bool {
        self.lock().last == Seq(0)
    }

    /// Tells of what may have changed the working tree.
    pub fn touched(&self) -> watch::Receiver<Touched> {
        self.touched.subscribe()
    }

    /// Grows with every event and with every piece of output, of the model's words and of its
    /// reasoning.
    pub fn signs(&self) -> u64 {
        self.signs.load(Ordering::Relaxed)
    }

    /// From now on commands of the attempt's sandbox are told to `behind` as they start.
    pub fn tells(&self, behind: Option<Arc<Behind>>) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }

    /// From now on `progress` hears what is recorded.
    pub(crate) fn tells_progress(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    fn tell_of_progress(&self, body: &EventBody) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = progress.as_mut() {
            progress.heard(body);
        }
    }

    fn behind(&self) -> Option<Arc<Behind>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Setup has its sandbox for itself: whatever asks for something there is its script.
    fn tell_of_setup(&self, body: &EventBody) {
        if let EventBody::CommandStarted(started) = body
            && started.purpose == CommandPurpose::Setup
            && let Some(behind) = self.behind()
        {
            behind.runs_alone(Some(started.chunk.clone()));
        }
    }

    /// Gives events their place without waiting for the disk: they go there with the next append.
    /// For what a resumed attempt would find out again.
    pub async fn note(&self, bodies: Vec<EventBody>) -> Result<(), JournalError> {
        let _writing = self.writing.lock().await;
        let sealed = self.seal(bodies).await?;
        self.lock().noted.extend(sealed);
        Ok(())
    }

    /// Writes what was noted, if anything.
    pub async fn flush(&self) -> Result<Seq, JournalError> {
        let _writing = self.writing.lock().await;
        self.write(Vec::new()).await
    }

    /// Ends chunks that a worker's death left open; gives their summaries.
    pub async fn finish_interrupted(&self) -> Result<Vec<ChunkSummary>, JournalError> {
        let mut summaries = Vec::new();
        for id in self.chunks.unfinished().await? {
            summaries.push(self.chunks.finish_interrupted(&id).await?);
        }
        Ok(summaries)
    }

    /// Hashes events onto the chain. The caller holds `writing`.
    async fn seal(&self, bodies: Vec<EventBody>) -> Result<Vec<StoredEvent>, JournalError> {
        let mut sealed = Vec::with_capacity(bodies.len());
        for body in bodies {
            if matches!(body, EventBody::ModelReplied(_)) {
                self.say_rest();
            }
            let body = self.recordable(body);
            self.touched.send_if_modified(|touched| touched.push(&body));
            self.tell_of_setup(&body);
            self.tell_of_progress(&body);
            self.signs.fetch_add(1, Ordering::Relaxed);
            let kind = body.kind().to_owned();
            let value = self.storable(&body).await?;
            let (seq, prev_hash) = {
                let state = self.lock();
                (Seq(state.last.0 + 1), state.last_hash.clone())
            };
            let at = self.record.clock.now();
            let hash = quire_evidence::chain::link(&prev_hash, seq, at, self.epoch, &value)
                .map_err(|error| JournalError::Damaged(error.to_string()))?;
            {
                let mut state = self.lock();
                state.last = seq;
                state.last_hash = hash.clone();
            }
            let body = value.to_string();
            sealed.push(StoredEvent { seq, at, epoch: self.epoch, kind, body, prev_hash, hash });
        }
        Ok(sealed)
    }

    /// A body as it is hashed and stored: large ones, and those with numbers that are not
    /// integers (a provider's own items may have them), as a blob.
    async fn storable(&self, body: &EventBody) -> Result<serde_json::Value, JournalError> {
        let blobs = self.record.blobs.as_ref();
        let text = serde_json::to_string(body).map_err(|error| JournalError::Io(error.into()))?;
        let text = spill(blobs, text).await.map_err(blob_error)?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| JournalError::Io(error.into()))?;
        if only_integers(&value) {
            return Ok(value);
        }
        let mut value: serde_json::Value = value;
        let inner = value["body"].to_string();
        let bytes = inner.len();
        let blob = blobs.put(Bytes::from(inner)).await.map_err(blob_error)?;
        value["body"] = serde_json::json!({"$blob": blob, "bytes": bytes});
        Ok(value)
    }

    /// Writes what was noted and `sealed`. The caller holds `writing`.
    async fn write(&self, sealed: Vec<StoredEvent>) -> Result<Seq, JournalError> {
        let (after, batch) = {
            let mut state = self.lock();
            let mut batch = std::mem::take(&mut state.noted);
            batch.extend(sealed);
            (state.written, batch)
        };
        if batch.is_empty() {
            return Ok(after);
        }
        let appended = self
            .record
            .log
            .append(self.attempt, self.epoch, after, batch)
            .await
            .map_err(log_error)?;
        self.lock().written = appended;
        Ok(appended)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    /// What may be shown of something live; `None` where all of it waits for more.
    fn showable(&self, redaction: &Redaction, live: Live) -> Option<Live> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let push = |stream: &mut Option<Stream>, text: &str| {
            let mut out = Vec::new();
            stream.get_or_insert_with(|| redaction.stream()).push(text.as_bytes(), &mut out);
            let text = String::from_utf8_lossy(&out).into_owned();
            (!text.is_empty()).then_some(text)
        };
        match live {
            Live::Text { text } => push(&mut said.text, &text).map(|text| Live::Text { text }),
            Live::Reasoning { text } => {
                push(&mut said.reasoning, &text).map(|text| Live::Reasoning { text })
            }
            Live::Retry { why, after_ms } => {
                *said = Said::default();
                Some(Live::Retry { why: redaction.text(&why).into_owned(), after_ms })
            }
            Live::Preparing { text } => {
                Some(Live::Preparing { text: redaction.text(&text).into_owned() })
            }
            Live::Output { chunk, call_id, text } => {
                let text = redaction.text(&text).into_owned();
                Some(Live::Output { chunk, call_id, text })
            }
        }
    }

    /// Shows what waited: the reply is there.
    fn say_rest(&self) {
        let said = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        let rest = |stream: Option<Stream>| {
            let mut out = Vec::new();
            stream?.finish(&mut out);
            (!out.is_empty()).then(|| String::from_utf8_lossy(&out).into_owned())
        };
        if let Some(text) = rest(said.reasoning) {
            self.record.bus.publish(self.attempt, Live::Reasoning { text });
        }
        if let Some(text) = rest(said.text) {
            self.record.bus.publish(self.attempt, Live::Text { text });
        }
    }
}

fn only_integers(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.is_i64() || number.is_u64(),
        serde_json::Value::Array(items) => items.iter().all(only_integers),
        serde_json::Value::Object(fields) => fields.values().all(only_integers),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_) => true,
    }
}

#[async_trait]
impl Journal for Recorder {
    async fn append(&self, bodies: Vec<EventBody>) -> Result<Seq, JournalError> {
        let _writing = self.writing.lock().await;
        let sealed = self.seal(bodies).await?;
        self.write(sealed).await
    }

    async fn events(&self) -> Result<Vec<Event>, JournalError> {
        // A log of which nothing is on disk yet needs no reading.
        let on_disk = self.lock().written > Seq(0);
        let mut events = if on_disk { self.record.events(self.attempt).await? } else { Vec::new() };
        let noted = self.lock().noted.clone();
        for stored in noted {
            if stored.seq.0 > events.len() as u64 {
                events.push(self.record.open_event(stored).await?);
            }
        }
        Ok(events)
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<Sha256, JournalError> {
        self.record.blobs.put(bytes).await.map_err(blob_error)
    }

    async fn blob(&self, id: &Sha256) -> Result<Bytes, JournalError> {
        self.record.blobs.get(id).await.map_err(blob_error)
    }

    async fn open_chunk(&self) -> Result<Box<dyn ChunkWriter>, JournalError> {
        match self.redaction().redactor() {
            Some(redactor) => self.chunks.create_redacted(self.chunk_cap, redactor).await,
            None => self.chunks.create(self.chunk_cap).await,
        }
    }

    async fn chunk(&self, id: &ChunkId) -> Result<Box<dyn ChunkReader>, JournalError> {
        self.chunks.read(id).await
    }

    fn recordable(&self, body: EventBody) -> EventBody {
        redacted::event(&self.redaction(), body)
    }

    fn runs(&self, chunk: &ChunkId, number: u64) {
        if let Some(behind) = self.behind() {
            behind.runs(number, chunk);
        }
    }

    fn live(&self, live: Live) {
        if matches!(live, Live::Text { .. } | Live::Reasoning { .. } | Live::Output { .. }) {
            self.signs.fetch_add(1, Ordering::Relaxed);
        }
        let redaction = self.redaction();
        let live = if redaction.is_empty() { Some(live) } else { self.showable(&redaction, live) };
        if let Some(live) = live {
            self.record.bus.publish(self.attempt, live);
        }
    }
}

/// A failure of the log, as the loop knows it.
pub fn log_error(error: LogError) -> JournalError {
    match error {
        LogError::Fenced { .. } | LogError::WrongSeq { .. } => JournalError::Fenced,
        LogError::DiskFull => JournalError::DiskFull,
        LogError::Damaged(what) => JournalError::Damaged(what),
        other => JournalError::Io(Box::new(other)),
    }
}

/// A failure of the blobs, as the loop knows it.
pub fn blob_error(error: BlobError) -> JournalError {
    match error {
        BlobError::Missing(id) => JournalError::Missing { what: "blob", id: id.to_string() },
        BlobError::DiskFull => JournalError::DiskFull,
        BlobError::Damaged(id) => JournalError::Damaged(format!("blob {id}")),
        other => JournalError::Io(Box::new(other)),
    }
}
