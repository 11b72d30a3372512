//! Letting go of an attempt that is not over: for another worker, as this process leaves; or for
//! good, as worker after worker was lost over it.

use quire_domain::attempt::{AttemptState, FailureKind};
use quire_domain::event::{Event, EventBody};
use tokio::time::timeout;

use super::Life;
use super::conclude::Ending;
use crate::error::RunError;
use crate::finish::AttemptFinish;
use crate::leaving::LET_GO;

/// Workers that may be lost over an attempt while it comes no further.
const MOST_LOSSES: u32 = 5;

/// Workers that may be lost over an attempt in all.
const MOST_LOSSES_IN_ALL: u32 = 25;

impl Life {
    /// Ends what it works in; what was written is kept, for whoever goes on.
    pub(super) async fn put_down(&self, finish: &AttemptFinish) -> Result<(), RunError> {
        self.end_services().await;
        self.close_way_out().await;
        self.recorder.flush().await?;
        if let Ok(sandbox) = finish.sandbox.sandbox().await {
            // It may stand for long: what it wrote outlives a crash of the machine.
            let _ = sandbox.freeze().await;
            let _ = sandbox.end().await;
        }
        Ok(())
    }

    /// As [`Life::put_down`], in the midst of anything. What does not end in time ends with the
    /// process.
    pub(super) async fn let_go(&self) {
        if let Some(finish) = self.working.get() {
            let _ = timeout(LET_GO, self.put_down(finish)).await;
        }
    }

    /// Ends an attempt over which too many workers were lost; `None` if it may go on.
    pub(super) async fn worn_out(&self, losses: u32) -> Result<Option<AttemptState>, RunError> {
        if losses < MOST_LOSSES {
            return Ok(None);
        }
        let events = self.events_before().await?;
        let since = claims_since_a_reply(&events);
        if since < MOST_LOSSES && losses < MOST_LOSSES_IN_ALL {
            return Ok(None);
        }
        self.hold().await;
        if let Some(state) = self.settle().await? {
            return Ok(Some(state));
        }
        self.begin().await?;
        let detail = format!(
            "{losses} times the process that worked on it was lost, {since} times since the model \
             last said something: it is not tried again by itself"
        );
        let ending = Ending::failed(FailureKind::Infrastructure, detail);
        self.conclude(None, ending).await.map(Some)
    }
}

/// How many workers have begun with it since it last came further. One that died before it could
/// write anything has left no claim, so an attempt without a reply counts as worn out.
fn claims_since_a_reply(events: &[Event]) -> u32 {
    let mut claims = 0;
    for event in events.iter().rev() {
        match &event.body {
            EventBody::ModelReplied(_) => return claims,
            EventBody::Claimed(_) => claims += 1,
            _ => {}
        }
    }
    u32::MAX
}
