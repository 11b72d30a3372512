//! What the agent does next. Pure: the same transcript and limits give the same step.

use quire_domain::attempt::{FailureKind, SuspendReason};
use quire_domain::budget::BudgetLimit;
use quire_domain::event::Awaits;
use quire_domain::transcript::ToolCall;

use crate::stop;
use crate::transcript::{Stands, Transcript};

/// What the loop does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Read the instructions of the start and tell them, and the request.
    Start,
    /// Ask the model.
    AskModel,
    /// Run the calls that have no answer yet, in order.
    RunTools(Vec<ToolCall>),
    /// Sum up and open a new window.
    Compact,
    /// The model says it is done, with this answer: look whether it is.
    Gate(String),
    /// Wait for a word of a person, unless there is one by now.
    Wait(Awaits),
    /// End, as the plan was approved: another turn carries it out.
    Approved,
    /// Stand still.
    Suspend(SuspendReason),
    /// End, as the provider declined with these words.
    Refuse(String),
    /// End, as it cannot be done.
    Fail {
        /// What kind of failure.
        kind: FailureKind,
        /// What happened, for the person.
        detail: String,
    },
}

/// What bounds the attempt, as it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The limit of the turn's budget that was reached, if any.
    pub budget: Option<BudgetLimit>,
    /// Whether a person or a quota wants it to stand still.
    pub stand_still: Option<SuspendReason>,
    /// Model calls after which it stands still whatever the budget.
    pub model_calls: u32,
    /// Tokens that the model's window holds, output included.
    pub window_tokens: u64,
    /// Tokens it may write in one reply.
    pub max_output_tokens: u64,
}

/// A reason to do something else than to ask the model.
type StopRule = fn(&Transcript, &Limits) -> Option<Step>;

/// Looked at in this order before each model call.
const STOP_RULES: [StopRule; 5] = [
    stop::stand_still::rule,
    stop::budget::rule,
    stop::endless::rule,
    stop::cut_replies::rule,
    stop::window::rule,
];

/// What the agent does next.
pub fn next_step(transcript: &Transcript, limits: &Limits) -> Step {
    if !transcript.started() {
        return Step::Start;
    }
    if transcript.person().has_approved() {
        return Step::Approved;
    }
    if let Some(awaits) = transcript.person().awaits() {
        return Step::Wait(awaits);
    }
    if let Some(end) = stop::stuck::rule(transcript, limits) {
        return end;
    }
    match transcript.stands() {
        Stands::Called => Step::RunTools(transcript.open_calls().cloned().collect()),
        Stands::Done(answer) => Step::Gate(answer.clone()),
        Stands::Refused(words) => Step::Refuse(words.clone()),
        Stands::ToAsk => {
            let stop = STOP_RULES.iter().find_map(|rule| rule(transcript, limits));
            stop.unwrap_or(Step::AskModel)
        }
    }
}
