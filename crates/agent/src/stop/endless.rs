//! Stands still after very many model calls, so that no loop is endless where the turn has no
//! budget. Going on grants as many again.

use quire_domain::attempt::SuspendReason;
use quire_domain::budget::BudgetLimit;

use crate::next_step::{Limits, Step};
use crate::transcript::Transcript;

/// See the file's first line.
pub fn rule(transcript: &Transcript, limits: &Limits) -> Option<Step> {
    let limit = BudgetLimit::ModelCalls;
    (transcript.calls_since_resumed() >= limits.model_calls)
        .then_some(Step::Suspend(SuspendReason::Budget { limit }))
}
