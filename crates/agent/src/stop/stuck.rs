//! Ends an attempt that goes round in circles although it was told.

use quire_domain::attempt::FailureKind;

use crate::next_step::{Limits, Step};
use crate::transcript::Transcript;

/// See the file's first line.
pub fn rule(transcript: &Transcript, _: &Limits) -> Option<Step> {
    let circle = transcript.circles().found()?;
    let detail = format!("{}, also after the model was told so", circle.words());
    Some(Step::Fail { kind: FailureKind::Stuck, detail })
}
