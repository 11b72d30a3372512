//! Events as JSON lines: `quire run --json` and `quire task logs --json`. Documented in
//! `docs/cli.md`; fields are only ever added.

use quire_domain::event::Event;

/// One event as one line.
pub fn line(task: u64, attempt: u8, event: &Event) -> String {
    let body = serde_json::to_value(&event.body).unwrap_or_default();
    serde_json::json!({
        "task": task,
        "attempt": attempt,
        "seq": event.seq,
        "at": event.at,
        "epoch": event.epoch,
        "kind": event.body.kind(),
        "body": body.get("body").unwrap_or(&serde_json::Value::Null),
        "hash": event.hash,
    })
    .to_string()
}
