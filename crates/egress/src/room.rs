//! What the connections of one door share: policy, authority, counters, audit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use crate::audit::{Audit, AuditRecord};
use crate::authority::Authority;
use crate::denied::{Denied, DeniedHosts};
use crate::door::Traffic;
use crate::error::EgressError;
use crate::limits::EgressLimits;
use crate::meter::Totals;
use crate::policy::Policy;
use crate::private::PrivateHost;
use crate::proxy::Shared;
use crate::target::Target;
use crate::trust::Trust;

/// A shorter word of a credential's value is no secret: it would be found everywhere.
const LEAST_SECRET_BYTES: usize = 8;

/// The inside of a door.
pub(crate) struct Room {
    pub(crate) shared: Arc<Shared>,
    pub(crate) policy: Policy,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) authority: Authority,
    pub(crate) slots: Arc<Semaphore>,
    /// A connection of this sandbox waits for a place.
    pub(crate) crowded: Notify,
    pub(crate) totals: Arc<Totals>,
    /// Its connections, and what is still to be told of them.
    pub(crate) tasks: TaskTracker,
    denied: Mutex<DeniedHosts>,
    allowed_count: AtomicU64,
    denied_count: AtomicU64,
    closed: AtomicBool,
}

impl Room {
    pub(crate) fn new(
        shared: Arc<Shared>,
        policy: Policy,
        audit: Arc<dyn Audit>,
    ) -> Result<Self, EgressError> {
        let slots = Arc::new(Semaphore::new(shared.settings.limits.connections));
        Ok(Self {
            shared,
            policy,
            audit,
            authority: Authority::new()?,
            slots,
            crowded: Notify::new(),
            totals: Arc::default(),
            tasks: TaskTracker::new(),
            denied: Mutex::default(),
            allowed_count: AtomicU64::new(0),
            denied_count: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        })
    }

    /// From now on what ends was cut off by the end of the door.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn limits(&self) -> &EgressLimits {
        &self.shared.settings.limits
    }

    /// The bounds of a connection: those of the worker, and what the environment says within them.
    pub(crate) fn bounds(&self) -> EgressLimits {
        let mut limits = self.limits().clone();
        let own = self.policy.most_bytes.unwrap_or(u64::MAX);
        limits.bytes_in_all = limits.bytes_in_all.min(own);
        limits
    }

    /// What the administrator says about `target`.
    pub(crate) fn private(&self, target: &Target) -> Option<&PrivateHost> {
        let listed = &self.shared.settings.private;
        listed.iter().find(|private| private.is(&target.host, target.port))
    }

    /// See [`crate::Door::trust`].
    pub(crate) fn trust(&self) -> Trust {
        Trust::new(self.authority.certificate(), &self.shared.roots().certificates)
    }

    /// See [`crate::Door::denied`].
    pub(crate) fn denied(&self) -> Vec<Denied> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    /// See [`crate::Door::traffic`].
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.totals.sent.load(Ordering::Relaxed),
            received: self.totals.received.load(Ordering::Relaxed),
            allowed: self.allowed_count.load(Ordering::Relaxed),
            denied: self.denied_count.load(Ordering::Relaxed),
            open: 0,
        }
    }

    /// Counts a record and tells it; `line` would have allowed it.
    pub(crate) fn tell(&self, record: AuditRecord, line: Option<&str>) {
        if record.allowed {
            self.allowed_count.fetch_add(1, Ordering::Relaxed);
        } else {
            self.denied_count.fetch_add(1, Ordering::Relaxed);
            let reason = record.egress.reason.as_deref().unwrap_or_default();
            let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
            denied.count(&record.egress.host, reason, line);
        }
        self.audit.record(record);
    }

    /// Takes credentials out of headers: a host may send back what it was sent.
    pub(crate) fn scrub_all(&self, headers: &mut HeaderMap) {
        if self.policy.credentials.is_empty() {
            return;
        }
        for value in headers.values_mut() {
            if let Some(clean) = self.scrub(value) {
                *value = clean;
            }
        }
    }

    /// `value` with every credential in it replaced, if there was one.
    fn scrub(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let mut scrubbed: Option<Vec<u8>> = None;
        for secret in self.secrets() {
            let bytes = scrubbed.as_deref().unwrap_or_else(|| value.as_bytes());
            if let Some(clean) = replaced(bytes, secret) {
                scrubbed = Some(clean);
            }
        }
        scrubbed.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok())
    }

    /// The same for a text of the audit.
    pub(crate) fn scrub_text(&self, text: String) -> String {
        let mut bytes = text.into_bytes();
        for secret in self.secrets() {
            if let Some(clean) = replaced(&bytes, secret) {
                bytes = clean;
            }
        }
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// Each credential's whole value, and its last word: the token behind `Bearer`.
    fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        self.policy.credentials.iter().flat_map(|credential| {
            let whole = credential.value().reveal().as_bytes();
            let word = whole.rsplit(|byte| *byte == b' ').next().unwrap_or(whole);
            [whole, word].into_iter().filter(|secret| secret.len() >= LEAST_SECRET_BYTES)
        })
    }
}

/// `bytes` with `***` for every `secret`; `None` if there is none.
fn replaced(bytes: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut clean = Vec::new();
    let mut rest = bytes;
    let find = |rest: &[u8]| rest.windows(secret.len()).position(|window| window == secret);
    let mut at = find(rest)?;
    loop {
        clean.extend_from_slice(&rest[..at]);
        clean.extend_from_slice(b"***");
        rest = &rest[at + secret.len()..];
        match find(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    clean.extend_from_slice(rest);
    Some(clean)
}
