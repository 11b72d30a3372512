//! An event as it is kept and handed on: fields of later versions are not lost on the way.

use std::collections::BTreeMap;

use quire_domain::event::{Event, EventBody};
use quire_domain::ids::{Epoch, Seq, Sha256};
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::sha256;

/// One entry of a log, its body still JSON. Verifying reads this form and not [`Event`], since
/// a field that this version does not know is part of the hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// Its place.
    pub seq: Seq,
    /// When it was written down.
    pub at: Timestamp,
    /// Under which claim.
    pub epoch: Epoch,
    /// What kind of event.
    pub kind: String,
    /// Its fields.
    pub body: Value,
    /// Hash of the entry before.
    pub prev_hash: Sha256,
    /// Its own hash.
    pub hash: Sha256,
}

/// An event that is no JSON object with a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event must be an object with the members `kind` and `body`")]
pub struct NotAnEvent;

/// Kind and fields of an event.
pub fn split(body: &EventBody) -> Result<(String, Value), NotAnEvent> {
    match serde_json::to_value(body).map_err(|_| NotAnEvent)? {
        Value::Object(mut members) => {
            let fields = members.swap_remove("body").unwrap_or(Value::Null);
            match members.swap_remove("kind") {
                Some(Value::String(kind)) if members.is_empty() => Ok((kind, fields)),
                _ => Err(NotAnEvent),
            }
        }
        _ => Err(NotAnEvent),
    }
}

impl LogEntry {
    /// From an event of this version.
    pub fn of(event: &Event) -> Result<Self, NotAnEvent> {
        let (kind, body) = split(&event.body)?;
        Ok(Self {
            seq: event.seq,
            at: event.at,
            epoch: event.epoch,
            kind,
            body,
            prev_hash: event.prev_hash.clone(),
            hash: event.hash.clone(),
        })
    }

    /// The blob that holds its fields, where they were too large for the log and
    /// `{"$blob": …, "bytes": …}` stands in their place.
    pub fn blob(&self) -> Option<Sha256> {
        let members = self.body.as_object()?;
        let place = members.len() == 2 && members.contains_key("bytes");
        Sha256::parse(members.get("$blob").filter(|_| place)?.as_str()?).ok()
    }

    /// As [`Self::event`], with fields that lie in a blob taken from `contents` where they are
    /// there and have their digest.
    pub fn event_with(&self, contents: &BTreeMap<Sha256, Vec<u8>>) -> Event {
        let opened = self.blob().and_then(|id| {
            let bytes = contents.get(&id).filter(|bytes| sha256(bytes) == id)?;
            serde_json::from_slice(bytes).ok()
        });
        match opened {
            Some(body) => Self { body, ..self.clone() }.event(),
            None => self.event(),
        }
    }

    /// The event as this version understands it; an unknown kind stays raw.
    pub fn event(&self) -> Event {
        let mut members = serde_json::Map::with_capacity(2);
        members.insert("kind".to_owned(), Value::String(self.kind.clone()));
        members.insert("body".to_owned(), self.body.clone());
        let raw = Value::Object(members);
        let body = EventBody::deserialize(&raw).unwrap_or_else(|_| EventBody::Unknown(raw.clone()));
        Event {
            seq: self.seq,
            at: self.at,
            epoch: self.epoch,
            body,
            prev_hash: self.prev_hash.clone(),
            hash: self.hash.clone(),
        }
    }
}
