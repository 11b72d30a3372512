//! What a person is asked, and whether a word of theirs is waited for.

use quire_domain::event::{Awaits, QuestionAsked, Waiting};
use quire_domain::task::{Mode, Request};

/// What is asked of a person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Person {
    question: Option<QuestionAsked>,
    plan: Plan,
    /// Inputs above this number may be what is waited for; `None` until the log says that it waits.
    after: Option<u64>,
}

/// Where the plan of a turn stands that ends in one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Plan {
    #[default]
    None,
    Offered,
    Approved,
}

impl Person {
    /// What is waited for.
    pub fn awaits(&self) -> Option<Awaits> {
        match (&self.question, self.plan) {
            (Some(_), _) => Some(Awaits::Answer),
            (None, Plan::Offered) => Some(Awaits::Approval),
            (None, Plan::None | Plan::Approved) => None,
        }
    }

    /// The question that has no answer yet.
    pub fn question(&self) -> Option<&QuestionAsked> {
        self.question.as_ref()
    }

    /// Whether the plan was approved: nothing more is to be done in this turn.
    pub fn has_approved(&self) -> bool {
        self.plan == Plan::Approved
    }

    /// The number that the input has to be above that ends the waiting; `None` where nobody can
    /// have said anything yet, as nobody was told that they are waited for.
    pub fn after(&self) -> Option<u64> {
        self.after
    }

    pub(super) fn asked(&mut self, question: &QuestionAsked) {
        self.question = Some(question.clone());
        self.after = None;
    }

    /// An answer of the model was accepted: in a turn that ends in a plan, it is offered.
    pub(super) fn answered(&mut self, request: Option<&Request>) {
        if request.is_some_and(|request| request.mode == Mode::Plan) {
            self.plan = Plan::Offered;
            self.after = None;
        }
    }

    pub(super) fn approved(&mut self) {
        self.plan = Plan::Approved;
        self.after = None;
    }

    /// Where it waits on after it was looked at, what was said in between still counts.
    pub(super) fn waits(&mut self, waiting: &Waiting) {
        self.after.get_or_insert(waiting.after);
    }

    pub(super) fn take_question(&mut self) -> Option<QuestionAsked> {
        let question = self.question.take()?;
        self.after = None;
        Some(question)
    }

    /// A person said something that is no answer: what was offered is to be thought over.
    pub(super) fn heard(&mut self) {
        if self.plan == Plan::Offered {
            self.plan = Plan::None;
            self.after = None;
        }
    }
}
