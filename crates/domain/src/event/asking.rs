//! What is asked of a person, and that it is waited for.

use serde::{Deserialize, Serialize};

use crate::ids::CallId;

/// See [`super::EventBody::QuestionAsked`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionAsked {
    /// The call, which the answer answers.
    pub call_id: CallId,
    /// The question.
    pub question: String,
    /// What the person may choose from, beside words of their own; none, or 2 to 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// One of the answers that a question offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// A few words.
    pub label: String,
    /// What follows from it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// See [`super::EventBody::PlanApproved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanApproved {
    /// Its number among the task's inputs.
    pub input: u64,
    /// The plan as the person edited it; absent where it was approved as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// See [`super::EventBody::Waiting`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What for.
    pub awaits: Awaits,
    /// The newest input of the task by then: only a later one can be what it waits for.
    #[serde(default)]
    pub after: u64,
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaits {
    /// The answer to its question.
    Answer,
    /// A word on its plan.
    Approval,
}
