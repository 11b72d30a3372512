//! The transcript: a pure fold of the event log into what the model is told and what the loop
//! has to know. The same events give the same transcript, at once or one by one.

mod calls;
mod commands;
mod person;
mod reading;
mod weight;
pub mod words;

use std::collections::BTreeSet;

use quire_domain::attempt::SuspendReason;
use quire_domain::budget::Spent;
use quire_domain::event::{
    Compacted, Event, EventBody, Fault, FilesChanged, GateFailed, InstructionsAt,
    InstructionsLoaded, Interrupted, InterruptedWhat, ModelReplied, PatchApplied, PlanStep, Said,
    Submitted, ToolAnswered,
};
use quire_domain::task::Request;
use quire_domain::transcript::{Item, Message, Part, Reply, Role, StopReason, ToolCall};

use crate::stuck::{Circles, Trace};

pub use calls::OpenCalls;
pub use commands::{CommandRecord, Commands};
pub use person::Person;
pub use weight::Weight;

/// Files that are remembered as changed, for the compaction's list.
const REMEMBERED_FILES: usize = 200;

/// What the log says, as far as the loop has to know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    request: Option<Request>,
    /// Requests of turns that ended before the model was asked.
    unheard: Vec<Request>,
    items: Vec<Item>,
    /// Messages that came while calls were open: told after their results.
    held: Vec<Item>,
    /// What persons have said since the request.
    said: Vec<String>,
    window: u32,
    replies_in_window: u32,
    started: bool,
    in_flight: bool,
    calls: OpenCalls,
    stands: Stands,
    cut_replies: u32,
    plan: Vec<PlanStep>,
    spent: Spent,
    gate: GateRecord,
    shown: BTreeSet<String>,
    instruction_texts: Vec<String>,
    commands: Commands,
    changed_files: BTreeSet<String>,
    circles: Circles,
    weight: Weight,
    last_steer: u64,
    last_message: u64,
    suspended: Option<SuspendReason>,
    calls_since_resumed: u32,
    person: Person,
}

/// What the model's last reply left to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Stands {
    /// The model is to be asked.
    #[default]
    ToAsk,
    /// It made calls.
    Called,
    /// It says that it is done, with this answer.
    Done(String),
    /// The provider declined, with these words.
    Refused(String),
}

/// How often the gate has sent the model back, and over what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateRecord {
    /// Messages it has sent.
    pub rounds: u32,
    /// Whether it has asked for commands that instructions name.
    pub asked_for_commands: bool,
    /// Whether a failing declared check went back.
    pub sent_check: bool,
}

impl Transcript {
    /// The fold of a whole log.
    pub fn of(events: &[Event]) -> Self {
        let mut transcript = Self::default();
        for event in events {
            transcript.push(&event.body);
        }
        transcript
    }

    /// Takes one more event.
    pub fn push(&mut self, body: &EventBody) {
        match body {
            EventBody::Submitted(submitted) => self.submitted(submitted),
            EventBody::InstructionsLoaded(loaded) => self.instructions_loaded(loaded),
            EventBody::ModelRequested(_) => self.model_requested(),
            EventBody::ModelReplied(replied) => self.model_replied(replied),
            EventBody::CommandStarted(started) => self.commands.started(started),
            EventBody::CommandFinished(finished) => self.commands.finished(finished),
            EventBody::ToolAnswered(answered) => self.tool_answered(answered),
            EventBody::PatchApplied(applied) => self.patch_applied(applied),
            EventBody::FilesChanged(changed) => self.files_changed(changed),
            EventBody::PlanUpdated(updated) => self.plan.clone_from(&updated.steps),
            EventBody::Steered(said) => {
                self.last_steer = self.last_steer.max(said.input);
                self.person_said(&said.text);
            }
            EventBody::MessageReceived(said) => {
                self.last_message = self.last_message.max(said.input);
                self.gate = GateRecord::default();
                self.person_said(&said.text);
            }
            EventBody::QuestionAsked(question) => self.person.asked(question),
            EventBody::QuestionAnswered(said) => self.question_answered(said),
            EventBody::Answered(_) => self.person.answered(self.request.as_ref()),
            EventBody::PlanApproved(_) => self.person.approved(),
            EventBody::PlanRejected(said) => {
                self.gate = GateRecord::default();
                self.person_said(&said.text);
            }
            EventBody::Waiting(waiting) => self.person.waits(waiting),
            EventBody::Compacted(compacted) => self.compacted(compacted),
            EventBody::Restored(restored) => {
                self.commands.something_changed();
                self.tell(Role::Developer, &restored.text);
            }
            EventBody::GateFailed(failed) => self.gate_failed(failed),
            EventBody::Interrupted(interrupted) => self.interrupted(interrupted),
            EventBody::Suspended(suspended) => self.suspended = Some(suspended.reason),
            EventBody::Resumed(_) => {
                self.suspended = None;
                self.calls_since_resumed = 0;
            }
            EventBody::Claimed(_) => self.suspended = None,
            // What the loop itself does not act on.
            EventBody::BaseCaptured(_)
            | EventBody::PhaseStarted(_)
            | EventBody::PhaseFinished(_)
            | EventBody::PatchRejected(_)
            | EventBody::FileViewed(_)
            | EventBody::EgressAllowed(_)
            | EventBody::EgressDenied(_)
            | EventBody::Checkpointed(_)
            | EventBody::CheckFinished(_)
            | EventBody::Committed(_)
            | EventBody::Cited(_)
            | EventBody::Finished(_)
            | EventBody::Unknown(_) => {}
        }
    }

    fn submitted(&mut self, submitted: &Submitted) {
        self.close_calls();
        let before = self.request.replace(submitted.request.clone());
        if !self.started {
            self.unheard.extend(before);
        }
        self.said.clear();
        self.gate = GateRecord::default();
        self.spent = Spent::default();
        self.suspended = None;
        self.calls_since_resumed = 0;
        self.in_flight = false;
        self.person = Person::default();
        // Inputs are numbered by task, and this may be another one than was gone on from.
        (self.last_steer, self.last_message) = (0, 0);
        self.new_turn();
        if self.started {
            self.push_item(words::request(&submitted.request));
        }
    }

    fn instructions_loaded(&mut self, loaded: &InstructionsLoaded) {
        self.shown.extend(loaded.files.iter().map(|file| file.path.clone()));
        if !loaded.text.is_empty() {
            self.instruction_texts.push(loaded.text.clone());
        }
        match &loaded.at {
            InstructionsAt::Start if self.started => self.tell(Role::Developer, &loaded.text),
            InstructionsAt::Start => {
                self.started = true;
                self.tell(Role::Developer, &loaded.text);
                let unheard = std::mem::take(&mut self.unheard);
                for request in unheard.iter().chain(self.request.clone().as_ref()) {
                    self.push_item(words::request(request));
                }
            }
            InstructionsAt::Call(call) => {
                let part = Part::text(loaded.text.as_str());
                if self.calls.attach(&mut self.items, call, part) {
                    self.weight.text(loaded.text.len());
                } else {
                    self.tell(Role::Developer, &loaded.text);
                }
            }
        }
    }

    fn model_requested(&mut self) {
        self.close_calls();
        self.in_flight = true;
        self.stands = Stands::ToAsk;
    }

    fn model_replied(&mut self, replied: &ModelReplied) {
        let reply = &replied.reply;
        self.close_calls();
        self.in_flight = false;
        self.replies_in_window += 1;
        self.spent.usage = self.spent.usage.plus(reply.usage);
        self.spent.cost.0 += replied.cost.unwrap_or_default().0;
        self.spent.model_calls += 1;
        self.calls_since_resumed += 1;
        self.spent.wall_ms += replied.ms;
        self.commands.new_step();
        self.circles.new_reply();
        if let StopReason::Refused { words } = &reply.stop {
            // A reply that was declined is nothing to go on from.
            self.stands = Stands::Refused(words.clone());
            return;
        }
        let text = reply.text();
        let calls: Vec<ToolCall> = reply.tool_calls().cloned().collect();
        if calls.is_empty() && text.trim().is_empty() {
            // Providers do not take an empty item back.
            self.stands = Stands::Done(String::new());
            return;
        }
        self.weight.reply(reply);
        self.items.push(Item::Reply(reply.clone()));
        if !calls.is_empty() {
            self.calls.open_all(calls, self.items.len());
            self.stands = Stands::Called;
            self.cut_replies = 0;
        } else if reply.stop == StopReason::MaxTokens {
            self.cut_replies += 1;
            self.tell(Role::Developer, words::CUT_REPLY);
            self.stands = Stands::ToAsk;
        } else {
            self.cut_replies = 0;
            self.stands = Stands::Done(self.whole_answer(text));
        }
    }

    /// The answer with the pieces that were cut off before it.
    fn whole_answer(&self, last: String) -> String {
        let mut pieces = vec![last];
        let mut rest = self.items.iter().rev().skip(1);
        while let (Some(Item::Message(note)), Some(Item::Reply(reply))) = (rest.next(), rest.next())
        {
            if !words::is_cut_note(note) || !is_cut_text(reply) {
                break;
            }
            pieces.push(reply.text());
        }
        pieces.reverse();
        pieces.concat()
    }

    fn tool_answered(&mut self, answered: &ToolAnswered) {
        let Some(call) = self.calls.answer(&mut self.items, answered) else { return };
        for part in &answered.parts {
            self.weight.part(part);
        }
        if let Some(trace) = Trace::of(&call, &answered.parts, answered.ok) {
            self.circles.push(trace);
        }
        self.commands.answered(&answered.call_id);
        if self.calls.open().next().is_none() {
            self.stands = Stands::ToAsk;
            let held = std::mem::take(&mut self.held);
            self.items.extend(held);
        }
    }

    fn patch_applied(&mut self, applied: &PatchApplied) {
        self.commands.something_changed();
        for file in &applied.files {
            self.remember_file(&file.path);
        }
    }

    fn files_changed(&mut self, changed: &FilesChanged) {
        self.commands.files_changed_by(&changed.call_id);
        for path in &changed.paths {
            self.remember_file(path);
        }
    }

    fn remember_file(&mut self, path: &str) {
        if self.changed_files.len() < REMEMBERED_FILES {
            self.changed_files.insert(path.to_owned());
        }
    }

    fn compacted(&mut self, compacted: &Compacted) {
        self.close_calls();
        self.window = compacted.window;
        self.replies_in_window = 0;
        self.in_flight = false;
        self.spent.usage = self.spent.usage.plus(compacted.spent.usage);
        self.spent.cost.0 += compacted.spent.cost.0;
        self.spent.model_calls += compacted.spent.model_calls;
        self.spent.wall_ms += compacted.spent.wall_ms;
        self.items.clear();
        self.weight = Weight::default();
        self.stands = Stands::ToAsk;
        self.tell(Role::User, &compacted.text);
    }

    fn gate_failed(&mut self, failed: &GateFailed) {
        let Some(text) = &failed.text else { return };
        self.gate.rounds = self.gate.rounds.max(failed.round);
        for fault in &failed.faults {
            match fault {
                Fault::ChecksNotRun { .. } => self.gate.asked_for_commands = true,
                Fault::CheckFailed { .. } => self.gate.sent_check = true,
                _ => {}
            }
        }
        self.new_turn();
        self.tell(Role::Developer, text);
    }

    fn interrupted(&mut self, interrupted: &Interrupted) {
        match &interrupted.what {
            InterruptedWhat::ModelRequest => self.in_flight = false,
            InterruptedWhat::Command(chunk) => {
                self.commands.something_changed();
                if let Some(record) = self.commands.cut_off(chunk) {
                    let waited_for = self.open_calls().any(|call| record.is_of(&call.id));
                    let text = words::command_cut_off(&record);
                    if !waited_for {
                        self.tell(Role::Developer, &text);
                    }
                }
            }
            // Its commands say so themselves, and the next answer of a tool.
            InterruptedWhat::Idle { .. } => self.commands.something_changed(),
            InterruptedWhat::ByPerson => {
                self.in_flight = false;
                self.tell(Role::Developer, words::STOPPED_BY_PERSON);
            }
        }
    }

    /// The answer is the result of the call that asked.
    fn question_answered(&mut self, said: &Said) {
        let Some(question) = self.person.take_question() else {
            return self.person_said(&said.text);
        };
        self.tool_answered(&ToolAnswered {
            call_id: question.call_id,
            parts: vec![Part::text(words::answer(said))],
            ok: true,
        });
        self.said.push(format!("{}\n\n{}", question.question, words::answer(said)));
        self.new_turn();
    }

    fn person_said(&mut self, text: &str) {
        self.person.heard();
        self.said.push(text.to_owned());
        self.new_turn();
        self.tell(Role::User, text);
    }

    /// Something was said that the model has to answer.
    fn new_turn(&mut self) {
        self.circles.reset();
        self.cut_replies = 0;
        if self.calls.open().next().is_none() {
            self.stands = Stands::ToAsk;
        }
    }

    fn tell(&mut self, role: Role, text: &str) {
        if !text.is_empty() {
            self.push_item(Item::Message(Message { role, parts: vec![Part::text(text)] }));
        }
    }

    fn push_item(&mut self, item: Item) {
        if let Item::Message(message) = &item {
            for part in &message.parts {
                self.weight.part(part);
            }
        }
        if self.calls.open().next().is_some() {
            self.held.push(item);
        } else {
            self.items.push(item);
        }
    }

    /// Answers what was left open, as providers refuse calls without results.
    fn close_calls(&mut self) {
        let open: Vec<ToolAnswered> = self
            .calls
            .open()
            .map(|call| ToolAnswered {
                call_id: call.id.clone(),
                parts: vec![Part::text(words::NO_RESULT)],
                ok: false,
            })
            .collect();
        for answered in open {
            self.tool_answered(&answered);
        }
        self.calls.settle();
        self.person.take_question();
    }
}

fn is_cut_text(reply: &Reply) -> bool {
    reply.stop == StopReason::MaxTokens && reply.tool_calls().next().is_none()
}
