//! Sums up before the model's window is full.

use quire_domain::attempt::FailureKind;

use crate::next_step::{Limits, Step};
use crate::transcript::Transcript;

/// See the file's first line.
pub fn rule(transcript: &Transcript, limits: &Limits) -> Option<Step> {
    if transcript.tokens() < room(limits) {
        return None;
    }
    if transcript.replies_in_window() > 0 {
        return Some(Step::Compact);
    }
    // A window that is full before the first reply would be full again after summing up.
    Some(Step::Fail {
        kind: FailureKind::ContextTooLong,
        detail: format!(
            "the request and its instructions alone are about {} tokens; the model's window \
             holds {}",
            transcript.tokens(),
            limits.window_tokens
        ),
    })
}

/// Tokens that the list may hold: the window without a reply's worth of output and a twentieth
/// for what the estimate misses (instructions, tools, a long result).
fn room(limits: &Limits) -> u64 {
    let output = limits.max_output_tokens.min(limits.window_tokens / 4);
    limits.window_tokens.saturating_sub(output).saturating_sub(limits.window_tokens / 20)
}
