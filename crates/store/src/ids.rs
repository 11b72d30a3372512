//! Where new ids come from: an input, so that a test can count them.

use std::sync::atomic::{AtomicU64, Ordering};

use quire_domain::time::Timestamp;
use uuid::Uuid;

/// Gives ids to new tasks, turns and attempts.
pub trait NewIds: Send + Sync {
    /// A UUIDv7 that was never given before, of the time `now`.
    fn uuid(&self, now: Timestamp) -> Uuid;
}

/// Random ids: what everything but a test uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl NewIds for RandomIds {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let (seconds, millis) = (now.0 / 1000, now.0 % 1000);
        let nanos = u32::try_from(millis * 1_000_000).unwrap_or(0);
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
    }
}

/// Ids that are counted from 1: the same in every run of a test.
#[derive(Debug, Default)]
pub struct CountedIds(AtomicU64);

impl NewIds for CountedIds {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let mut tail = [0; 10];
        tail[2..].copy_from_slice(&count.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(now.0, &tail).into_uuid()
    }
}
