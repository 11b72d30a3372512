//! The record in memory. It can be made to fail at any event, as a death would.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::event::{Event, EventBody};
use quire_domain::ids::{ChunkId, Epoch, Seq, Sha256};
use quire_domain::journal::{
    ChunkReader, ChunkSize, ChunkSummary, ChunkWriter, Journal, JournalError, Live,
};
use quire_domain::time::Timestamp;

#[derive(Default)]
pub struct Record {
    events: Mutex<Vec<Event>>,
    pub appends: Mutex<Vec<Vec<&'static str>>>,
    chunks: Arc<Mutex<HashMap<ChunkId, Vec<u8>>>>,
    blobs: Mutex<HashMap<Sha256, Bytes>>,
    pub live: Mutex<Vec<Live>>,
    /// Appends that are taken before the record fails.
    pub lasts: Mutex<Option<usize>>,
}

impl Record {
    pub fn holding(bodies: Vec<EventBody>) -> Self {
        let record = Self::default();
        record.put(bodies);
        record
    }

    pub fn put(&self, bodies: Vec<EventBody>) {
        let mut events = self.events.lock().unwrap();
        for body in bodies {
            let seq = Seq(events.len() as u64 + 1);
            events.push(event(seq, body));
        }
    }

    pub fn bodies(&self) -> Vec<EventBody> {
        self.events.lock().unwrap().iter().map(|event| event.body.clone()).collect()
    }

    pub fn all(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub fn chunk_text(&self, id: &ChunkId) -> String {
        String::from_utf8_lossy(&self.chunks.lock().unwrap()[id]).into_owned()
    }
}

fn event(seq: Seq, body: EventBody) -> Event {
    let zero = Sha256::zero();
    Event { seq, at: Timestamp(0), epoch: Epoch(1), body, prev_hash: zero.clone(), hash: zero }
}

#[async_trait]
impl Journal for Record {
    async fn append(&self, bodies: Vec<EventBody>) -> Result<Seq, JournalError> {
        if let Some(lasts) = self.lasts.lock().unwrap().as_mut() {
            if *lasts == 0 {
                return Err(JournalError::Fenced);
            }
            *lasts -= 1;
        }
        let leak = |body: &EventBody| &*body.kind().to_owned().leak();
        self.appends.lock().unwrap().push(bodies.iter().map(leak).collect());
        self.put(bodies);
        Ok(Seq(self.events.lock().unwrap().len() as u64))
    }

    async fn events(&self) -> Result<Vec<Event>, JournalError> {
        Ok(self.all())
    }

    async fn put_blob(&self, bytes: Bytes) -> Result<Sha256, JournalError> {
        let id = Sha256::zero();
        self.blobs.lock().unwrap().insert(id.clone(), bytes);
        Ok(id)
    }

    async fn blob(&self, id: &Sha256) -> Result<Bytes, JournalError> {
        Ok(self.blobs.lock().unwrap()[id].clone())
    }

    async fn open_chunk(&self) -> Result<Box<dyn ChunkWriter>, JournalError> {
        let mut chunks = self.chunks.lock().unwrap();
        let id = ChunkId::from_random(u32::try_from(chunks.len()).unwrap() + 0x00a0_0001);
        chunks.insert(id.clone(), Vec::new());
        Ok(Box::new(Writer { id, chunks: self.chunks.clone() }))
    }

    async fn chunk(&self, id: &ChunkId) -> Result<Box<dyn ChunkReader>, JournalError> {
        Err(JournalError::Missing { what: "chunk", id: id.to_string() })
    }

    fn live(&self, live: Live) {
        self.live.lock().unwrap().push(live);
    }
}

struct Writer {
    id: ChunkId,
    chunks: Arc<Mutex<HashMap<ChunkId, Vec<u8>>>>,
}

#[async_trait]
impl ChunkWriter for Writer {
    fn id(&self) -> &ChunkId {
        &self.id
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.chunks.lock().unwrap().get_mut(&self.id).unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn so_far(&self) -> ChunkSize {
        let chunks = self.chunks.lock().unwrap();
        let bytes = &chunks[&self.id];
        let newlines = bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        let open = u64::from(bytes.last().is_some_and(|last| *last != b'\n'));
        ChunkSize { bytes: bytes.len() as u64, lines: newlines + open }
    }

    async fn finish(self: Box<Self>) -> Result<ChunkSummary, JournalError> {
        let (id, size) = (self.id.clone(), self.so_far());
        Ok(ChunkSummary { id, size, sha256: Sha256::zero(), not_kept: None })
    }
}
