//! Waiting for a person: an attempt holds nothing meanwhile, and goes on from its log when they have
//! spoken.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use quire_agent::{Judgement, Transcript};
use quire_domain::attempt::{AttemptState, Outcome};
use quire_domain::citation::CitationVerdict;
use quire_domain::event::{
    Answered, Awaits, Claimed, Event, EventBody, Fault, PlanApproved, Resumed, Waiting,
};
use quire_domain::ids::Sha256;
use quire_domain::journal::Journal;
use quire_store::Write;

use super::Life;
use super::conclude::{Ending, look};
use crate::error::RunError;
use crate::finish::AttemptFinish;

/// The state of an attempt that waits.
pub(super) fn state(awaits: Awaits) -> AttemptState {
    match awaits {
        Awaits::Answer => AttemptState::WaitingForUser,
        Awaits::Approval => AttemptState::WaitingForApproval,
    }
}

/// The end of a turn whose plan was approved: its answer is in the log.
pub(super) fn approved() -> Ending {
    Ending { outcome: Outcome::Answered, answer: None, partial: false }
}

impl Life {
    /// Looks, before anything is made for it, whether an attempt that waits can go on. Gives where
    /// it stands if there is nothing to go on with, or if its plan was approved, as that needs no
    /// sandbox.
    pub(super) async fn still_waits(&self) -> Result<Option<AttemptState>, RunError> {
        if self.recorder.is_empty() || self.cancel.is_cancelled() {
            return Ok(None);
        }
        let events = self.recorder.events().await?;
        let transcript = Transcript::of(&events);
        let person = transcript.person();
        if person.has_approved() {
            return self.end_approved(&events, None).await.map(Some);
        }
        let (Some(awaits), Some(after)) = (person.awaits(), person.after()) else {
            return Ok(None);
        };
        let inputs = &self.inputs;
        let goes_on = match awaits {
            Awaits::Answer => inputs.answer_after(after).is_some() || self.waited_too_long(&events),
            Awaits::Approval => match inputs.judgement_after(after) {
                Some(Judgement::Approved(approved)) => {
                    return self.end_approved(&events, Some(approved)).await.map(Some);
                }
                Some(Judgement::Rejected(_)) => true,
                None => inputs.has_message_after(transcript.last_message()),
            },
        };
        if goes_on {
            return Ok(None);
        }
        // The time that it waited is none at work.
        let (state, spent) = (state(awaits), self.row.spent);
        let write =
            Write { state: state.clone(), spent, result: None, now: self.worker.clock.now() };
        self.worker.store.set_state(self.row.id, self.row.epoch, write).await?;
        Ok(Some(state))
    }

    fn waited_too_long(&self, events: &[Event]) -> bool {
        let asked = |event: &&Event| matches!(event.body, EventBody::QuestionAsked(_));
        let limit = u64::try_from(self.worker.place.answer_within.as_millis());
        events.iter().rfind(asked).is_some_and(|event| {
            self.worker.clock.now().millis_since(event.at) >= limit.unwrap_or(u64::MAX)
        })
    }

    /// Lays a plan before the person. `newest` is the newest input by then.
    pub(super) async fn offer_plan(
        &self,
        finish: &Arc<AttemptFinish>,
        answer: String,
        faults: Vec<Fault>,
        newest: u64,
    ) -> Result<(), RunError> {
        let looked = look(finish, answer).await;
        // For the evidence, which is signed when the person has spoken.
        for bytes in finish.cited_contents(&looked.citations).await.into_values() {
            let _ = self.worker.record.blobs.put(Bytes::from(bytes)).await;
        }
        let mut bodies: Vec<EventBody> =
            looked.citations.into_iter().map(EventBody::Cited).collect();
        bodies.push(EventBody::Answered(Answered { text: looked.text, faults }));
        bodies.push(EventBody::Waiting(Waiting { awaits: Awaits::Approval, after: newest }));
        Ok(self.recorder.append(bodies).await.map(|_| ())?)
    }

    /// What the citations of a plan point at, as it was kept when the plan was offered.
    pub(super) async fn kept_contents(&self, events: &[Event]) -> BTreeMap<Sha256, Vec<u8>> {
        let mut contents = BTreeMap::new();
        for event in events {
            match &event.body {
                EventBody::ModelReplied(_) => contents.clear(),
                EventBody::Cited(cited) => {
                    if let CitationVerdict::Resolved { source, .. } = &cited.verdict
                        && let Ok(bytes) = self.worker.record.blobs.get(source).await
                    {
                        contents.insert(source.clone(), bytes.to_vec());
                    }
                }
                _ => {}
            }
        }
        contents
    }

    /// Ends a turn whose plan is approved; its copy is thrown away. `now` is the approval, where the
    /// log does not have it yet.
    async fn end_approved(
        &self,
        events: &[Event],
        now: Option<PlanApproved>,
    ) -> Result<AttemptState, RunError> {
        if let Some(approved) = now {
            let claimed = Claimed {
                worker: self.worker.place.worker.clone(),
                version: self.worker.place.version.clone(),
            };
            let mut bodies = vec![EventBody::Claimed(claimed)];
            bodies.extend(self.ends_of_cut_off(events).await?);
            bodies.push(EventBody::Resumed(Resumed { budget: None }));
            bodies.push(EventBody::PlanApproved(approved));
            self.recorder.append(bodies).await?;
        }
        let _ = crate::frozen::keep_frozen(&self.worker, self.row.id, &BTreeMap::new());
        let _ = self.worker.sandboxes.discard(&self.upper()).await;
        self.conclude(None, approved()).await
    }
}
