//! Events from the log to the wire.

use quire_api::Event;
use quire_domain::ids::{AttemptId, Seq};
use quire_engine::{Blobs, StoredEvent, restore};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::refusal::{Refusal, Result};
use crate::state::State;

/// A page of a log ends where its events have this many bytes together.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// How many are read from the log at once; fewer where little is wanted, as each may have 64 KiB.
const READ: u32 = 1_000;
const READ_LITTLE: u32 = 100;

/// A stored body: the kind stands beside it as well.
#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

/// Events from `from` on, at most `limit` and about `most` bytes of them, and whether there may be
/// more.
pub(crate) async fn page(
    state: &State,
    attempt: AttemptId,
    from: Seq,
    limit: u32,
    most: usize,
) -> Result<(Vec<Event>, bool)> {
    let mut events: Vec<Event> = Vec::new();
    let mut bytes = 0;
    let read_at_once = if most < PAGE_BYTES { READ_LITTLE } else { READ };
    loop {
        let wanted = limit - u32::try_from(events.len()).unwrap_or(limit);
        let next = events.last().map_or(from, |event| Seq(event.seq + 1));
        if wanted == 0 {
            return Ok((events, true));
        }
        let read = state.log.read(attempt, next, wanted.min(read_at_once)).await?;
        let ended = read.len() < wanted.min(read_at_once) as usize;
        for stored in read {
            let event = open(state.blobs.as_ref(), stored).await?;
            bytes += event.body.get().len() + 300;
            events.push(event);
            if bytes > most {
                return Ok((events, true));
            }
        }
        if ended {
            return Ok((events, false));
        }
    }
}

/// An event with its whole body.
pub(crate) async fn open(blobs: &dyn Blobs, stored: StoredEvent) -> Result<Event> {
    let text = restore(blobs, stored.body).await?;
    let damaged = |error| Refusal::internal("read the log", &error);
    let whole: Whole = serde_json::from_str(&text).map_err(damaged)?;
    let body = match whole.body {
        Some(body) => body,
        None => RawValue::from_string("null".to_owned()).map_err(damaged)?,
    };
    Ok(Event {
        seq: stored.seq.0,
        at: stored.at.0,
        epoch: stored.epoch.0,
        kind: stored.kind,
        body,
        prev_hash: stored.prev_hash.to_string(),
        hash: stored.hash.to_string(),
    })
}
