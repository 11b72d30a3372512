//! A word of a person that the attempt cannot go on without: asked for, waited for, taken.

use quire_domain::event::{Awaits, Event, EventBody, QuestionAsked, Said};
use quire_domain::time::Timestamp;

use super::{Driver, Halt};
use crate::contracts::Judgement;
use crate::run::End;

impl Driver {
    /// Notes that the person is asked. Who answers is told it when the attempt waits.
    pub(super) fn ask_person(&mut self, question: QuestionAsked) {
        self.record(EventBody::QuestionAsked(question));
    }

    /// Goes on with a person's word where there is one, and else ends this run.
    pub(super) async fn wait(&mut self, awaits: Awaits) -> Result<(), Halt> {
        // What was answered beside the question comes before what the person says.
        self.flush().await?;
        let there = match awaits {
            Awaits::Answer => self.take_answer().await?,
            Awaits::Approval => self.take_judgement().await? || self.take_messages().await?,
        };
        if there { Ok(()) } else { Err(Halt::End(End::Waiting(awaits))) }
    }

    async fn take_answer(&mut self) -> Result<bool, Halt> {
        let Some(after) = self.transcript.person().after() else { return Ok(false) };
        let answer = match self.attempt.inputs.answer(after).await? {
            Some(said) => said,
            None if self.waited_too_long() => nobody_answered(),
            None => return Ok(false),
        };
        self.record(EventBody::QuestionAnswered(answer));
        Ok(true)
    }

    async fn take_judgement(&mut self) -> Result<bool, Halt> {
        let Some(after) = self.transcript.person().after() else { return Ok(false) };
        let Some(judgement) = self.attempt.inputs.judgement(after).await? else {
            return Ok(false);
        };
        self.record(match judgement {
            Judgement::Approved(approved) => EventBody::PlanApproved(approved),
            Judgement::Rejected(said) => EventBody::PlanRejected(said),
        });
        Ok(true)
    }

    fn waited_too_long(&self) -> bool {
        let limit = u64::try_from(self.attempt.settings.answer_within.as_millis());
        self.asked_at.is_some_and(|at| {
            self.attempt.clock.now().millis_since(at) >= limit.unwrap_or(u64::MAX)
        })
    }
}

/// When the question was asked that has no answer yet.
pub(super) fn asked_at(own: &[Event]) -> Option<Timestamp> {
    let asked = |event: &&Event| matches!(event.body, EventBody::QuestionAsked(_));
    own.iter().rfind(asked).map(|event| event.at)
}

fn nobody_answered() -> Said {
    let text = "Nobody answered in time. Go on without: take the most sensible reading, and say \
                in the end which you took and what was left unanswered.";
    Said { input: 0, text: text.to_owned() }
}
