//! What a bundle is about, as its signed record says it and not as the store has it.

use quire_evidence::about::RecordAbout;
use quire_evidence::bundle::Bundle;
use serde_json::{Value, json};

use crate::show::style::fit;

/// A request is shown as one line of at most this many characters.
const MOST_SHOWN: usize = 100;

/// The lines for a person; none if the statement cannot be read.
pub fn lines(bundle: &Bundle, intact: bool) -> Vec<String> {
    let Ok(about) = RecordAbout::of(bundle) else { return Vec::new() };
    let task = match about.number {
        Some(number) => format!("task {number}"),
        None => format!("task {} (its number was not signed)", about.task),
    };
    let attempt = match about.ordinal {
        Some(ordinal) => format!("attempt {ordinal}"),
        None => format!("attempt {}", about.attempt),
    };
    let goes_on = if about.is_follow_up { ", a follow-up" } else { "" };
    let says = if intact { "The signed record is of" } else { "The record says it is of" };
    let request = about
        .request
        .as_deref()
        .map_or_else(|| "(cannot be read)".to_owned(), |request| fit(request, MOST_SHOWN));
    let commit = |commit: Option<&quire_domain::ids::CommitId>| {
        commit.map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    vec![
        format!("{says} {task}, {attempt}{goes_on}"),
        format!("  request  {request}"),
        format!("  base     {}", commit(about.base.as_ref())),
        format!("  commit   {}", commit(about.head.as_ref())),
    ]
}

/// The same for programs; `null` if the statement cannot be read.
pub fn json(bundle: &Bundle) -> Value {
    let Ok(about) = RecordAbout::of(bundle) else { return Value::Null };
    json!({
        "task": about.task,
        "number": about.number,
        "attempt": about.attempt,
        "ordinal": about.ordinal,
        "follow_up": about.is_follow_up,
        "request": about.request,
        "base": about.base,
        "head": about.head,
    })
}
