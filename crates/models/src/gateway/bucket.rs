//! What may be used in a minute: fills evenly, holds a minute's worth, may be overdrawn once.

use std::time::{Duration, Instant};

/// Fills evenly over a minute and holds a minute's worth. One request may overdraw it: how large
/// one is shows only afterwards.
#[derive(Debug)]
pub(super) struct Bucket {
    per_minute: f64,
    level: f64,
    filled_at: Instant,
}

impl Bucket {
    /// A full one; at least 1 a minute.
    pub(super) fn new(per_minute: u64, now: Instant) -> Self {
        let per_minute = number(per_minute.max(1));
        Self { per_minute, level: per_minute, filled_at: now }
    }

    /// How long until it holds something again; `None` where it does.
    pub(super) fn empty_for(&mut self, now: Instant) -> Option<Duration> {
        let minutes = now.saturating_duration_since(self.filled_at).as_secs_f64() / 60.0;
        self.level = (self.level + minutes * self.per_minute).min(self.per_minute);
        self.filled_at = now.max(self.filled_at);
        (self.level < 1.0).then(|| {
            let minutes = (1.0 - self.level) / self.per_minute;
            Duration::from_secs_f64(minutes * 60.0) + Duration::from_millis(1)
        })
    }

    /// Takes so much out, also where there is less.
    pub(super) fn take(&mut self, amount: u64) {
        self.level -= number(amount);
    }

    /// Puts so much back, also above what it holds: the next look cuts it.
    pub(super) fn give_back(&mut self, amount: u64) {
        self.level += number(amount);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact above 2^53")]
fn number(amount: u64) -> f64 {
    amount as f64
}
