//! What may be read from a transcript.

use quire_domain::attempt::SuspendReason;
use quire_domain::budget::Spent;
use quire_domain::event::PlanStep;
use quire_domain::ids::ChunkId;
use quire_domain::task::Request;
use quire_domain::transcript::{Item, Part, ToolCall};

use super::{Commands, GateRecord, Person, Stands, Transcript};
use crate::stuck::{Circles, Trace};

impl Transcript {
    /// What is sent to the model.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The request of the newest turn.
    pub fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// What persons have said since that request.
    pub fn said(&self) -> &[String] {
        &self.said
    }

    /// The window that is open, from 1.
    pub fn window(&self) -> u32 {
        self.window.max(1)
    }

    /// Replies in the open window.
    pub fn replies_in_window(&self) -> u32 {
        self.replies_in_window
    }

    /// Whether the instructions of the start were told, and the request with them.
    pub fn started(&self) -> bool {
        self.started
    }

    /// Whether a request to the model has no reply yet.
    pub fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// Calls that have no answer yet, in order.
    pub fn open_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.calls.open()
    }

    /// What the last reply left to do.
    pub fn stands(&self) -> &Stands {
        &self.stands
    }

    /// Replies in a row that ran into the output limit.
    pub fn cut_replies(&self) -> u32 {
        self.cut_replies
    }

    /// The plan.
    pub fn plan(&self) -> &[PlanStep] {
        &self.plan
    }

    /// What this attempt has spent, all its runs together.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Model calls since it was submitted or last told to go on.
    pub fn calls_since_resumed(&self) -> u32 {
        self.calls_since_resumed
    }

    /// What the gate has done so far.
    pub fn gate(&self) -> GateRecord {
        self.gate
    }

    /// Whether an instruction file was shown to the model, by its path.
    pub fn was_shown(&self, path: &str) -> bool {
        self.shown.contains(path)
    }

    /// The instructions in force, as they were shown.
    pub fn instruction_texts(&self) -> &[String] {
        &self.instruction_texts
    }

    /// The commands of the task so far.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// Files that were changed.
    pub fn changed_files(&self) -> impl Iterator<Item = &str> {
        self.changed_files.iter().map(String::as_str)
    }

    /// What is to be told beside the result of this call, as the loop goes round in circles.
    pub fn note_for(&self, call: &ToolCall, parts: &[Part], ok: bool) -> Option<String> {
        self.circles.note_for(Trace::of(call, parts, ok)?)
    }

    /// The steps, as far as they are looked at for circles.
    pub fn circles(&self) -> &Circles {
        &self.circles
    }

    /// Tokens that the next request will hold, estimated.
    pub fn tokens(&self) -> u64 {
        self.weight.tokens()
    }

    /// The number of the last steering word that was told.
    pub fn last_steer(&self) -> u64 {
        self.last_steer
    }

    /// The number of the last message that was told.
    pub fn last_message(&self) -> u64 {
        self.last_message
    }

    /// What is asked of a person.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// Why it stands still, if it does.
    pub fn suspended(&self) -> Option<SuspendReason> {
        self.suspended
    }

    /// Whether a command ended before the last change, so that what it printed may no longer
    /// hold. `None` if the attempt has no such command.
    pub fn is_stale(&self, chunk: &ChunkId) -> Option<bool> {
        self.commands.get(chunk).map(|record| self.commands.is_stale(record))
    }
}
