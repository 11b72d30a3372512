//! Ends an attempt whose model writes replies without end.

use quire_domain::attempt::FailureKind;

use crate::next_step::{Limits, Step};
use crate::transcript::Transcript;

/// Replies in a row that may run into the output limit. Four hold any answer a person would read.
const CUT_REPLIES: u32 = 4;

/// See the file's first line.
pub fn rule(transcript: &Transcript, _: &Limits) -> Option<Step> {
    (transcript.cut_replies() >= CUT_REPLIES).then(|| Step::Fail {
        kind: FailureKind::Stuck,
        detail: format!("{CUT_REPLIES} replies in a row ran into the model's output limit"),
    })
}
