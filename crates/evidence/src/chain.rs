//! The chain of hashes over a log: each entry is hashed with the hash of the one before.
//!
//! `hash = SHA-256(prev_hash as 64 ASCII digits ‖ canonical {"at","body","epoch","kind","seq"})`.

use quire_domain::event::EventBody;
use quire_domain::ids::{Epoch, Seq, Sha256};
use quire_domain::time::Timestamp;
use serde_json::Value;

use crate::canonical::{self, CanonicalError, Sink};
use crate::digest::Hasher;
use crate::record::{LogEntry, NotAnEvent, split};

/// Why an event cannot be hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// It is no object with a kind.
    #[error(transparent)]
    NotAnEvent(#[from] NotAnEvent),
}

/// What is wrong with a log, and where it first shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {}: {fault}", seq.0)]
pub struct ChainError {
    /// The first bad entry.
    pub seq: Seq,
    /// What is wrong with it.
    pub fault: ChainFault,
}

/// What can be wrong with an entry of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Another number was due: an entry is missing, doubled or out of order.
    #[error("number {} was due here", expected.0)]
    OutOfOrder {
        /// The one that was due.
        expected: Seq,
    },
    /// It does not follow the entry before.
    #[error("it does not follow from the event before it")]
    Unlinked,
    /// Its content is not what was hashed.
    #[error("its content is not what was recorded")]
    Altered,
    /// It was written under an older claim than the entry before.
    #[error("it was written under an older claim than the event before it")]
    OldEpoch,
    /// It cannot be hashed at all.
    #[error(transparent)]
    Unhashable(#[from] LinkError),
}

/// The hash of an event. `body` is its serialised form, `{"kind": …, "body": …}`.
pub fn link(
    prev: &Sha256,
    seq: Seq,
    at: Timestamp,
    epoch: Epoch,
    body: &Value,
) -> Result<Sha256, LinkError> {
    let members = body.as_object().ok_or(NotAnEvent)?;
    let kind = members.get("kind").and_then(Value::as_str).ok_or(NotAnEvent)?;
    let fields = members.get("body");
    if members.len() != 1 + usize::from(fields.is_some()) {
        return Err(NotAnEvent.into());
    }
    link_parts(prev, seq, at, epoch, kind, fields.unwrap_or(&Value::Null))
}

/// The hash of an event of this version.
pub fn link_event(
    prev: &Sha256,
    seq: Seq,
    at: Timestamp,
    epoch: Epoch,
    body: &EventBody,
) -> Result<Sha256, LinkError> {
    let (kind, fields) = split(body)?;
    link_parts(prev, seq, at, epoch, &kind, &fields)
}

/// The hash of an event whose kind and fields are kept apart.
pub fn link_parts(
    prev: &Sha256,
    seq: Seq,
    at: Timestamp,
    epoch: Epoch,
    kind: &str,
    fields: &Value,
) -> Result<Sha256, LinkError> {
    let mut text = Vec::with_capacity(512);
    text.put(prev.as_str().as_bytes());
    text.put(b"{\"at\":");
    text.put(at.0.to_string().as_bytes());
    text.put(b",\"body\":");
    canonical::write(fields, &mut text)?;
    text.put(b",\"epoch\":");
    text.put(epoch.0.to_string().as_bytes());
    text.put(b",\"kind\":");
    canonical::write_str(kind, &mut text);
    text.put(b",\"seq\":");
    text.put(seq.0.to_string().as_bytes());
    text.put(b"}");
    let mut hasher = Hasher::new();
    hasher.update(&text);
    Ok(hasher.finish())
}

/// Verifies a log entry by entry, in constant memory.
#[derive(Debug, Clone)]
pub struct Verifier {
    last: Seq,
    epoch: Epoch,
    hash: Sha256,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Verifier {
    /// Before the first entry.
    pub fn new() -> Self {
        Self::after(Seq(0), Epoch(0), Sha256::zero())
    }

    /// After an entry that is trusted already.
    pub fn after(last: Seq, epoch: Epoch, hash: Sha256) -> Self {
        Self { last, epoch, hash }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    ///
    /// [`ChainError`] with the entry's number; the verifier stands where it stood before.
    pub fn push(&mut self, entry: &LogEntry) -> Result<(), ChainError> {
        let bad = |fault| ChainError { seq: entry.seq, fault };
        let due = Seq(self.last.0.saturating_add(1));
        if entry.seq != due {
            return Err(bad(ChainFault::OutOfOrder { expected: due }));
        }
        if entry.prev_hash != self.hash {
            return Err(bad(ChainFault::Unlinked));
        }
        let hash = link_parts(
            &entry.prev_hash,
            entry.seq,
            entry.at,
            entry.epoch,
            &entry.kind,
            &entry.body,
        )
        .map_err(|error| bad(error.into()))?;
        if hash != entry.hash {
            return Err(bad(ChainFault::Altered));
        }
        if entry.epoch < self.epoch {
            return Err(bad(ChainFault::OldEpoch));
        }
        (self.last, self.epoch, self.hash) = (entry.seq, entry.epoch, hash);
        Ok(())
    }

    /// The hash of the last entry; all zeros before the first.
    pub fn final_hash(&self) -> &Sha256 {
        &self.hash
    }

    /// The number of the last entry; 0 before the first.
    pub fn last(&self) -> Seq {
        self.last
    }
}
