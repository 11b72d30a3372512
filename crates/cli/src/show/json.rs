//! Events as JSON lines: `quire run --json` and `quire task logs --json`. Documented in
//! `docs/cli.md`; fields are only ever added.

use quire_domain::event::Event;

/// One event as one line.
pub fn line(task: u64, attempt: u8, event: &Event) -> String {
    value(task, attempt, event).to_string()
}

/// One event of a task of a file, as one line that names the line of the file.
pub fn line_of_file(place: (usize, Option<&str>), task: u64, attempt: u8, event: &Event) -> String {
    let mut value = value(task, attempt, event);
    value["line"] = place.0.into();
    if let Some(id) = place.1 {
        value["id"] = id.into();
    }
    value.to_string()
}

/// A line of a file that did not become a task, as one line.
pub fn not_started((line, id): (usize, Option<&str>), why: &str, detail: &str) -> String {
    let mut value = serde_json::json!({
        "line": line,
        "kind": "not_started",
        "body": { "why": why, "detail": detail },
    });
    if let Some(id) = id {
        value["id"] = id.into();
    }
    value.to_string()
}

fn value(task: u64, attempt: u8, event: &Event) -> serde_json::Value {
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
}
