//! Going on after a death: what was cut off is said to be, and nothing runs again by itself.

use quire_domain::event::{
    CommandPurpose, Event, EventBody, Interrupted, InterruptedWhat, ToolAnswered,
};
use quire_domain::ids::ChunkId;
use quire_domain::transcript::{Part, ToolCall};

use super::Driver;
use super::ask::AFTER_A_QUESTION;
use crate::transcript::{CommandRecord, words};

impl Driver {
    /// Closes what an earlier run left open. It is on disk with the next append; a death before
    /// that leaves it to be done again.
    pub(super) fn take_up(&mut self, own: &[Event]) {
        if self.transcript.in_flight() {
            self.interrupted(InterruptedWhat::ModelRequest);
        }
        for chunk in self.cut_off(own) {
            self.interrupted(InterruptedWhat::Command(chunk));
        }
        let open: Vec<ToolCall> = self.transcript.open_calls().cloned().collect();
        for call in open {
            if self.is_asked(&call) {
                continue;
            }
            let command =
                self.transcript.commands().all().iter().rfind(|record| record.is_of(&call.id));
            let text = match command {
                _ if self.transcript.person().question().is_some() => AFTER_A_QUESTION.to_owned(),
                Some(record) if record.cut_off => words::command_cut_off(record),
                _ => words::NO_RESULT.to_owned(),
            };
            let parts = vec![Part::text(text)];
            let answered = ToolAnswered { call_id: call.id, parts, ok: false };
            self.record(EventBody::ToolAnswered(answered));
        }
    }

    /// Whether a call is a question of the person: it stays open until they answer. One that was
    /// not asked before the death is asked now, as nothing was done of it.
    fn is_asked(&mut self, call: &ToolCall) -> bool {
        if let Some(question) = self.transcript.person().question() {
            return question.call_id == call.id;
        }
        let question = self.toolbox.prepare(call, &self.place).ok();
        let Some(question) = question.and_then(|call| call.question().cloned()) else {
            return false;
        };
        self.ask_person(question);
        true
    }

    /// The model's commands of this attempt that were cut off without a word to the model. Their
    /// chunks may have been closed already by whoever took the attempt over.
    fn cut_off(&self, own: &[Event]) -> Vec<ChunkId> {
        own.iter()
            .filter_map(|event| match &event.body {
                EventBody::CommandStarted(started) => Some(started),
                _ => None,
            })
            .filter(|started| matches!(started.purpose, CommandPurpose::Call(_)))
            .filter(|started| {
                self.transcript
                    .commands()
                    .get(&started.chunk)
                    .is_some_and(CommandRecord::is_left_over)
            })
            .map(|started| started.chunk.clone())
            .collect()
    }

    fn interrupted(&mut self, what: InterruptedWhat) {
        self.record(EventBody::Interrupted(Interrupted { what }));
    }
}
