//! What people say to a task.

use quire_domain::budget::Budget;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::state::BudgetSchema;

/// Something that a person wants of the newest turn of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewInput {
    /// The attempt that is meant, by its place in the newest turn; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16)]
    pub attempt: Option<u8>,
    /// What is wanted.
    #[serde(flatten)]
    pub wanted: Wanted,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Wanted {
    /// Says something at the next model call.
    Steer {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// Says something after the model's turn.
    Message {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// Answers its question.
    Answer {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// Has its plan carried out.
    Approve {
        /// The plan as edited, at most 1 MiB; as it is if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// Asks for another plan.
    Reject {
        /// Why, at most 1 MiB.
        text: String,
    },
    /// Lets it stand still before the next model call.
    Pause {
        /// Whether what runs then is cut off.
        #[serde(default)]
        now: bool,
    },
    /// Lets it go on.
    Resume,
    /// Ends it; what was done is kept.
    Cancel,
    /// Lets it go on under another budget, which replaces the one before.
    RaiseBudget {
        /// The new budget.
        #[schema(value_type = BudgetSchema)]
        budget: Budget,
    },
}

/// An input that was taken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputTaken {
    /// Its number among the task's inputs.
    pub input: u64,
}
