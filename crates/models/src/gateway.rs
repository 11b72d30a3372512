//! Keeps a provider's limits for all attempts of the process: calls at once, requests and tokens
//! per minute, and the pause that `Retry-After` asks for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pace::Pace;

/// What a provider allows; `None` is no limit of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests at the same time, at least 1.
    pub concurrent: Option<u32>,
    /// Requests in any minute, at least 1.
    pub requests_per_minute: Option<u32>,
    /// Tokens in any minute, input and output, estimated before and corrected after.
    pub tokens_per_minute: Option<u64>,
}

/// The one door to a provider.
pub struct Gateway {
    pace: Arc<dyn Pace>,
    seats: Option<Arc<Semaphore>>,
    state: Mutex<State>,
}

struct State {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    closed_until: Option<Instant>,
}

/// Fills evenly over a minute, holds a minute's worth, and may be overdrawn by one request.
struct Bucket {
    per_minute: f64,
    level: f64,
    filled_at: Instant,
}

/// The right to have one request under way; given back when dropped.
pub struct Pass {
    _seat: Option<OwnedSemaphorePermit>,
}

impl Gateway {
    /// A door with these limits.
    pub fn new(limits: Limits, pace: Arc<dyn Pace>) -> Self {
        let now = pace.now();
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact above 2^53")]
        let bucket = |per_minute: u64| {
            let per_minute = per_minute.max(1) as f64;
            Bucket { per_minute, level: per_minute, filled_at: now }
        };
        Self {
            seats: limits.concurrent.map(|n| Arc::new(Semaphore::new(n.max(1) as usize))),
            state: Mutex::new(State {
                requests: limits.requests_per_minute.map(|n| bucket(u64::from(n))),
                tokens: limits.tokens_per_minute.map(bucket),
                closed_until: None,
            }),
            pace,
        }
    }

    /// Waits until a request of about `tokens` may go.
    pub async fn enter(&self, tokens: u64) -> Pass {
        let seat = match &self.seats {
            // The semaphore is never closed.
            Some(seats) => Arc::clone(seats).acquire_owned().await.ok(),
            None => None,
        };
        loop {
            let wait = self.state().admit(tokens, self.pace.now());
            match wait {
                None => return Pass { _seat: seat },
                Some(wait) => self.pace.sleep(wait).await,
            }
        }
    }

    /// Lets nobody in for `wait`, as the provider asked one of us to.
    pub fn close_for(&self, wait: Duration) {
        let until = self.pace.now() + wait;
        let mut state = self.state();
        if state.closed_until.is_none_or(|earlier| earlier < until) {
            state.closed_until = Some(until);
        }
    }

    /// Corrects the estimate of a request once its real number of tokens is known.
    pub fn correct(&self, estimated: u64, real: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact above 2^53")]
        if let Some(bucket) = &mut self.state().tokens {
            bucket.level += estimated as f64 - real as f64;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes from all buckets, or says how long to wait.
    fn admit(&mut self, tokens: u64, now: Instant) -> Option<Duration> {
        if let Some(until) = self.closed_until {
            if until > now {
                return Some(until - now);
            }
            self.closed_until = None;
        }
        let wait = [&mut self.requests, &mut self.tokens]
            .into_iter()
            .flatten()
            .filter_map(|bucket| bucket.empty_for(now))
            .max();
        if wait.is_none() {
            if let Some(bucket) = &mut self.requests {
                bucket.level -= 1.0;
            }
            #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact above 2^53")]
            if let Some(bucket) = &mut self.tokens {
                bucket.level -= tokens as f64;
            }
        }
        wait
    }
}

impl Bucket {
    /// How long until it holds something again.
    fn empty_for(&mut self, now: Instant) -> Option<Duration> {
        let minutes = now.saturating_duration_since(self.filled_at).as_secs_f64() / 60.0;
        self.level = (self.level + minutes * self.per_minute).min(self.per_minute);
        self.filled_at = now;
        let least = 1.0_f64.min(self.per_minute);
        (self.level < least).then(|| {
            let minutes = (least - self.level) / self.per_minute;
            Duration::from_secs_f64(minutes * 60.0) + Duration::from_millis(1)
        })
    }
}
