//! The one state machine of an attempt: what may follow what, and what people may say when. Pure.
//!
//! ```text
//! queued → preparing → working → waiting_for_user | waiting_for_approval → working …
//!             ↑ ↖ claimed anew from every state before the end
//! queued ← suspended ← each of them          done ← each of them, final
//!    ↑ waiting_for_…, when a person has spoken
//! ```

use super::{Attempt, AttemptState, Outcome, SuspendReason};
use crate::ids::AttemptId;

/// Something that moves an attempt: there is one for each state it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It waits for a worker again.
    Offer,
    /// A worker takes it: the first one, or one after another was lost.
    Claim,
    /// Its loop runs, or runs on after a person's word.
    Work,
    /// It asks a question.
    Ask,
    /// It lays a plan before a person.
    Propose,
    /// It stands still and can go on.
    StandStill(SuspendReason),
    /// It ends.
    End(Outcome),
}

impl Change {
    /// What would be done, for the words of a refusal.
    fn verb(&self) -> &'static str {
        match self {
            Self::Offer => "be offered again",
            Self::Claim => "be claimed",
            Self::Work => "work",
            Self::Ask => "ask",
            Self::Propose => "propose a plan",
            Self::StandStill(_) => "stand still",
            Self::End(_) => "end like that",
        }
    }
}

impl From<AttemptState> for Change {
    fn from(next: AttemptState) -> Self {
        match next {
            AttemptState::Queued => Self::Offer,
            AttemptState::Preparing => Self::Claim,
            AttemptState::Working => Self::Work,
            AttemptState::WaitingForUser => Self::Ask,
            AttemptState::WaitingForApproval => Self::Propose,
            AttemptState::Suspended { reason } => Self::StandStill(reason),
            AttemptState::Done { outcome } => Self::End(outcome),
        }
    }
}

/// What a person wants of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Say something at its next model call.
    Steer,
    /// Say something after its turn.
    Message,
    /// Answer its question.
    Answer,
    /// Approve, edit or reject its plan.
    Approve,
    /// End it.
    Cancel,
    /// Let it stand still.
    Pause,
    /// Let it go on.
    Resume,
    /// Let it go on under another budget.
    RaiseBudget,
    /// Try its request once more.
    Retry,
    /// Go on from its end, in the next turn.
    FollowUp,
    /// Go on from its end, in another task.
    Fork,
    /// Take it as the one that counts.
    Choose,
}

impl Wish {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Steer,
        Self::Message,
        Self::Answer,
        Self::Approve,
        Self::Cancel,
        Self::Pause,
        Self::Resume,
        Self::RaiseBudget,
        Self::Retry,
        Self::FollowUp,
        Self::Fork,
        Self::Choose,
    ];

    /// What the person would do, for the words of a refusal.
    fn verb(self) -> &'static str {
        match self {
            Self::Steer => "steer it",
            Self::Message => "tell it something",
            Self::Answer => "answer it",
            Self::Approve => "decide on its plan",
            Self::Cancel => "cancel it",
            Self::Pause => "pause it",
            Self::Resume => "resume it",
            Self::RaiseBudget => "raise its budget",
            Self::Retry => "retry it",
            Self::FollowUp => "follow it up",
            Self::Fork => "fork it",
            Self::Choose => "choose it",
        }
    }
}

/// A change or a wish that the state of an attempt does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}, so one cannot {wanted}: {instead}", standing(state))]
pub struct NotPossible {
    /// Where the attempt stands.
    pub state: AttemptState,
    /// What was wanted, e.g. `pause it`.
    pub wanted: &'static str,
    /// What is possible instead, for a person.
    pub instead: &'static str,
}

impl NotPossible {
    fn new(state: &AttemptState, wanted: &'static str) -> Self {
        Self { state: state.clone(), wanted, instead: instead(state) }
    }

    /// The refusal with the task that a person named, e.g. `7` or `7.2`.
    pub fn told(&self, task: &str) -> String {
        let instead = self.instead.replace("TASK", task);
        let what = standing(&self.state);
        format!("task {task} {}: {instead}", what.strip_prefix("it ").unwrap_or(&what))
    }
}

/// Where an attempt stands, as the beginning of a sentence about it.
fn standing(state: &AttemptState) -> String {
    match state {
        AttemptState::Queued => "it waits for a worker".to_owned(),
        AttemptState::Preparing => "it is being prepared".to_owned(),
        AttemptState::Working => "it is at work".to_owned(),
        AttemptState::WaitingForUser => "it waits for your answer".to_owned(),
        AttemptState::WaitingForApproval => "it waits for your word on its plan".to_owned(),
        AttemptState::Suspended { reason } => format!("it stands still ({})", reason.word()),
        AttemptState::Done { outcome } => format!("it has ended ({})", outcome.word()),
    }
}

/// What a person can do with an attempt that stands there; `TASK` is its task.
fn instead(state: &AttemptState) -> &'static str {
    match state {
        AttemptState::Queued => {
            "wait for it (`quire task show TASK`), or end it with `quire task cancel TASK`"
        }
        AttemptState::Preparing | AttemptState::Working => {
            "tell it something with `quire task steer TASK \"…\"`, stop it with \
             `quire task pause TASK`, or end it with `quire task cancel TASK`"
        }
        AttemptState::WaitingForUser => {
            "`quire task show TASK` shows the question; answer it, or end the attempt with \
             `quire task cancel TASK`"
        }
        AttemptState::WaitingForApproval => {
            "`quire task show TASK` shows the plan; approve or reject it, or end the attempt with \
             `quire task cancel TASK`"
        }
        AttemptState::Suspended { .. } => {
            "go on with `quire task resume TASK`, or end it with `quire task cancel TASK`"
        }
        AttemptState::Done { .. } => {
            "follow up with `quire task message TASK \"…\"`, try again with \
             `quire task retry TASK`, or begin another task from it with \
             `quire task fork TASK \"…\"`"
        }
    }
}

/// Where an attempt stands after `change`.
///
/// # Errors
///
/// [`NotPossible`] where no arrow leads there; nothing leads out of `done`.
pub fn step(state: &AttemptState, change: Change) -> Result<AttemptState, NotPossible> {
    use AttemptState as At;
    let unclaimed = matches!(state, At::Queued | At::Suspended { .. });
    let possible = !matches!(state, At::Done { .. })
        && match &change {
            // What waits for a person may hold no worker, and needs one when they have spoken.
            Change::Offer => !matches!(state, At::Queued | At::Preparing | At::Working),
            Change::Ask => !unclaimed && !matches!(state, At::WaitingForApproval),
            Change::Propose => !unclaimed && !matches!(state, At::WaitingForUser),
            // Any worker may be lost, and what stands still may be taken up or ended.
            Change::Claim
            | Change::StandStill(_)
            | Change::End(Outcome::Cancelled | Outcome::Failed { .. } | Outcome::Refused { .. }) => {
                true
            }
            // Without a worker nothing is made that could be a result.
            Change::Work | Change::End(_) => !unclaimed,
        };
    if !possible {
        return Err(NotPossible::new(state, change.verb()));
    }
    Ok(match change {
        Change::Offer => At::Queued,
        Change::Claim => At::Preparing,
        Change::Work => At::Working,
        Change::Ask => At::WaitingForUser,
        Change::Propose => At::WaitingForApproval,
        Change::StandStill(reason) => At::Suspended { reason },
        Change::End(outcome) => At::Done { outcome },
    })
}

/// Whether a person may have their wish of an attempt that stands there.
///
/// # Errors
///
/// [`NotPossible`], with what is possible instead.
pub fn allows(state: &AttemptState, wish: Wish) -> Result<(), NotPossible> {
    use AttemptState as At;
    let done = matches!(state, At::Done { .. });
    let possible = match wish {
        // What is said to one that stands still is kept until it goes on. To resume one at work
        // takes back a pause that it has not come to.
        Wish::Steer | Wish::Message | Wish::Cancel | Wish::Resume | Wish::RaiseBudget => !done,
        Wish::Answer => matches!(state, At::WaitingForUser),
        Wish::Approve => matches!(state, At::WaitingForApproval),
        Wish::Pause => !done && !matches!(state, At::Suspended { .. }),
        Wish::Retry | Wish::FollowUp | Wish::Fork | Wish::Choose => done,
    };
    if possible { Ok(()) } else { Err(NotPossible::new(state, wish.verb())) }
}

/// The state of a task: that of the attempt of its newest turn that most needs a person; where all
/// have ended, that of the chosen one, else of the first. `None` where there are no attempts.
pub fn of_task(attempts: &[Attempt], chosen: Option<AttemptId>) -> Option<&AttemptState> {
    attempts
        .iter()
        .min_by_key(|attempt| {
            (attempt.state.urgency(), Some(attempt.id) != chosen, attempt.ordinal)
        })
        .map(|attempt| &attempt.state)
}
