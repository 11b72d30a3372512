//! Which commands ran before the last change, so that what they printed may no longer hold.

use std::collections::{BTreeMap, BTreeSet};

use quire_domain::event::{CommandPurpose, Event, EventBody};
use quire_domain::ids::{CallId, ChunkId};

/// The chunks of commands that ran before the working tree last changed.
///
/// A command ran when its call was answered: all starts of one reply are written down together,
/// before the first of them. A change that a command itself made does not make its own output
/// stale: `sed -i … && pytest` tests what it changed. A working tree that was brought back from a
/// checkpoint counts as changed.
pub fn before_last_change(events: &[Event]) -> BTreeSet<ChunkId> {
    let mut fresh: BTreeMap<ChunkId, Option<CallId>> = BTreeMap::new();
    let mut by_call: BTreeMap<CallId, ChunkId> = BTreeMap::new();
    let mut stale = BTreeSet::new();
    for event in events {
        let by = match &event.body {
            EventBody::CommandStarted(started) => {
                let call = match &started.purpose {
                    CommandPurpose::Call(call) => Some(call.clone()),
                    CommandPurpose::Check(_)
                    | CommandPurpose::Setup
                    | CommandPurpose::Service(_) => None,
                };
                if let Some(call) = &call {
                    by_call.insert(call.clone(), started.chunk.clone());
                }
                fresh.insert(started.chunk.clone(), call);
                continue;
            }
            EventBody::ToolAnswered(answered) => {
                if let Some(chunk) = by_call.remove(&answered.call_id) {
                    stale.remove(&chunk);
                    fresh.insert(chunk, Some(answered.call_id.clone()));
                }
                continue;
            }
            EventBody::PatchApplied(applied) if !applied.files.is_empty() => &applied.call_id,
            EventBody::FilesChanged(changed) => &changed.call_id,
            EventBody::Restored(_) => {
                stale.extend(std::mem::take(&mut fresh).into_keys());
                continue;
            }
            _ => continue,
        };
        let own = fresh.extract_if(.., |_, call| call.as_ref() != Some(by));
        stale.extend(own.map(|(chunk, _)| chunk));
    }
    stale
}

#[cfg(test)]
mod tests {
    use quire_domain::ids::{Epoch, Seq, Sha256};
    use quire_domain::time::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn events(bodies: &[Value]) -> Vec<Event> {
        bodies
            .iter()
            .map(|body| Event {
                seq: Seq(1),
                at: Timestamp(1),
                epoch: Epoch(1),
                body: serde_json::from_value(body.clone()).unwrap(),
                prev_hash: Sha256::zero(),
                hash: Sha256::zero(),
            })
            .collect()
    }

    fn runs(chunk: &str, call: &str) -> Value {
        json!({"kind": "command_started", "body": {
            "chunk": chunk, "purpose": {"call": call}, "command": "pytest", "workdir": "."}})
    }

    fn changes(call: &str) -> Value {
        json!({"kind": "files_changed", "body": {"call_id": call, "paths": ["a"]}})
    }

    fn patches(call: &str) -> Value {
        let file = json!({"path": "a", "change": "changed"});
        json!({"kind": "patch_applied", "body": {"call_id": call, "files": [file]}})
    }

    fn stale(bodies: &[Value]) -> Vec<String> {
        before_last_change(&events(bodies)).into_iter().map(String::from).collect()
    }

    #[test]
    fn a_run_is_stale_once_something_else_changed_files() {
        assert_eq!(stale(&[patches("1"), runs("aaaaaa", "2")]), [""; 0]);
        assert_eq!(stale(&[runs("aaaaaa", "1"), patches("2"), runs("bbbbbb", "3")]), ["aaaaaa"]);
        assert_eq!(stale(&[runs("aaaaaa", "1"), changes("2")]), ["aaaaaa"]);
        let restored = json!({"kind": "restored", "body": {"from": 1, "text": "gone"}});
        assert_eq!(stale(&[runs("aaaaaa", "1"), restored]), ["aaaaaa"]);
        let nothing = json!({"kind": "patch_applied", "body": {"call_id": "2", "files": []}});
        assert_eq!(stale(&[runs("aaaaaa", "1"), nothing]), [""; 0]);
    }

    #[test]
    fn a_test_called_in_one_reply_with_the_patch_before_it_is_fresh() {
        let answer = |call: &str| json!({"kind": "tool_answered", "body": {"call_id": call, "parts": [], "ok": true}});
        let reply = [runs("aaaaaa", "2"), patches("1"), answer("1"), answer("2")];
        assert_eq!(stale(&reply), [""; 0]);
        assert_eq!(stale(&[reply.as_slice(), &[changes("3")]].concat()), ["aaaaaa"]);
        let other_way = [runs("aaaaaa", "1"), answer("1"), patches("2"), answer("2")];
        assert_eq!(stale(&other_way), ["aaaaaa"]);
    }

    #[test]
    fn a_command_that_changes_files_and_tests_them_is_fresh_until_the_next_change() {
        let own = [runs("aaaaaa", "1"), changes("1")];
        assert_eq!(stale(&own), [""; 0]);
        assert_eq!(stale(&[own.as_slice(), &[patches("2")]].concat()), ["aaaaaa"]);
    }
}
