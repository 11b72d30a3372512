//! What is told of each request, and a queue in which it waits for the recorder.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use quire_domain::event::{Egress, EventBody};
use quire_domain::ids::ChunkId;
use tokio::sync::mpsc;

/// Finds out which command a connection belongs to.
pub type Asking = BoxFuture<'static, Option<ChunkId>>;

/// Is told of every request and tunnel, when it ended or was refused.
///
/// Called from the path of requests: it returns at once, and bounds what it keeps.
/// [`AuditQueue`] does both.
pub trait Audit: Send + Sync {
    /// A request ended, or was refused.
    fn record(&self, record: AuditRecord);

    /// Finds out which command the process behind `client_port` belongs to; `None` where nobody
    /// can. Asked once, when the connection is accepted, and given a second; what is asked over
    /// the connection later carries the same answer. It can be told only while the connection
    /// lives: an answer waits for it a moment.
    fn command(&self, client_port: u16) -> Option<Asking> {
        let _ = client_port;
        None
    }
}

/// One request, or one tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Whether it was let through. One that was and then met a limit is allowed, and says so in
    /// `egress.reason`.
    pub allowed: bool,
    /// The port of the sandbox's loopback that it came from.
    pub client_port: u16,
    /// What it was, as the event log has it.
    pub egress: Egress,
}

impl AuditRecord {
    /// As an event.
    pub fn into_event(self) -> EventBody {
        if self.allowed {
            EventBody::EgressAllowed(self.egress)
        } else {
            EventBody::EgressDenied(self.egress)
        }
    }

    /// Whether `other` is another one of the same: they differ in amounts and path only.
    fn like(&self, other: &Self) -> bool {
        let (a, b) = (&self.egress, &other.egress);
        self.allowed == other.allowed
            && a.host == b.host
            && a.method == b.method
            && a.rule == b.rule
            && a.reason == b.reason
            && a.chunk == b.chunk
    }

    fn absorb(&mut self, other: &Self) {
        let (own, more) = (&mut self.egress, &other.egress);
        own.sent = own.sent.saturating_add(more.sent);
        own.received = own.received.saturating_add(more.received);
        own.ms = own.ms.max(more.ms);
        own.times = own.times.saturating_add(more.times);
        if own.path != more.path {
            own.path = None;
        }
    }
}

/// An [`Audit`] that keeps records until somebody takes them. Above its bound it drops and counts.
#[derive(Debug)]
pub struct AuditQueue {
    sender: mpsc::Sender<AuditRecord>,
    lost: Arc<Dropped>,
}

/// What did not fit into the queue.
#[derive(Debug, Default)]
struct Dropped {
    allowed: AtomicU64,
    denied: AtomicU64,
}

/// How many records nobody took in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Of requests that were let through.
    pub allowed: u64,
    /// Of requests that were refused.
    pub denied: u64,
}

impl AuditQueue {
    /// A queue of at most `bound` records, and who takes them. The receiver ends when the queue is
    /// dropped, with the door that holds it.
    pub fn new(bound: usize) -> (Self, AuditReceiver) {
        let (sender, receiver) = mpsc::channel(bound.max(1));
        let lost = Arc::new(Dropped::default());
        (Self { sender, lost: Arc::clone(&lost) }, AuditReceiver { receiver, lost })
    }
}

impl Audit for AuditQueue {
    fn record(&self, record: AuditRecord) {
        let (allowed, times) = (record.allowed, record.egress.times);
        if self.sender.try_send(record).is_err() {
            let count = if allowed { &self.lost.allowed } else { &self.lost.denied };
            count.fetch_add(times, Ordering::Relaxed);
        }
    }
}

/// Takes records out of an [`AuditQueue`].
#[derive(Debug)]
pub struct AuditReceiver {
    receiver: mpsc::Receiver<AuditRecord>,
    lost: Arc<Dropped>,
}

impl AuditReceiver {
    /// Waits for a record and takes all that wait, with like ones (same host, method, rule, reason
    /// and command) merged into one that counts them. `None` when the door is gone.
    ///
    /// Who asks seldom gets few: a pause between two calls merges what came in it.
    pub async fn next(&mut self) -> Option<Vec<AuditRecord>> {
        let mut merged = vec![self.receiver.recv().await?];
        // The sender may go on as we take: no more than the queue holds at once.
        for _ in 0..self.receiver.max_capacity() {
            let Ok(record) = self.receiver.try_recv() else { break };
            match merged.iter_mut().find(|kept| kept.like(&record)) {
                Some(kept) => kept.absorb(&record),
                None => merged.push(record),
            }
        }
        Some(merged)
    }

    /// How many records were dropped since this was last asked, as nobody took them in time.
    pub fn lost(&self) -> Lost {
        Lost {
            allowed: self.lost.allowed.swap(0, Ordering::Relaxed),
            denied: self.lost.denied.swap(0, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use quire_domain::event::Egress;

    use super::{Audit, AuditQueue, AuditRecord, Lost};

    fn record(host: &str, path: &str) -> AuditRecord {
        AuditRecord {
            allowed: true,
            client_port: 1,
            egress: Egress {
                host: host.to_owned(),
                method: Some("GET".to_owned()),
                rule: "*.example".to_owned(),
                path: Some(path.to_owned()),
                reason: None,
                sent: 1,
                received: 10,
                ms: 5,
                chunk: None,
                times: 1,
            },
        }
    }

    #[tokio::test]
    async fn like_records_are_merged_and_what_does_not_fit_is_counted() {
        let (queue, mut receiver) = AuditQueue::new(3);
        for (host, path) in [("a.example", "/1"), ("a.example", "/2"), ("b.example", "/1")] {
            queue.record(record(host, path));
        }
        queue.record(record("c.example", "/"));
        let merged = receiver.next().await.unwrap();
        assert_eq!(merged.len(), 2);
        assert_eq!((merged[0].egress.times, merged[0].egress.received), (2, 20));
        assert_eq!(merged[0].egress.path, None);
        assert_eq!(merged[1].egress.path.as_deref(), Some("/1"));
        assert_eq!(receiver.lost(), Lost { allowed: 1, denied: 0 });
        assert_eq!(receiver.lost(), Lost::default());
        drop(queue);
        assert_eq!(receiver.next().await, None);
    }
}
