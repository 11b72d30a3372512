//! What went through a way out, written down: request by request, and in sums where that would be
//! more than a person or a log can bear.

use std::sync::Arc;
use std::time::Duration;

use quire_domain::event::{Egress, EventBody};
use quire_egress::{Asking, Audit, AuditQueue, AuditReceiver, AuditRecord, Lost};
use tokio::sync::Notify;

use super::behind::Behind;
use crate::recorder::Recorder;

/// Requests that wait to be recorded; above it they are counted only.
const QUEUE: usize = 2_000;

/// How long like requests are gathered before they are recorded.
const GATHER: Duration = Duration::from_millis(300);

/// Events of one way out. A loop that asks for a new name each time would else fill the log.
const MOST_EVENTS: usize = 4_000;

/// How long all requests are gathered after that.
const GATHER_SUMS: Duration = Duration::from_secs(10);

/// In place of a host, where there were too many to name.
pub const OTHERS: &str = "(others)";

/// In place of a host, where requests came faster than they were written down.
pub const NOT_RECORDED: &str = "(not recorded)";

/// Hands the proxy's records on, and finds out whose they are.
pub struct Teller {
    queue: AuditQueue,
    behind: Arc<Behind>,
}

impl Teller {
    /// One for the sandbox that `behind` knows, and who takes what it is told.
    pub fn new(behind: Arc<Behind>) -> (Self, AuditReceiver) {
        let (queue, receiver) = AuditQueue::new(QUEUE);
        (Self { queue, behind }, receiver)
    }
}

impl Audit for Teller {
    fn record(&self, record: AuditRecord) {
        self.queue.record(record);
    }

    fn command(&self, client_port: u16) -> Option<Asking> {
        Some(self.behind.asked(client_port))
    }
}

/// Writes down what goes through until the door is gone; `ending` makes it hurry.
pub async fn write_down(mut receiver: AuditReceiver, recorder: Arc<Recorder>, ending: Arc<Notify>) {
    let mut written = 0;
    let mut hurry = false;
    while let Some(records) = receiver.next().await {
        let room = MOST_EVENTS.saturating_sub(written);
        let mut events = events(records, room);
        events.extend(not_recorded(receiver.lost()));
        written += events.len();
        // A broken record shows at the next write that matters.
        if recorder.note(events).await.is_err() {
            return;
        }
        let pause = if written < MOST_EVENTS { GATHER } else { GATHER_SUMS };
        if !hurry {
            hurry = tokio::time::timeout(pause, ending.notified()).await.is_ok();
        }
    }
    let _ = recorder.note(not_recorded(receiver.lost())).await;
}

/// The first `room` records as they are, the others as two sums.
fn events(records: Vec<AuditRecord>, room: usize) -> Vec<EventBody> {
    let mut records = records.into_iter();
    let mut events: Vec<EventBody> =
        records.by_ref().take(room).map(AuditRecord::into_event).collect();
    let (mut allowed, mut denied) = (None, None);
    for AuditRecord { allowed: passed, egress, .. } in records {
        let sum = if passed { &mut allowed } else { &mut denied };
        let sum = sum.get_or_insert_with(|| nameless(OTHERS, "many"));
        sum.times = sum.times.saturating_add(egress.times);
        sum.sent = sum.sent.saturating_add(egress.sent);
        sum.received = sum.received.saturating_add(egress.received);
    }
    events.extend(allowed.map(EventBody::EgressAllowed));
    events.extend(denied.map(EventBody::EgressDenied));
    events
}

/// What was only counted.
fn not_recorded(lost: Lost) -> Vec<EventBody> {
    let counted = |times| Egress { times, ..nameless(NOT_RECORDED, "not_recorded") };
    let allowed = (lost.allowed > 0).then(|| EventBody::EgressAllowed(counted(lost.allowed)));
    let denied = (lost.denied > 0).then(|| EventBody::EgressDenied(counted(lost.denied)));
    allowed.into_iter().chain(denied).collect()
}

fn nameless(host: &str, reason: &str) -> Egress {
    Egress {
        host: host.to_owned(),
        method: None,
        rule: String::new(),
        path: None,
        reason: Some(reason.to_owned()),
        sent: 0,
        received: 0,
        ms: 0,
        chunk: None,
        times: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(host: &str, allowed: bool) -> AuditRecord {
        let egress = Egress { times: 2, sent: 3, ..nameless(host, "no_rule") };
        AuditRecord { allowed, client_port: 1, egress }
    }

    #[test]
    fn what_is_too_much_to_be_told_one_by_one_is_told_in_sums() {
        let records =
            vec![record("a", false), record("b", false), record("c", true), record("d", false)];
        let events = events(records, 1);
        let [
            EventBody::EgressDenied(first),
            EventBody::EgressAllowed(passed),
            EventBody::EgressDenied(rest),
        ] = events.as_slice()
        else {
            panic!("{events:?}")
        };
        assert_eq!((first.host.as_str(), first.times), ("a", 2));
        assert_eq!((passed.host.as_str(), passed.times, passed.sent), (OTHERS, 2, 3));
        assert_eq!((rest.host.as_str(), rest.times, rest.sent), (OTHERS, 4, 6));
        let lost = not_recorded(Lost { allowed: 0, denied: 7 });
        assert!(matches!(&lost[..], [EventBody::EgressDenied(egress)] if egress.times == 7));
    }
}
