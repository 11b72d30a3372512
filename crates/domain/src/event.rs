//! Events: what happened in an attempt, appended to its log and never changed.
//!
//! The log is the truth. What a kind's fields mean never changes; a field may be added if absent
//! means what it meant before. Kinds that a reader does not know are kept and shown raw.

mod asking;
mod finishing;
mod network;
mod preparing;
mod standing;
mod talking;
mod working;

use serde::{Deserialize, Serialize};

pub use self::asking::{Awaits, Choice, PlanApproved, QuestionAsked, Waiting};
pub use self::finishing::{
    Answered, CheckFinished, CommitBy, Committed, Fault, Finished, GateFailed,
};
pub use self::network::Egress;
pub use self::preparing::{
    BaseCaptured, Claimed, InstructionFile, InstructionsAt, InstructionsLoaded, Phase,
    PhaseFinished, PhaseStarted, Submitted,
};
pub use self::standing::{
    Checkpointed, Interrupted, InterruptedWhat, Restored, Resumed, Suspended,
};
pub use self::talking::{
    Compacted, ModelReplied, ModelRequested, PlanStatus, PlanStep, PlanUpdated, Said, StandIn,
    ToolAnswered,
};
pub use self::working::{
    CommandFinished, CommandPurpose, CommandStarted, EndedBy, FileChangeKind, FileTouched,
    FileViewed, FilesChanged, PatchApplied, PatchRejected,
};
use crate::citation::CheckedCitation;
use crate::ids::{Epoch, Seq, Sha256};
use crate::time::Timestamp;

/// One entry of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place.
    pub seq: Seq,
    /// When it was written down.
    pub at: Timestamp,
    /// Under which claim.
    pub epoch: Epoch,
    /// What happened.
    pub body: EventBody,
    /// Hash of the entry before; all zeros for the first.
    pub prev_hash: Sha256,
    /// SHA-256 of `prev_hash` (as 64 ASCII digits) followed by the RFC 8785 form of the entry's
    /// other fields.
    pub hash: Sha256,
}

/// What happened. Serialised as `{"kind": …, "body": {…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "the large one comes once in a log")]
pub enum EventBody {
    /// The request as it was accepted. Always first.
    Submitted(Submitted),
    /// A worker took the attempt.
    Claimed(Claimed),
    /// What it works on is fixed.
    BaseCaptured(BaseCaptured),
    /// A phase of preparing or collecting began.
    PhaseStarted(PhaseStarted),
    /// It ended.
    PhaseFinished(PhaseFinished),
    /// Instruction files were read and are part of what the model is told from here on.
    InstructionsLoaded(InstructionsLoaded),
    /// A request to the model is about to leave.
    ModelRequested(ModelRequested),
    /// Its complete reply.
    ModelReplied(ModelReplied),
    /// A command is about to start.
    CommandStarted(CommandStarted),
    /// It ended.
    CommandFinished(CommandFinished),
    /// A tool call's result, as the model is shown it.
    ToolAnswered(ToolAnswered),
    /// A patch was applied, whole.
    PatchApplied(PatchApplied),
    /// A patch changed nothing.
    PatchRejected(PatchRejected),
    /// The model's plan changed.
    PlanUpdated(PlanUpdated),
    /// The model looked at a picture.
    FileViewed(FileViewed),
    /// A step changed files outside of `apply_patch`.
    FilesChanged(FilesChanged),
    /// A connection was allowed.
    EgressAllowed(Egress),
    /// A connection was refused.
    EgressDenied(Egress),
    /// A person said something, told to the model at its next call.
    Steered(Said),
    /// A person said something, told to the model after its turn.
    MessageReceived(Said),
    /// The model asked the person.
    QuestionAsked(QuestionAsked),
    /// The person answered; the number is 0 where nobody did in time, and the words are ours.
    QuestionAnswered(Said),
    /// The person approved the plan.
    PlanApproved(PlanApproved),
    /// The person wants another plan, and says why.
    PlanRejected(Said),
    /// It waits for a person, and holds no worker meanwhile.
    Waiting(Waiting),
    /// What was said is summed up and a new window opens.
    Compacted(Compacted),
    /// The working tree was put away.
    Checkpointed(Checkpointed),
    /// The working tree was brought back.
    Restored(Restored),
    /// The model said it was done and the system did not agree.
    GateFailed(GateFailed),
    /// A declared check ran.
    CheckFinished(CheckFinished),
    /// A commit was found or made.
    Committed(Committed),
    /// A citation of the answer was looked at.
    Cited(CheckedCitation),
    /// The answer, as the person reads it.
    Answered(Answered),
    /// Something was cut off by the end of a worker.
    Interrupted(Interrupted),
    /// It stands still.
    Suspended(Suspended),
    /// It goes on.
    Resumed(Resumed),
    /// It ended. Always last.
    Finished(Finished),
    /// A kind this version does not know.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

impl EventBody {
    /// The kind's name, as stored.
    pub fn kind(&self) -> &str {
        match self {
            Self::Submitted(_) => "submitted",
            Self::Claimed(_) => "claimed",
            Self::BaseCaptured(_) => "base_captured",
            Self::PhaseStarted(_) => "phase_started",
            Self::PhaseFinished(_) => "phase_finished",
            Self::InstructionsLoaded(_) => "instructions_loaded",
            Self::ModelRequested(_) => "model_requested",
            Self::ModelReplied(_) => "model_replied",
            Self::CommandStarted(_) => "command_started",
            Self::CommandFinished(_) => "command_finished",
            Self::ToolAnswered(_) => "tool_answered",
            Self::PatchApplied(_) => "patch_applied",
            Self::PatchRejected(_) => "patch_rejected",
            Self::PlanUpdated(_) => "plan_updated",
            Self::FileViewed(_) => "file_viewed",
            Self::FilesChanged(_) => "files_changed",
            Self::EgressAllowed(_) => "egress_allowed",
            Self::EgressDenied(_) => "egress_denied",
            Self::Steered(_) => "steered",
            Self::MessageReceived(_) => "message_received",
            Self::QuestionAsked(_) => "question_asked",
            Self::QuestionAnswered(_) => "question_answered",
            Self::PlanApproved(_) => "plan_approved",
            Self::PlanRejected(_) => "plan_rejected",
            Self::Waiting(_) => "waiting",
            Self::Compacted(_) => "compacted",
            Self::Checkpointed(_) => "checkpointed",
            Self::Restored(_) => "restored",
            Self::GateFailed(_) => "gate_failed",
            Self::CheckFinished(_) => "check_finished",
            Self::Committed(_) => "committed",
            Self::Cited(_) => "cited",
            Self::Answered(_) => "answered",
            Self::Interrupted(_) => "interrupted",
            Self::Suspended(_) => "suspended",
            Self::Resumed(_) => "resumed",
            Self::Finished(_) => "finished",
            Self::Unknown(value) => {
                value.get("kind").and_then(serde_json::Value::as_str).unwrap_or("unknown")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_later_version_is_kept_as_it_came() {
        let text = r#"{"kind":"dreamt","body":{"of":"sheep"}}"#;
        let body: EventBody = serde_json::from_str(text).unwrap();
        assert_eq!(body.kind(), "dreamt");
        assert_eq!(serde_json::to_string(&body).unwrap(), text);
    }

    #[test]
    fn the_kind_in_the_text_is_the_kind_by_name() {
        let body = EventBody::PhaseStarted(PhaseStarted { phase: Phase::Sandbox });
        let text = serde_json::to_string(&body).unwrap();
        assert_eq!(text, r#"{"kind":"phase_started","body":{"phase":"sandbox"}}"#);
        assert_eq!(serde_json::from_str::<EventBody>(&text).unwrap(), body);
    }
}
