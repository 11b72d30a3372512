//! What the engine's tests stand on: events that form a chain, and short words for ids.
#![allow(dead_code, clippy::unwrap_used, reason = "for tests; each file uses its part")]

use quire_domain::ids::{AttemptId, Epoch, Seq, Sha256};
use quire_domain::time::Timestamp;
use quire_engine::{Head, StoredEvent};

pub fn attempt(n: u128) -> AttemptId {
    let text = format!("018f0000-0000-7000-8000-{n:012x}");
    text.parse().unwrap()
}

/// `count` events behind `head`, each with a body of `bytes`.
pub fn events(head: &Head, epoch: Epoch, count: u64, bytes: usize) -> Vec<StoredEvent> {
    let mut prev_hash = head.hash.clone();
    (1..=count)
        .map(|n| {
            let seq = Seq(head.seq.0 + n);
            let event = StoredEvent {
                seq,
                at: Timestamp(1_700_000_000_000 + seq.0),
                epoch,
                kind: "answered".to_owned(),
                body: format!("{{\"n\":{},\"x\":\"{}\"}}", seq.0, "y".repeat(bytes)),
                prev_hash: prev_hash.clone(),
                hash: hash(epoch, seq),
            };
            prev_hash = event.hash.clone();
            event
        })
        .collect()
}

/// Stands for a hash: the log does not look into it.
pub fn hash(epoch: Epoch, seq: Seq) -> Sha256 {
    Sha256::parse(&format!("{:032x}{:032x}", epoch.0, seq.0)).unwrap()
}

/// Fails unless the events are numbered from `first` without gaps and form a chain.
pub fn check_chain(events: &[StoredEvent], first: u64) {
    for (event, seq) in events.iter().zip(first..) {
        assert_eq!(event.seq, Seq(seq));
        assert!(event.body.starts_with(&format!("{{\"n\":{seq},")), "{}", event.body);
        assert_eq!(event.hash, hash(event.epoch, event.seq));
    }
    for pair in events.windows(2) {
        assert_eq!(pair[1].prev_hash, pair[0].hash);
        assert!(pair[0].epoch <= pair[1].epoch);
    }
}
