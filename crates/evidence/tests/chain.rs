//! The chain of hashes and the form that is hashed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use proptest::prelude::*;
use quire_domain::event::{EventBody, Phase, PhaseFinished, PhaseStarted};
use quire_domain::ids::{Epoch, Seq, Sha256};
use quire_domain::time::Timestamp;
use quire_evidence::canonical::{CanonicalError, MAX_DEPTH, floats_to_text, to_vec};
use quire_evidence::chain::{ChainFault, LinkError, Verifier, link, link_event};
use quire_evidence::digest::sha256;
use quire_evidence::record::LogEntry;
use serde_json::{Value, json};

fn text(value: &Value) -> String {
    String::from_utf8(to_vec(value).unwrap()).unwrap()
}

#[test]
fn json_has_one_form() {
    // The sorting example and the string example of RFC 8785, without its fractions.
    let sorted: Value = serde_json::from_str(
        r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Dalet","1":"One",
            "\ud83d\ude00":"Grinning Face","\u0080":"Control","\u00f6":"o"}"#,
    )
    .unwrap();
    assert_eq!(
        text(&sorted),
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"o\",\
         \"€\":\"Euro Sign\",\"😀\":\"Grinning Face\",\"\u{fb33}\":\"Dalet\"}"
    );
    let strings = json!({"string": "€$\u{0f}\nA'B\"\\\\\"/", "literals": [null, true, false]});
    assert_eq!(
        text(&strings),
        r#"{"literals":[null,true,false],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
    );
    let numbers = json!([0, -1, u64::MAX, i64::MIN]);
    assert_eq!(text(&numbers), "[0,-1,18446744073709551615,-9223372036854775808]");
}

#[test]
fn what_has_no_one_form_is_refused() {
    assert_eq!(to_vec(&json!({"a": [0.5]})), Err(CanonicalError::Float("0.5".to_owned())));
    assert!(to_vec(&json!(1.0)).is_err());
    let mut deep = json!(1);
    for _ in 0..=MAX_DEPTH {
        deep = json!([deep]);
    }
    assert_eq!(to_vec(&deep), Err(CanonicalError::TooDeep));
    let mut outside = json!({"a": [0.5, {"b": 1e3}], "c": 1});
    assert!(floats_to_text(&mut outside));
    assert!(!floats_to_text(&mut outside));
    assert_eq!(text(&outside), r#"{"a":["0.5",{"b":"1000.0"}],"c":1}"#);
}

#[test]
fn a_hash_is_over_the_hash_before_it_and_every_field() {
    let body = json!({"kind": "phase_started", "body": {"phase": "sandbox"}});
    let prev = Sha256::zero();
    let hash = link(&prev, Seq(1), Timestamp(12), Epoch(3), &body).unwrap();
    let hashed = format!(
        r#"{prev}{{"at":12,"body":{{"phase":"sandbox"}},"epoch":3,"kind":"phase_started","seq":1}}"#
    );
    assert_eq!(hash, sha256(hashed.as_bytes()));
    let typed = EventBody::PhaseStarted(PhaseStarted { phase: Phase::Sandbox });
    assert_eq!(link_event(&prev, Seq(1), Timestamp(12), Epoch(3), &typed).unwrap(), hash);
    for not_an_event in [json!([]), json!({"body": {}}), json!({"kind": "a", "body": 1, "x": 1})] {
        let refused = link(&prev, Seq(1), Timestamp(1), Epoch(1), &not_an_event);
        assert!(matches!(refused, Err(LinkError::NotAnEvent(_))));
    }
}

fn entry(seq: u64, epoch: u32, kind: &str, body: Value, prev: &Sha256) -> LogEntry {
    let raw = json!({"kind": kind, "body": body});
    let (seq, at, epoch) = (Seq(seq), Timestamp(1_000 + seq), Epoch(epoch));
    let hash = link(prev, seq, at, epoch, &raw).unwrap();
    LogEntry { seq, at, epoch, kind: kind.to_owned(), body, prev_hash: prev.clone(), hash }
}

/// A log of `count` events, well made.
fn log(count: u64) -> Vec<LogEntry> {
    let mut prev = Sha256::zero();
    (1..=count)
        .map(|n| {
            let body = json!({
                "ms": n, "phase": "setup", "detail": format!("step {n} “é”"), "new": [n, null],
            });
            let entry = entry(n, 1 + u32::from(n > 5), "phase_finished", body, &prev);
            prev = entry.hash.clone();
            entry
        })
        .collect()
}

fn first_fault(log: &[LogEntry]) -> Option<(u64, ChainFault)> {
    let mut verifier = Verifier::new();
    log.iter().find_map(|entry| verifier.push(entry).err()).map(|error| (error.seq.0, error.fault))
}

#[test]
fn a_log_is_verified_entry_by_entry_and_the_first_bad_one_is_named() {
    let good = log(10);
    assert_eq!(first_fault(&good), None);
    let mut missing = good.clone();
    missing.remove(3);
    assert_eq!(first_fault(&missing), Some((5, ChainFault::OutOfOrder { expected: Seq(4) })));
    let mut doubled = good.clone();
    doubled.insert(3, good[2].clone());
    assert_eq!(first_fault(&doubled), Some((3, ChainFault::OutOfOrder { expected: Seq(4) })));
    let mut altered = good.clone();
    altered[6].body["detail"] = json!("something else");
    assert_eq!(first_fault(&altered), Some((7, ChainFault::Altered)));
    let mut spliced = good.clone();
    spliced[6].hash = sha256(b"x");
    assert_eq!(first_fault(&spliced), Some((7, ChainFault::Altered)));
    let mut forged = good.clone();
    forged[6].prev_hash = sha256(b"x");
    assert_eq!(first_fault(&forged), Some((7, ChainFault::Unlinked)));
    // Well linked, but written by a worker that had lost its claim.
    let mut stale = good[..6].to_vec();
    stale.push(entry(7, 1, "a", json!({}), &good[5].hash));
    assert_eq!(first_fault(&stale), Some((7, ChainFault::OldEpoch)));
}

#[test]
fn fields_that_this_version_does_not_know_are_part_of_what_is_verified() {
    let entry = &log(1)[0];
    let event = entry.event();
    assert_eq!(
        event.body,
        EventBody::PhaseFinished(PhaseFinished {
            phase: Phase::Setup,
            ms: 1,
            detail: "step 1 “é”".to_owned(),
            failed: false,
        })
    );
    let text = serde_json::to_string(entry).unwrap();
    let again: LogEntry = serde_json::from_str(&text).unwrap();
    assert_eq!(&again, entry);
    assert_eq!(Verifier::new().push(&again), Ok(()));
    assert_ne!(LogEntry::of(&event).unwrap(), *entry);
}

#[test]
fn a_verifier_can_go_on_from_an_entry_that_is_trusted() {
    let log = log(6);
    let third = &log[2];
    let mut verifier = Verifier::after(third.seq, third.epoch, third.hash.clone());
    for entry in &log[3..] {
        verifier.push(entry).unwrap();
    }
    assert_eq!((verifier.last(), verifier.final_hash()), (Seq(6), &log[5].hash));
}

proptest! {
    #[test]
    fn any_flipped_bit_of_a_log_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let good = log(8);
        let mut bytes = Vec::new();
        for entry in &good {
            serde_json::to_writer(&mut bytes, entry).unwrap();
            bytes.push(b'\n');
        }
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != b'\n');
        bytes[at] ^= 1 << bit;
        let read: Option<Vec<LogEntry>> = String::from_utf8(bytes).ok().and_then(|text| {
            text.lines().map(|line| serde_json::from_str(line).ok()).collect()
        });
        if let Some(read) = read {
            prop_assert!(read == good || first_fault(&read).is_some());
        }
    }

    #[test]
    fn the_one_form_is_read_back_to_the_same_value(value in json_value()) {
        let bytes = to_vec(&value).unwrap();
        let again: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&to_vec(&again).unwrap(), &bytes);
        prop_assert_eq!(again, value);
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
