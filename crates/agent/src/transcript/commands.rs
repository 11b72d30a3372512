//! The commands of a task, and which changes came after which.

use std::collections::HashMap;

use quire_domain::event::{CommandFinished, CommandPurpose, CommandStarted, EndedBy};
use quire_domain::ids::{CallId, ChunkId};
use quire_domain::sandbox::ExitStatus;

/// A command that ran or runs.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandRecord {
    /// Its output.
    pub chunk: ChunkId,
    /// Why it ran.
    pub purpose: CommandPurpose,
    /// What `bash -c` was given.
    pub command: String,
    /// How it ended; `None` while it runs.
    pub exit: Option<ExitStatus>,
    /// Whether it was cut off, and the model was told.
    pub cut_off: bool,
    /// Whether its sandbox ended under it.
    pub lost: bool,
    /// Lines it printed.
    pub lines: u64,
    /// How many changes it could see.
    saw_changes: u64,
}

impl CommandRecord {
    /// Whether that call started it.
    pub fn is_of(&self, call: &CallId) -> bool {
        matches!(&self.purpose, CommandPurpose::Call(id) if id == call)
    }

    /// Whether it was cut off, or must have been if this worker did not start it, and the model
    /// does not know.
    pub fn is_left_over(&self) -> bool {
        !self.cut_off && (self.exit.is_none() || self.lost)
    }

    /// Whether it neither ended nor was cut off.
    pub fn runs(&self) -> bool {
        self.exit.is_none() && !self.cut_off
    }
}

/// The commands of a task, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commands {
    records: Vec<CommandRecord>,
    by_chunk: HashMap<ChunkId, usize>,
    /// How often files were changed.
    changes: u64,
    /// Those that ran during this step and have seen all changes so far.
    fresh: Vec<usize>,
    /// The first one of the last reply.
    step_from: usize,
}

impl Commands {
    /// All, oldest first.
    pub fn all(&self) -> &[CommandRecord] {
        &self.records
    }

    /// One of them.
    pub fn get(&self, chunk: &ChunkId) -> Option<&CommandRecord> {
        self.by_chunk.get(chunk).map(|at| &self.records[*at])
    }

    /// How often files were changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether files were changed since it could have seen them.
    pub fn is_stale(&self, record: &CommandRecord) -> bool {
        record.saw_changes < self.changes
    }

    pub(super) fn started(&mut self, started: &CommandStarted) {
        self.by_chunk.insert(started.chunk.clone(), self.records.len());
        self.records.push(CommandRecord {
            chunk: started.chunk.clone(),
            purpose: started.purpose.clone(),
            command: started.command.clone(),
            exit: None,
            cut_off: false,
            lost: false,
            lines: 0,
            saw_changes: self.changes,
        });
    }

    pub(super) fn finished(&mut self, finished: &CommandFinished) {
        if let Some(at) = self.by_chunk.get(&finished.chunk.id) {
            let record = &mut self.records[*at];
            record.exit = Some(finished.exit);
            record.lost = finished.ended_by == Some(EndedBy::SandboxGone);
            record.lines = finished.chunk.size.lines;
        }
    }

    /// Notes that a command was cut off by the end of its worker.
    pub(super) fn cut_off(&mut self, chunk: &ChunkId) -> Option<CommandRecord> {
        let record = &mut self.records[*self.by_chunk.get(chunk)?];
        record.cut_off = true;
        Some(record.clone())
    }

    /// A new reply: what it starts belongs to a new step.
    pub(super) fn new_step(&mut self) {
        let records = &self.records;
        self.fresh.retain(|at| records[*at].runs());
        self.step_from = self.records.len();
    }

    /// The call was answered: its command, ended or still running, saw all changes so far.
    pub(super) fn answered(&mut self, call: &CallId) {
        let in_step = &self.records[self.step_from..];
        if let Some(offset) = in_step.iter().position(|record| record.is_of(call)) {
            let at = self.step_from + offset;
            self.records[at].saw_changes = self.changes;
            // The answer says so.
            self.records[at].cut_off |= self.records[at].lost;
            self.fresh.push(at);
        }
    }

    /// Files were changed by something that is no command of this step.
    pub(super) fn something_changed(&mut self) {
        self.changes += 1;
        self.fresh.clear();
    }

    /// Commands changed files, noted after the one that this call started: it has seen what it
    /// did. So has one in the background, which may have done it itself.
    pub(super) fn files_changed_by(&mut self, call: &CallId) {
        self.changes += 1;
        let (records, changes, step_from) = (&mut self.records, self.changes, self.step_from);
        self.fresh.retain(|at| {
            let saw = *at < step_from || records[*at].is_of(call);
            if saw {
                records[*at].saw_changes = changes;
            }
            saw
        });
    }
}
