//! A plan that was approved: the next turn of its task carries it out.

use quire_domain::event::{Event, EventBody};
use quire_domain::ids::AttemptId;
use quire_domain::task::{Mode, Request, Turn};
use quire_store::{FollowUp, StoreError, Submission};

use crate::worker::Worker;

/// Submits the turn that carries out the plan that `events` say was approved; `None` where none
/// was. Safe to repeat: the turn is there once.
pub async fn carry_out(
    worker: &Worker,
    turn: &Turn,
    attempt: AttemptId,
    events: &[Event],
) -> Result<Option<Submission>, StoreError> {
    match carrying_out(worker, turn, attempt, events).await? {
        Some(follow) => worker.store.follow_up(follow).await.map(Some),
        None => Ok(None),
    }
}

/// The turn that carries out the plan that `events` say was approved, to be written with the end of
/// the attempt that made it.
pub(crate) async fn carrying_out(
    worker: &Worker,
    turn: &Turn,
    attempt: AttemptId,
    events: &[Event],
) -> Result<Option<FollowUp>, StoreError> {
    let Some(plan) = approved_plan(turn, events) else { return Ok(None) };
    let request = Request {
        mode: Mode::Code,
        prompt: plan,
        images: Vec::new(),
        // The answer was to be a plan.
        output_schema: None,
        ..turn.request.clone()
    };
    let follow = FollowUp {
        task: turn.task,
        request,
        continues: Some(attempt),
        origin: worker.store.origin(turn.id).await?,
        idempotency_key: Some(format!("approved {attempt}")),
        // Whoever worked on the plan works on what comes of it.
        offered: worker.store.is_of_server(attempt).await?,
        now: worker.clock.now(),
    };
    Ok(Some(follow))
}

/// What is asked for: the plan in full, as a window that is summed up keeps the request's words.
fn approved_plan(turn: &Turn, events: &[Event]) -> Option<String> {
    if turn.request.mode != Mode::Plan {
        return None;
    }
    let approved = events.iter().rev().find_map(|event| match &event.body {
        EventBody::PlanApproved(approved) => Some(approved),
        _ => None,
    })?;
    let as_it_was = || {
        events.iter().rev().find_map(|event| match &event.body {
            EventBody::Answered(answered) => Some(&answered.text),
            _ => None,
        })
    };
    let (how, plan) = match &approved.text {
        Some(text) => ("I edited the plan; carry it out as it now is", text),
        None => ("The plan is approved; carry it out", as_it_was()?),
    };
    Some(format!("{how}. Say where you had to depart from it, and why.\n\n{}", plan.trim()))
}
