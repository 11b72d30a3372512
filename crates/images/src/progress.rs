//! What a person is told while a base is prepared.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What is going on. Told at most about ten times a second, and at each beginning and end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The registry is asked what the name stands for.
    Resolving {
        /// The image, as it was named.
        reference: String,
    },
    /// A layer comes in. Several may at once.
    Fetching {
        /// Which, counted from 1.
        layer: usize,
        /// How many there are.
        of: usize,
        /// Bytes that are here, those of an earlier try included.
        bytes: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A layer is unpacked.
    Unpacking {
        /// Which, counted from 1.
        layer: usize,
        /// How many there are.
        of: usize,
        /// Bytes written so far.
        bytes: u64,
    },
    /// Another process does the same: its result is waited for.
    Waiting {
        /// For what, e.g. `layer sha256:9c41…`.
        what: String,
    },
    /// Something failed that is tried again.
    Retrying {
        /// What happened.
        why: String,
        /// Milliseconds until the next try.
        after_ms: u64,
    },
}

/// Who is told. Called from several tasks; returns at once.
pub type Watcher<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// Tells no more than a person can read.
pub(crate) struct Teller<'a> {
    watcher: &'a Watcher<'a>,
    last: Mutex<HashMap<(usize, bool), Instant>>,
}

/// Between two words on the same layer.
const PAUSE: Duration = Duration::from_millis(100);

impl<'a> Teller<'a> {
    pub(crate) fn new(watcher: &'a Watcher<'a>) -> Self {
        Self { watcher, last: Mutex::default() }
    }

    /// Tells at once, or leaves it out where the same was told a moment ago; an end is never left
    /// out.
    pub(crate) fn tell(&self, progress: Progress) {
        let key = match &progress {
            Progress::Fetching { layer, bytes, total, .. } if bytes < total => (*layer, false),
            Progress::Unpacking { layer, .. } => (*layer, true),
            _ => return (self.watcher)(progress),
        };
        if let Ok(mut last) = self.last.lock() {
            let now = Instant::now();
            if last.get(&key).is_some_and(|told| now.duration_since(*told) < PAUSE) {
                return;
            }
            last.insert(key, now);
        }
        (self.watcher)(progress);
    }
}
