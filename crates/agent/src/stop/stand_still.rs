//! Stands still when a person or a quota asks for it.

use crate::next_step::{Limits, Step};
use crate::transcript::Transcript;

/// See the file's first line.
pub fn rule(_: &Transcript, limits: &Limits) -> Option<Step> {
    limits.stand_still.map(Step::Suspend)
}
