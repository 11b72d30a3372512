//! Clock, sleep and randomness of waiting, as values, so that tests need not wait.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

/// Where waiting gets its time and its chance from.
#[async_trait]
pub trait Pace: Send + Sync {
    /// A clock that never goes back.
    fn now(&self) -> Instant;
    /// The wall clock, for dates that a provider sends.
    fn wall(&self) -> SystemTime;
    /// A number from 0 up to, not including, 1.
    fn chance(&self) -> f64;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock and chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealPace;

#[async_trait]
impl Pace for RealPace {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn chance(&self) -> f64 {
        // Every `RandomState` has keys of its own: chance enough to spread retries.
        let bits = RandomState::new().build_hasher().finish() >> 32;
        f64::from(u32::try_from(bits).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A pace for tests: sleeping moves its clock on instead of waiting.
#[derive(Debug)]
pub struct SkippingPace {
    start: Instant,
    slept: std::sync::Mutex<Vec<Duration>>,
}

impl Default for SkippingPace {
    fn default() -> Self {
        Self { start: Instant::now(), slept: std::sync::Mutex::default() }
    }
}

impl SkippingPace {
    /// How long each sleep would have been, in order.
    pub fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Pace for SkippingPace {
    fn now(&self) -> Instant {
        self.start + self.slept().iter().sum::<Duration>()
    }

    /// Starts at 2025-05-16 00:00:00 UTC.
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(485_376) + (self.now() - self.start)
    }

    fn chance(&self) -> f64 {
        0.5
    }

    async fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(duration);
        tokio::task::yield_now().await;
    }
}
