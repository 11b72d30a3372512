//! Tasks of a server as a person names them, and their logs.

use quire_api::{AttemptSummary, EventPage, Task};
use quire_client::Call;
use quire_domain::event::{Event, EventBody};
use quire_domain::ids::{AttemptRef, Epoch, Seq, Sha256};
use quire_domain::time::Timestamp;

use super::{Remote, told};
use crate::exit::usage;

/// A task, with the attempt that is meant.
pub struct Named {
    /// The task.
    pub task: Task,
    /// The attempt, of the newest turn.
    pub attempt: AttemptSummary,
}

/// Events that are read at once.
const PAGE: u32 = 1_000;

/// A task by its number.
pub async fn task(remote: &Remote, number: u64) -> anyhow::Result<Task> {
    let call = Call::get(&["tasks", &number.to_string()]);
    remote.client.ask(call).await.map_err(told)
}

/// What a person named: the chosen or only attempt of the newest turn, or the one named.
pub async fn find(remote: &Remote, name: AttemptRef) -> anyhow::Result<Named> {
    let task = task(remote, name.task.0).await?;
    let attempt = meant(&task, name)?.clone();
    Ok(Named { task, attempt })
}

/// The attempt that is meant of a task.
pub fn meant(task: &Task, name: AttemptRef) -> anyhow::Result<&AttemptSummary> {
    let attempts = &task.summary.attempts;
    let chosen = task.history.last().and_then(|turn| turn.chosen);
    let ordinal = name.ordinal.or(chosen).or(match attempts.as_slice() {
        [only] => Some(only.attempt),
        _ => None,
    });
    let Some(ordinal) = ordinal else {
        let number = task.summary.task;
        return Err(usage(format!(
            "task {number} has several attempts and none is chosen: name one, as in `{number}.1`"
        )));
    };
    attempts.iter().find(|attempt| attempt.attempt == ordinal).ok_or_else(|| {
        usage(format!("there is no attempt {}.{ordinal} in its newest turn", task.summary.task))
    })
}

/// The events of an attempt from `from` on, as the server tells them.
pub async fn events(
    remote: &Remote,
    attempt: &AttemptSummary,
    from: u64,
) -> anyhow::Result<Vec<quire_api::Event>> {
    let id = attempt.id.to_string();
    let (mut all, mut next) = (Vec::new(), Some(from.max(1)));
    while let Some(from) = next {
        let call = Call::get(&["attempts", &id, "events"]).query("from", from).query("limit", PAGE);
        let page: EventPage = remote.client.ask(call).await.map_err(told)?;
        next = page.next.filter(|next| *next > from && !page.events.is_empty());
        all.extend(page.events);
    }
    Ok(all)
}

/// Those of them that this version knows.
pub fn known(events: &[quire_api::Event]) -> Vec<Event> {
    events.iter().filter_map(event).collect()
}

/// An event, if this version knows its kind.
pub fn event(event: &quire_api::Event) -> Option<Event> {
    let body = serde_json::json!({ "kind": event.kind, "body": event.body });
    let body: EventBody = serde_json::from_value(body).ok()?;
    Some(Event {
        seq: Seq(event.seq),
        at: Timestamp(event.at),
        epoch: Epoch(event.epoch),
        body,
        prev_hash: Sha256::parse(&event.prev_hash).ok()?,
        hash: Sha256::parse(&event.hash).ok()?,
    })
}

/// An event as a line of JSON, in the form that `quire run --json` has; also one of a kind that
/// this version does not know.
pub fn line(task: u64, attempt: u8, event: &quire_api::Event) -> String {
    serde_json::json!({
        "task": task,
        "attempt": attempt,
        "seq": event.seq,
        "at": event.at,
        "epoch": event.epoch,
        "kind": event.kind,
        "body": event.body,
        "hash": event.hash,
    })
    .to_string()
}
