//! Notices when the loop goes round in circles.
//!
//! Three patterns count: one call with one result four times in a row; one error three times in
//! a row; two calls taking turns three times. Waiting is none of them: a command that runs, or
//! that succeeded in silence. The first time the model is told, as most recover at a word; the
//! second time the attempt ends. Anything new said to the model starts the count anew.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use quire_domain::transcript::{Part, ToolCall};

use crate::observation::without_header;

/// A pattern that does not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circle {
    /// The same call with the same result.
    SameResult,
    /// The same error.
    SameError,
    /// Two calls that take turns.
    Alternating,
}

impl Circle {
    /// What it is, for a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::SameResult => "the same call gave the same result four times in a row",
            Self::SameError => "the same error came three times in a row",
            Self::Alternating => "two calls took turns three times without anything new",
        }
    }

    /// What the model is told the first time.
    pub fn note(self) -> String {
        format!(
            "Note: {}. Try something else; if it comes to that again, the attempt is ended as \
             stuck.",
            self.words()
        )
    }
}

/// What a step came to, so that it can be compared: two hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    step: u64,
    error: Option<u64>,
}

impl Trace {
    /// Of a call and its answer. `None` for what may be repeated without limit: waiting.
    pub fn of(call: &ToolCall, parts: &[Part], ok: bool) -> Option<Self> {
        let text = match parts.first() {
            Some(Part::Text { text }) => text.as_str(),
            Some(Part::Image { .. }) | None => "",
        };
        let (text, waiting) = without_header(text);
        if waiting {
            return None;
        }
        let hash = |value: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            value(&mut hasher);
            hasher.finish()
        };
        Some(Self {
            step: hash(&|hasher| (&call.name, call.input.as_str(), text).hash(hasher)),
            error: (!ok).then(|| hash(&|hasher| text.hash(hasher))),
        })
    }
}

/// The last few steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Circles {
    last: VecDeque<Trace>,
    told: bool,
    /// Whether the model has replied since it was told.
    heard: bool,
    found: Option<Circle>,
}

impl Circles {
    /// The circle that `trace` would close, were it noted now.
    pub fn closed_by(&self, trace: Trace) -> Option<Circle> {
        let back = |n: usize| self.last.len().checked_sub(n).map(|at| self.last[at]);
        let same = |n: usize| back(n).is_some_and(|old| old.step == trace.step);
        let same_error = |n: usize| back(n).is_some_and(|old| old.error == trace.error);
        if trace.error.is_some() && (1..=2).all(same_error) {
            Some(Circle::SameError)
        } else if (1..=3).all(same) {
            Some(Circle::SameResult)
        } else {
            let other = back(1).filter(|other| other.step != trace.step)?;
            let others = [3, 5].iter().all(|n| back(*n).is_some_and(|o| o.step == other.step));
            (others && same(2) && same(4)).then_some(Circle::Alternating)
        }
    }

    /// What the model is to be told beside this step's result, if anything.
    pub fn note_for(&self, trace: Trace) -> Option<String> {
        self.closed_by(trace).filter(|_| !self.told).map(Circle::note)
    }

    /// Notes a step.
    pub fn push(&mut self, trace: Trace) {
        let closed = self.closed_by(trace);
        if closed.is_some() && !self.told {
            self.told = true;
            self.last.clear();
            return;
        }
        if closed.is_some() && !self.heard {
            // Further calls of the reply that the note answers: the model could not know.
            self.last.clear();
            return;
        }
        self.found = self.found.or(closed);
        if self.last.len() == 5 {
            self.last.pop_front();
        }
        self.last.push_back(trace);
    }

    /// The model replied: it has read what it was told.
    pub fn new_reply(&mut self) {
        self.heard = self.told;
    }

    /// Starts anew: something was said that may help.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The circle the model went on with after it was told.
    pub fn found(&self) -> Option<Circle> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quire_domain::ids::CallId;
    use quire_domain::transcript::ToolInput;

    fn trace(step: &str) -> Option<Trace> {
        let (name, result) = step.split_at(1);
        let call = ToolCall {
            id: CallId("c".to_owned()),
            name: name.to_owned(),
            input: ToolInput::Json(String::new()),
        };
        Trace::of(&call, &[Part::text(result)], !result.starts_with('!'))
    }

    /// Runs steps; says after which one the model is told, and after which one it ends.
    fn course(steps: &str) -> (Option<usize>, Option<usize>) {
        let mut circles = Circles::default();
        let (mut told, mut ended) = (None, None);
        for (at, step) in steps.split(' ').enumerate() {
            let Some(trace) = trace(step) else { continue };
            if circles.note_for(trace).is_some() {
                told = told.or(Some(at + 1));
            }
            circles.push(trace);
            circles.new_reply();
            if circles.found().is_some() {
                ended = ended.or(Some(at + 1));
            }
        }
        (told, ended)
    }

    #[test]
    fn a_circle_is_told_once_and_then_ends_the_attempt() {
        for (steps, expected) in [
            ("a1 a1 a1", (None, None)),
            ("a1 a1 a1 a1", (Some(4), None)),
            ("a1 a1 a1 a1 b1 a1 a1 a1 a1", (Some(4), Some(9))),
            ("a1 a2 a3 a4 a5", (None, None)),
            ("a!x b!x c!x", (Some(3), None)),
            ("a!x b!y c!x d!y", (None, None)),
            ("a!x b!x c!x d!x e!x f!x", (Some(3), Some(6))),
            ("a1 b1 a1 b1 a1", (None, None)),
            ("a1 b1 a1 b1 a1 b1", (Some(6), None)),
            ("a1 b1 a1 b2 a1 b3 a1 b4", (None, None)),
            ("a1 b1 a1 b1 a1 b1 c1 a1 b1 a1 b1 a1 b1", (Some(6), Some(13))),
        ] {
            assert_eq!(course(steps), expected, "{steps}");
        }
    }

    #[test]
    fn many_calls_of_one_reply_do_not_end_it_before_the_model_was_told() {
        let mut circles = Circles::default();
        for _ in 0..20 {
            circles.push(trace("a!x").unwrap());
        }
        assert_eq!(circles.found(), None);
        circles.new_reply();
        for _ in 0..3 {
            circles.push(trace("a!x").unwrap());
        }
        assert_eq!(circles.found(), Some(Circle::SameError));
    }

    #[test]
    fn waiting_for_a_running_command_is_no_circle() {
        let call = ToolCall {
            id: CallId("c".to_owned()),
            name: "write_stdin".to_owned(),
            input: ToolInput::Json("{}".to_owned()),
        };
        let text = "[3f9a2c] running · 9 s · no output so far · session 3f9a2c";
        assert_eq!(Trace::of(&call, &[Part::text(text)], true), None);
    }
}
