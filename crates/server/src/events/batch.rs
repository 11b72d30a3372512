//! What goes to viewers, written once for all of them.

use bytes::{Bytes, BytesMut};
use quire_api::{Event, LivePiece, TaskEvent};
use quire_domain::access::Owner;
use quire_domain::ids::{AttemptId, TaskId};
use quire_domain::journal::Live;
use quire_store::Listed;

use super::frame;
use super::position::Position;
use crate::convert;

/// Events of one attempt's log, in order and without gaps.
pub(super) struct Stored {
    pub attempt: AttemptId,
    /// The number of the first of them.
    pub first: u64,
    frames: Bytes,
    /// Where each begins, and where what follows its id does.
    starts: Vec<(usize, usize)>,
}

impl Stored {
    /// Writes events, at least one.
    pub fn new(attempt: AttemptId, events: Vec<Event>) -> Self {
        let first = events.first().map_or(0, |event| event.seq);
        let mut frames = BytesMut::new();
        let mut starts = Vec::with_capacity(events.len());
        for event in events {
            let start = frames.len();
            frame::id(&mut frames, &format!("{attempt}:{}", event.seq));
            starts.push((start, frames.len()));
            frame::write(&mut frames, "event", &TaskEvent { attempt: attempt.0, event });
        }
        Self { attempt, first, frames: frames.freeze(), starts }
    }

    /// The number of the last.
    pub fn last(&self) -> u64 {
        (self.first + self.starts.len() as u64).saturating_sub(1)
    }

    pub fn bytes(&self) -> usize {
        self.frames.len()
    }

    /// Those after the event `after`, for who sees this attempt alone: nothing is copied.
    pub fn after(&self, after: u64) -> Bytes {
        match self.starts.get(self.skipped(after)) {
            Some((start, _)) => self.frames.slice(*start..),
            None => Bytes::new(),
        }
    }

    /// Those after the event `after`, for who sees several attempts: each event's id then says how
    /// far all of them are. Moves `position` on.
    pub fn after_among(&self, after: u64, position: &mut Position) -> Bytes {
        let mut bytes = BytesMut::new();
        for place in self.skipped(after)..self.starts.len() {
            position.reached(self.attempt, self.first + place as u64);
            frame::id(&mut bytes, &position.to_string());
            let end = self.starts.get(place + 1).map_or(self.frames.len(), |next| next.0);
            bytes.extend_from_slice(&self.frames[self.starts[place].1..end]);
        }
        bytes.freeze()
    }

    fn skipped(&self, after: u64) -> usize {
        usize::try_from((after + 1).saturating_sub(self.first)).unwrap_or(usize::MAX)
    }
}

/// Pieces that are shown at once and not kept.
pub(super) struct Pieces {
    pub attempt: AttemptId,
    /// The last event that was stored before them.
    pub after: u64,
    pub frames: Bytes,
}

impl Pieces {
    /// Writes pieces; what continues the one before is joined to it.
    pub fn new(attempt: AttemptId, after: u64, pieces: Vec<Live>) -> Self {
        let mut frames = BytesMut::new();
        let mut before: Option<Live> = None;
        for piece in pieces {
            match before.as_mut().map(|before| joined(before, &piece)) {
                Some(true) => {}
                _ => {
                    if let Some(before) = before.replace(piece) {
                        show(&mut frames, attempt, &before);
                    }
                }
            }
        }
        if let Some(last) = before {
            show(&mut frames, attempt, &last);
        }
        Self { attempt, after, frames: frames.freeze() }
    }
}

fn show(into: &mut BytesMut, attempt: AttemptId, piece: &Live) {
    let piece = serde_json::to_value(piece).unwrap_or_default();
    frame::write(into, "live", &LivePiece { attempt: attempt.0, piece });
}

/// Appends a piece to the one before, if it goes on with it.
fn joined(before: &mut Live, piece: &Live) -> bool {
    let (text, more) = match (before, piece) {
        (Live::Text { text }, Live::Text { text: more })
        | (Live::Reasoning { text }, Live::Reasoning { text: more }) => (text, more),
        (Live::Output { chunk, text, .. }, Live::Output { chunk: same, text: more, .. })
            if chunk == same =>
        {
            (text, more)
        }
        _ => return false,
    };
    text.push_str(more);
    true
}

/// A task that changed.
pub(super) struct Changed {
    pub task: TaskId,
    pub owner: Owner,
    /// The number of the change.
    pub number: u64,
    pub listed: Listed,
    frames: Bytes,
    /// Where what follows the id begins.
    start: usize,
}

impl Changed {
    pub fn new(listed: Listed) -> Self {
        let mut frames = BytesMut::new();
        frame::id(&mut frames, &listed.changed.to_string());
        let start = frames.len();
        frame::write(&mut frames, "task", &convert::summary(&listed));
        let (task, owner, number) = (listed.task.id, listed.owner, listed.changed);
        Self { task, owner, number, listed, frames: frames.freeze(), start }
    }

    /// With the number of the change as its id.
    pub fn numbered(&self) -> Bytes {
        self.frames.clone()
    }

    /// Without an id.
    pub fn plain(&self) -> Bytes {
        self.frames.slice(self.start..)
    }

    pub fn bytes(&self) -> usize {
        self.frames.len()
    }
}
