//! Stands still at a limit of the turn's budget: a person may raise it, and it goes on.

use quire_domain::attempt::SuspendReason;

use crate::next_step::{Limits, Step};
use crate::transcript::Transcript;

/// See the file's first line.
pub fn rule(_: &Transcript, limits: &Limits) -> Option<Step> {
    limits.budget.map(|limit| Step::Suspend(SuspendReason::Budget { limit }))
}
