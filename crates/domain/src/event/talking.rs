//! What the model is asked and says, and what people say to it.

use serde::{Deserialize, Serialize};

use crate::budget::{MicroDollars, Spent};
use crate::ids::{CallId, Sha256};
use crate::transcript::{Part, Reply};

/// See [`super::EventBody::ModelRequested`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRequested {
    /// The model, as the catalogue names it.
    pub model: String,
    /// The window it belongs to, from 1.
    pub window: u32,
    /// Items in the list.
    pub items: u32,
    /// SHA-256 of instructions and tools, so that a change of either shows.
    pub preamble: Sha256,
}

/// See [`super::EventBody::ModelReplied`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReplied {
    /// The reply.
    pub reply: Reply,
    /// From request to complete reply.
    pub ms: u64,
    /// What it cost, where the price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<MicroDollars>,
    /// The model that answered in place of the one that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<StandIn>,
}

/// A model that answers in place of the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandIn {
    /// The model, as the catalogue names it.
    pub model: String,
    /// Why, for the person.
    pub why: String,
}

/// See [`super::EventBody::ToolAnswered`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolAnswered {
    /// The call it answers.
    pub call_id: CallId,
    /// What the model is shown.
    pub parts: Vec<Part>,
    /// Whether the tool did what it was asked. A command that returned 1 did.
    pub ok: bool,
}

/// See [`super::EventBody::PlanUpdated`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanUpdated {
    /// Why it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Its steps.
    pub steps: Vec<PlanStep>,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What is to be done.
    pub step: String,
    /// How far it is.
    pub status: PlanStatus,
}

/// How far a step of a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Not begun.
    Pending,
    /// Being done.
    InProgress,
    /// Done.
    Completed,
}

/// Something a person said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Its number among the task's inputs: each is applied once.
    pub input: u64,
    /// The words.
    pub text: String,
}

/// See [`super::EventBody::Compacted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compacted {
    /// The window that opens, from 2.
    pub window: u32,
    /// What its first message says: the request, the summary, plan, files, chunks, and the
    /// instructions in force.
    pub text: String,
    /// What making the summary used and cost, as its reply is no item of the list.
    #[serde(default)]
    pub spent: Spent,
    /// The model that made it, as the catalogue names it; empty where none was asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
}
