//! Events: what happened in an attempt, appended to its log and never changed.
//!
//! The log is the truth. What a kind's fields mean never changes; a field may be added if absent
//! means what it meant before. Kinds that a reader does not know are kept and shown raw.

use serde::{Deserialize, Serialize};

use crate::attempt::{DiffStat, Outcome, SuspendReason};
use crate::budget::{MicroDollars, Spent};
use crate::citation::CheckedCitation;
use crate::environment::CheckSpec;
use crate::ids::{CallId, ChunkId, CommitId, Epoch, Seq, Sha256};
use crate::journal::ChunkSummary;
use crate::sandbox::ExitStatus;
use crate::task::{Continues, Image, Request};
use crate::time::Timestamp;
use crate::transcript::{Part, Reply};

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
    /// The person answered.
    QuestionAnswered(Said),
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

/// See [`EventBody::Submitted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submitted {
    /// What was asked for.
    pub request: Request,
    /// The attempt's place in its turn, from 1.
    pub ordinal: u8,
    /// What it goes on from, in a follow-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continues>,
}

/// See [`EventBody::Claimed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// The worker's name.
    pub worker: String,
    /// Its version of Quire.
    pub version: String,
}

/// See [`EventBody::BaseCaptured`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseCaptured {
    /// The commit the attempt starts on; its diff is against this one.
    pub base: CommitId,
    /// The commit that was checked out or named; differs from `base` where uncommitted work was
    /// put into a commit of Quire's own.
    pub head: CommitId,
    /// The branch, if one is checked out or named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Files of uncommitted work in `base`.
    #[serde(default)]
    pub uncommitted: u32,
    /// Where the repository lies inside the sandbox.
    pub workspace: String,
    /// What the root of its sandboxes is made of, where that is not the host's: an image's or a
    /// tar's digest. What goes on from this attempt stands on the same, whatever the name stands
    /// for by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The key of the snapshot that its environment calls for, where something is to be set up:
    /// repeating its commands stands on the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// What of the host is shown beside it, and the cache's word, each a line for the person.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The phases around the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The repository's commits are fetched and its base is found.
    Repository,
    /// The checkout layer is made.
    Checkout,
    /// The base image is brought.
    Image,
    /// The environment's setup runs.
    Setup,
    /// The environment's services are started.
    Services,
    /// The sandbox is made.
    Sandbox,
    /// Declared checks run.
    Checks,
    /// The working tree is put away.
    Checkpoint,
    /// The result is taken out.
    Collect,
}

impl Phase {
    /// The word shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Checkout => "checkout",
            Self::Image => "image",
            Self::Setup => "setup",
            Self::Services => "services",
            Self::Sandbox => "sandbox",
            Self::Checks => "checks",
            Self::Checkpoint => "checkpoint",
            Self::Collect => "collect",
        }
    }
}

/// See [`EventBody::PhaseStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseStarted {
    /// Which.
    pub phase: Phase,
}

/// See [`EventBody::PhaseFinished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseFinished {
    /// Which.
    pub phase: Phase,
    /// How long it took.
    pub ms: u64,
    /// What came of it, e.g. `cache hit`; a line for the person.
    pub detail: String,
    /// Whether it failed.
    #[serde(default)]
    pub failed: bool,
}

/// See [`EventBody::InstructionsLoaded`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstructionsLoaded {
    /// At the start, or on first touch.
    pub at: InstructionsAt,
    /// The files, in the order they are shown.
    pub files: Vec<InstructionFile>,
    /// The text as the model is shown it.
    pub text: String,
}

/// When instruction files were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstructionsAt {
    /// Before the first request: a message of its own.
    Start,
    /// When a step first touched something under them: added to the result of this call.
    Call(CallId),
}

/// An instruction file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstructionFile {
    /// Relative to the repository, or absolute for those outside.
    pub path: String,
    /// The directory it holds for, relative to the repository (`""` is its root); `None` for one
    /// that holds everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// How much of it is shown: less than `bytes` where the budget cut it.
    pub shown_bytes: u64,
}

/// See [`EventBody::ModelRequested`].
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

/// See [`EventBody::ModelReplied`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReplied {
    /// The reply.
    pub reply: Reply,
    /// From request to complete reply.
    pub ms: u64,
    /// What it cost, where the price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<MicroDollars>,
}

/// Why a command runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandPurpose {
    /// The model called it.
    Call(CallId),
    /// A declared check.
    Check(String),
    /// The environment's setup.
    Setup,
    /// A service of the environment, by its name.
    Service(String),
}

/// See [`EventBody::CommandStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandStarted {
    /// Where its output goes.
    pub chunk: ChunkId,
    /// Why it runs.
    pub purpose: CommandPurpose,
    /// What `bash -c` is given.
    pub command: String,
    /// Where, inside.
    pub workdir: String,
    /// Whether it has a terminal.
    #[serde(default)]
    pub terminal: bool,
}

/// See [`EventBody::CommandFinished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandFinished {
    /// Its output.
    pub chunk: ChunkSummary,
    /// How it ended.
    pub exit: ExitStatus,
    /// How long it ran.
    pub ms: u64,
    /// Why it was ended, if it did not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
}

/// Who ended a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// Its time limit.
    Timeout,
    /// The model, by a signal or a closed terminal.
    Model,
    /// The end of the attempt.
    AttemptEnd,
    /// The death of the sandbox or of a worker.
    SandboxGone,
    /// The limit of time in which nothing happened in the sandbox.
    Idle,
}

/// See [`EventBody::ToolAnswered`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolAnswered {
    /// The call it answers.
    pub call_id: CallId,
    /// What the model is shown.
    pub parts: Vec<Part>,
    /// Whether the tool did what it was asked. A command that returned 1 did.
    pub ok: bool,
}

/// What was done to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTouched {
    /// Which.
    pub path: String,
    /// Where it was before, if it was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Added, changed or removed.
    pub change: FileChangeKind,
    /// Lines added.
    #[serde(default)]
    pub added: u32,
    /// Lines removed.
    #[serde(default)]
    pub removed: u32,
}

/// Added, changed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChangeKind {
    /// It was not there.
    Added,
    /// Its content (or place) changed.
    Changed,
    /// It is gone.
    Removed,
}

/// See [`EventBody::PatchApplied`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatchApplied {
    /// The call.
    pub call_id: CallId,
    /// What it did.
    pub files: Vec<FileTouched>,
}

/// See [`EventBody::PatchRejected`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatchRejected {
    /// The call.
    pub call_id: CallId,
    /// Why, as told to the model.
    pub reason: String,
}

/// See [`EventBody::PlanUpdated`].
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

/// See [`EventBody::FileViewed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileViewed {
    /// The call.
    pub call_id: CallId,
    /// The file.
    pub path: String,
    /// The picture as it was then.
    pub image: Image,
}

/// See [`EventBody::FilesChanged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilesChanged {
    /// The last call of the step that changed them.
    pub call_id: CallId,
    /// Which, relative to the repository; at most 200.
    pub paths: Vec<String>,
    /// Whether there were more.
    #[serde(default)]
    pub more: bool,
}

/// See [`EventBody::EgressAllowed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Egress {
    /// Host and port.
    pub host: String,
    /// The method, where it is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The rule that decided; of a denied one, the line that would allow it, or why none can.
    pub rule: String,
    /// The path, without its query, where it is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why it was denied: a word of the proxy's, e.g. `no_rule`, `private_address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes that went out.
    #[serde(default)]
    pub sent: u64,
    /// Bytes that came in.
    #[serde(default)]
    pub received: u64,
    /// How long it was open, in milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// The command that made it, by its chunk, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<ChunkId>,
    /// How many like it (same host, method, rule, command) this stands for, itself included.
    #[serde(default = "one")]
    pub times: u64,
}

fn one() -> u64 {
    1
}

/// Something a person said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Its number among the task's inputs: each is applied once.
    pub input: u64,
    /// The words.
    pub text: String,
}

/// See [`EventBody::QuestionAsked`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionAsked {
    /// The call.
    pub call_id: CallId,
    /// The question.
    pub question: String,
}

/// See [`EventBody::Compacted`].
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
}

/// See [`EventBody::Checkpointed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpointed {
    /// A commit with the whole working tree; its parent is the one that was checked out.
    pub commit: CommitId,
    /// How much of it was new, packed.
    pub bytes: u64,
    /// How long it took.
    pub ms: u64,
    /// Files that are not in it as they stand, too large or unreadable; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// How many more there are of them.
    #[serde(default)]
    pub more: u32,
}

/// See [`EventBody::Restored`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// From what the event with this number put away; 0 from a commit.
    pub from: Seq,
    /// What is gone, as told to the model.
    pub text: String,
}

/// See [`EventBody::GateFailed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateFailed {
    /// How often it has failed, this time included.
    pub round: u32,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What the model is told; absent where the faults are only shown to the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Something that is not as it should be at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// A command that the model started still runs.
    CommandRuns {
        /// Its output.
        chunk: ChunkId,
        /// What it is.
        command: String,
    },
    /// Files are changed and not committed, or not ignored and untracked.
    Dirty {
        /// Which; at most 50.
        paths: Vec<String>,
    },
    /// The result cannot be taken out: `.git` is gone or another one, or a commit holds what is
    /// refused.
    ResultUnusable {
        /// What is wrong.
        why: String,
    },
    /// Repositories that were made inside the working tree: a commit takes of each only a link to
    /// another commit, and none of its files.
    NestedRepository {
        /// Their directories; at most 50.
        paths: Vec<String>,
    },
    /// Another branch is checked out than at the start.
    BranchChanged {
        /// The one at the start.
        expected: String,
        /// The one now.
        found: String,
    },
    /// The base is no longer an ancestor of the head.
    HistoryRewritten,
    /// Files were changed whose instructions the model was never shown.
    InstructionsUnseen {
        /// The instruction files.
        files: Vec<String>,
    },
    /// A citation leads nowhere.
    BadCitation {
        /// As written.
        citation: String,
        /// Why it was rejected.
        why: String,
    },
    /// A test result was cited from before the last change.
    StaleCitation {
        /// As written.
        citation: String,
    },
    /// Instructions name commands that were not run after the last change.
    ChecksNotRun {
        /// The commands.
        commands: Vec<String>,
    },
    /// A declared check failed.
    CheckFailed {
        /// Its name.
        name: String,
        /// Its output.
        chunk: ChunkId,
    },
    /// The reply was empty.
    EmptyAnswer,
}

/// See [`EventBody::CheckFinished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckFinished {
    /// The check.
    pub check: CheckSpec,
    /// The commit it ran on.
    pub commit: CommitId,
    /// Its output.
    pub chunk: ChunkId,
    /// How it ended; `None` at its time limit.
    pub exit: Option<ExitStatus>,
    /// How long it ran.
    pub ms: u64,
    /// Files of the change that the check's own result hangs on: tests, its own configuration.
    #[serde(default)]
    pub touched_tests: Vec<String>,
}

/// See [`EventBody::Committed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// The commit.
    pub commit: CommitId,
    /// By the agent, or by the system from what was left uncommitted.
    pub by: CommitBy,
    /// Its first line.
    pub subject: String,
}

/// Who made a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitBy {
    /// The agent, inside.
    Agent,
    /// The system, of what was left.
    System,
}

/// See [`EventBody::Answered`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The answer, with citations in their stored form.
    pub text: String,
    /// What remained wrong when it was accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// See [`EventBody::Interrupted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interrupted {
    /// What was cut off.
    pub what: InterruptedWhat,
}

/// What was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterruptedWhat {
    /// A request to the model: it is asked again.
    ModelRequest,
    /// A command: it is not run again.
    Command(ChunkId),
    /// The attempt, by a person; what was done is partial.
    ByPerson,
    /// What ran in the sandbox while nothing happened there; the attempt goes on.
    Idle {
        /// For how long.
        minutes: u64,
    },
}

/// See [`EventBody::Suspended`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspended {
    /// Why.
    pub reason: SuspendReason,
}

/// See [`EventBody::Resumed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// A budget that replaces the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<crate::budget::Budget>,
}

/// See [`EventBody::Finished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// What it cost in all.
    pub spent: Spent,
    /// The size of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_stat: Option<DiffStat>,
    /// The last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<CommitId>,
    /// Whether work was cut short.
    #[serde(default)]
    pub partial: bool,
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
