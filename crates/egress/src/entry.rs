//! One line of the audit, written as a request goes on and told when it ended, however it ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use hyper::HeaderMap;
use quire_domain::event::Egress;

use crate::audit::AuditRecord;
use crate::connection::Connection;
use crate::decide;
use crate::refusal::Refusal;

/// One request or tunnel. Dropping the last handle tells the audit.
pub(crate) struct Entry {
    connection: Arc<Connection>,
    started: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    said: Mutex<Said>,
}

struct Said {
    host: String,
    method: Option<String>,
    path: Option<String>,
    rule: String,
    line: Option<String>,
    reason: Option<&'static str>,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing to tell, as its parts tell for themselves.
    Silent,
    Allowed,
    Denied,
}

impl Entry {
    /// A request to `host` (with its port) that nothing is decided about: silent until it is.
    pub(crate) fn new(connection: &Arc<Connection>, host: &str) -> Arc<Self> {
        connection.begin();
        Arc::new(Self {
            connection: Arc::clone(connection),
            started: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            said: Mutex::new(Said {
                host: host.to_owned(),
                method: None,
                path: None,
                rule: String::new(),
                line: None,
                reason: None,
                verdict: Verdict::Silent,
            }),
        })
    }

    /// With its method and path, without the query.
    pub(crate) fn asked(self: Arc<Self>, method: &str, path: &str) -> Arc<Self> {
        self.say(|said| {
            said.method = Some(method.to_owned());
            said.path = Some(decide::short(path).to_owned());
        });
        self
    }

    /// As a tunnel.
    pub(crate) fn asked_tunnel(self: Arc<Self>) -> Arc<Self> {
        self.say(|said| said.method = Some("CONNECT".to_owned()));
        self
    }

    /// Nothing to tell after all, until something else is said.
    pub(crate) fn hush(&self) {
        self.say(|said| said.verdict = Verdict::Silent);
    }

    /// It is let through by `rule`.
    pub(crate) fn allow(&self, rule: &str) {
        self.say(|said| {
            rule.clone_into(&mut said.rule);
            said.verdict = Verdict::Allowed;
        });
    }

    /// It does not go through. What was allowed before and failed stays allowed, with the reason.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        self.say(|said| {
            said.reason = Some(refusal.reason);
            if refusal.is_denial() {
                said.verdict = Verdict::Denied;
                refusal.rule().clone_into(&mut said.rule);
                said.line.clone_from(&refusal.line);
            } else {
                said.verdict = Verdict::Allowed;
                if said.rule.is_empty() {
                    said.rule.clone_from(&refusal.why);
                }
            }
        });
    }

    /// It was cut for this reason. The first one counts.
    pub(crate) fn cut(&self, reason: &'static str) {
        self.say(|said| {
            said.reason.get_or_insert(reason);
        });
    }

    pub(crate) fn sent(&self, count: usize) {
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, count: usize) {
        self.received.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Bytes that left so far.
    pub(crate) fn sent_so_far(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Takes credentials out of headers that reach the sandbox.
    pub(crate) fn scrub(&self, headers: &mut HeaderMap) {
        self.connection.room.scrub_all(headers);
    }

    fn say(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connection.end();
        let said = self.said.get_mut().unwrap_or_else(PoisonError::into_inner);
        if said.verdict == Verdict::Silent {
            return;
        }
        let connection = &self.connection;
        // A connection that was ended by a bound ends what went over it.
        let over = connection.over().map(crate::meter::Over::reason);
        let closed = connection.room.is_closed().then_some("closed");
        let reason = said.reason.or(over).or(closed);
        let egress = Egress {
            host: std::mem::take(&mut said.host),
            method: said.method.take(),
            rule: std::mem::take(&mut said.rule),
            path: said.path.take().map(|path| connection.room.scrub_text(path)),
            reason: reason.map(str::to_owned),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            chunk: None,
            times: 1,
        };
        let allowed = said.verdict == Verdict::Allowed;
        let record = AuditRecord { allowed, client_port: connection.client_port, egress };
        tell(connection, record, said.line.take());
    }
}

/// Tells the audit, when the command behind the connection is known.
fn tell(connection: &Connection, mut record: AuditRecord, line: Option<String>) {
    let room = &connection.room;
    if let Poll::Ready(chunk) = connection.origin.known() {
        record.egress.chunk = chunk;
    } else if tokio::runtime::Handle::try_current().is_ok() {
        let (room, origin) = (Arc::clone(room), connection.origin.clone());
        let tasks = room.tasks.clone();
        tasks.spawn(async move {
            record.egress.chunk = origin.found().await;
            room.tell(record, line.as_deref());
        });
        return;
    }
    room.tell(record, line.as_deref());
}
