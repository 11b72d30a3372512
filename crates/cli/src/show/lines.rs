//! An event as a line for people: what `quire run` prints while it works, and `quire task logs`
//! afterwards.

use std::collections::HashMap;
use std::fmt::Write;

use quire_domain::attempt::Outcome;
use quire_domain::event::{
    Awaits, CommandPurpose, CommitBy, EndedBy, Event, EventBody, Fault, FileChangeKind,
    InstructionsAt, InterruptedWhat, PlanStatus, StandIn,
};
use quire_domain::ids::ChunkId;
use quire_domain::sandbox::ExitStatus;
use quire_domain::transcript::ReplyItem;

use super::network;
use super::style::{Style, count, duration, fit, plain, size, wrap};

/// Lines that one note has at most while a task runs; its log has them all.
const NOTE_LINES: usize = 2;

/// Lines that say why a phase failed: the end of what a script printed is among them.
const FAILURE_LINES: usize = 40;

/// Lines of anything in a log that is read afterwards.
const LOG_LINES: usize = 200;

/// Turns events into lines, remembering what a later line needs of an earlier event.
pub struct Lines {
    style: Style,
    width: usize,
    /// Lines that a note may have.
    notes_within: usize,
    commands: HashMap<ChunkId, String>,
    /// The model that stood in for another in the reply before.
    stood_in: Option<String>,
}

impl Lines {
    /// Lines of at most `width` columns (where cutting loses nothing that is not in the log).
    pub fn new(style: Style, width: usize) -> Self {
        let (width, notes_within) = (width.max(40), NOTE_LINES);
        Self { style, width, notes_within, commands: HashMap::new(), stood_in: None }
    }

    /// The same for who reads afterwards: notes are whole.
    pub fn of_log(style: Style, width: usize) -> Self {
        Self { notes_within: LOG_LINES, ..Self::new(style, width) }
    }

    /// The lines of one event: none for what matters to machines alone.
    pub fn of(&mut self, event: &Event) -> Vec<String> {
        let style = self.style;
        match &event.body {
            EventBody::Submitted(submitted) => {
                let request = &submitted.request;
                vec![format!(
                    "{} {}",
                    self.head(request.mode.as_str()),
                    fit(&request.prompt, self.rest())
                )]
            }
            EventBody::BaseCaptured(base) => {
                let mut text = base.base.as_str()[..8].to_owned();
                if let Some(branch) = &base.branch {
                    let _ = write!(text, " on {}", plain(branch, false));
                }
                if base.uncommitted > 0 {
                    let files = if base.uncommitted == 1 { "file" } else { "files" };
                    let _ = write!(text, ", with {} uncommitted {files}", base.uncommitted);
                }
                let mut lines = vec![format!("{} {text}", self.head("base"))];
                let notes = base.notes.iter();
                let notes = notes.flat_map(|note| wrap(note, self.rest(), self.notes_within));
                lines.extend(notes.map(|note| format!("{} {}", self.head(""), style.dim(&note))));
                lines
            }
            EventBody::PhaseFinished(phase) => {
                let text = format!("{} · {}", duration(phase.ms), phase.detail);
                let most = if phase.failed { FAILURE_LINES } else { self.notes_within };
                let word = phase.phase.as_str();
                let lines = wrap(&text, self.rest(), most).into_iter().enumerate();
                lines
                    .map(|(index, line)| {
                        let line = if phase.failed { style.bad(&line) } else { style.dim(&line) };
                        format!("{} {line}", self.head(if index == 0 { word } else { "" }))
                    })
                    .collect()
            }
            EventBody::InstructionsLoaded(loaded) if !loaded.files.is_empty() => {
                let files: Vec<String> = loaded
                    .files
                    .iter()
                    .map(|file| {
                        if file.shown_bytes < file.bytes {
                            format!(
                                "{} (cut: {} of {})",
                                file.path,
                                size(file.shown_bytes),
                                size(file.bytes)
                            )
                        } else {
                            file.path.clone()
                        }
                    })
                    .collect();
                let met = if matches!(loaded.at, InstructionsAt::Call(_)) { "met " } else { "" };
                vec![format!(
                    "{} {met}{}",
                    self.head("read"),
                    style.dim(&fit(&files.join(", "), self.rest()))
                )]
            }
            EventBody::ModelReplied(replied) => self
                .stand_in(replied.stand_in.as_ref())
                .into_iter()
                .chain(replied.reply.items.iter().filter_map(|item| match item {
                    ReplyItem::Text { text, .. }
                        if replied.reply.tool_calls().next().is_some()
                            && !text.trim().is_empty() =>
                    {
                        Some(format!("{} {}", self.head("says"), fit(text, self.rest())))
                    }
                    ReplyItem::Reasoning { summary, .. } if !summary.trim().is_empty() => {
                        Some(format!(
                            "{} {}",
                            self.head("thinks"),
                            style.dim(&fit(summary, self.rest()))
                        ))
                    }
                    ReplyItem::Text { .. }
                    | ReplyItem::Reasoning { .. }
                    | ReplyItem::ToolCall { .. } => None,
                }))
                .collect(),
            EventBody::CommandStarted(started) => {
                let command = match &started.purpose {
                    CommandPurpose::Service(name) => format!("{name}: {}", started.command.trim()),
                    _ => started.command.clone(),
                };
                self.commands.insert(started.chunk.clone(), command);
                Vec::new()
            }
            EventBody::CommandFinished(finished) => {
                let command = self.commands.remove(&finished.chunk.id).unwrap_or_default();
                vec![self.command_line(&command, finished)]
            }
            EventBody::PatchApplied(patch) => {
                let files: Vec<String> = patch
                    .files
                    .iter()
                    .map(|file| {
                        let sign = match file.change {
                            FileChangeKind::Added => "new ",
                            FileChangeKind::Changed => "",
                            FileChangeKind::Removed => "removed ",
                        };
                        format!("{sign}{} +{} −{}", file.path, file.added, file.removed)
                    })
                    .collect();
                vec![format!("{} {}", self.head("patch"), fit(&files.join(", "), self.rest()))]
            }
            EventBody::PatchRejected(patch) => {
                vec![format!(
                    "{} {}",
                    self.head("patch"),
                    style.warn(&fit(&patch.reason, self.rest()))
                )]
            }
            EventBody::PlanUpdated(plan) => {
                let done = plan.steps.iter().filter(|s| s.status == PlanStatus::Completed).count();
                let now = plan
                    .steps
                    .iter()
                    .find(|step| step.status == PlanStatus::InProgress)
                    .map_or(String::new(), |step| format!(" · {}", step.step));
                let text = format!("{done} of {}{now}", plan.steps.len());
                vec![format!("{} {}", self.head("plan"), fit(&text, self.rest()))]
            }
            EventBody::FileViewed(viewed) => {
                vec![format!("{} {}", self.head("looks at"), fit(&viewed.path, self.rest()))]
            }
            EventBody::EgressDenied(egress) => {
                let line = network::line(egress, true, self.is_log()).unwrap_or_default();
                let line = style.warn(&fit(&line, self.rest()));
                vec![format!("{} {line}", self.head("network"))]
            }
            EventBody::EgressAllowed(egress) => network::line(egress, false, self.is_log())
                .map(|line| format!("{} {}", self.head("network"), fit(&line, self.rest())))
                .into_iter()
                .collect(),
            EventBody::Steered(said)
            | EventBody::MessageReceived(said)
            | EventBody::QuestionAnswered(said)
            | EventBody::PlanRejected(said) => {
                vec![format!("{} {}", self.head("you"), fit(&said.text, self.rest()))]
            }
            EventBody::QuestionAsked(question) => {
                vec![format!(
                    "{} {}",
                    self.head("asks"),
                    style.bold(&fit(&question.question, self.rest()))
                )]
            }
            EventBody::PlanApproved(approved) => {
                let how =
                    if approved.text.is_some() { "edited it and approve it" } else { "approve it" };
                vec![format!("{} {how}", self.head("you"))]
            }
            EventBody::Waiting(waiting) => {
                let what = match waiting.awaits {
                    Awaits::Answer => "for your answer",
                    Awaits::Approval => "for your word on its plan",
                };
                vec![format!("{} {}", self.head("waits"), style.warn(what))]
            }
            EventBody::Compacted(compacted) => {
                vec![format!("{} window {} opened", self.head("context"), compacted.window)]
            }
            EventBody::Restored(restored) => {
                vec![format!(
                    "{} {}",
                    self.head("restored"),
                    style.warn(&fit(&restored.text, self.rest()))
                )]
            }
            EventBody::GateFailed(gate) => gate
                .faults
                .iter()
                .map(|fault| {
                    format!(
                        "{} {}",
                        self.head("gate"),
                        style.warn(&fit(&fault_text(fault), self.rest()))
                    )
                })
                .collect(),
            EventBody::CheckFinished(check) => {
                let passed = check.exit.is_some_and(ExitStatus::success);
                let word = match check.exit {
                    Some(exit) if exit.success() => style.good("passed"),
                    Some(exit) => style.bad(&format!("failed, exit {}", exit.code())),
                    None => style.bad("ran out of time"),
                };
                let detail = if passed { String::new() } else { format!(" [{}]", check.chunk) };
                vec![format!(
                    "{} {word} · {} · {}{detail}",
                    self.head("check"),
                    duration(check.ms),
                    fit(&check.check.name, self.rest())
                )]
            }
            EventBody::Committed(commit) => {
                let by = if commit.by == CommitBy::System {
                    " (by the system, of what was left)"
                } else {
                    ""
                };
                let subject = fit(&commit.subject, self.rest());
                vec![format!(
                    "{} {} {subject}{by}",
                    self.head("commit"),
                    style.name(&commit.commit.as_str()[..8])
                )]
            }
            EventBody::Interrupted(interrupted) => {
                let text = match &interrupted.what {
                    InterruptedWhat::ModelRequest => {
                        "a model request was cut off; it is asked again".to_owned()
                    }
                    InterruptedWhat::Command(chunk) => format!("a command was cut off [{chunk}]"),
                    InterruptedWhat::ByPerson => "by you; what was done is kept".to_owned(),
                    InterruptedWhat::Idle { minutes } => format!(
                        "nothing happened in the sandbox for {minutes} min (`limits.idle_minutes`): \
                         what ran there was ended"
                    ),
                };
                vec![format!("{} {}", self.head("cut off"), style.warn(&text))]
            }
            EventBody::Suspended(suspended) => {
                vec![format!(
                    "{} {}",
                    self.head("stands still"),
                    style.warn(&super::answer::stands_still(suspended))
                )]
            }
            EventBody::Resumed(_) => vec![format!("{} goes on", self.head("resumed"))],
            EventBody::Finished(finished) => {
                let took = duration(finished.spent.wall_ms);
                let tokens = count(finished.spent.usage.total_tokens());
                let word = finished.outcome.word();
                let word = match finished.outcome {
                    Outcome::Answered | Outcome::Changed => style.good(word),
                    Outcome::NoChange | Outcome::Refused { .. } | Outcome::Cancelled => {
                        style.warn(word)
                    }
                    Outcome::Failed { .. } => style.bad(word),
                };
                let cost = match finished.spent.cost.0 {
                    0 => String::new(),
                    _ => format!(" · {}", finished.spent.cost),
                };
                let calls = finished.spent.model_calls;
                vec![format!(
                    "{} {word} · {took} · {calls} model calls · {tokens} tokens{cost}",
                    self.head("end")
                )]
            }
            EventBody::Unknown(_) => {
                vec![format!(
                    "{} {}",
                    self.head(event.body.kind()),
                    style.dim("(of a later version)")
                )]
            }
            EventBody::Claimed(_)
            | EventBody::PhaseStarted(_)
            | EventBody::InstructionsLoaded(_)
            | EventBody::ModelRequested(_)
            | EventBody::ToolAnswered(_)
            | EventBody::FilesChanged(_)
            | EventBody::Checkpointed(_)
            | EventBody::Cited(_)
            | EventBody::Answered(_) => Vec::new(),
        }
    }

    /// Whether somebody reads afterwards, and wants all of it.
    fn is_log(&self) -> bool {
        self.notes_within == LOG_LINES
    }

    fn command_line(
        &self,
        command: &str,
        finished: &quire_domain::event::CommandFinished,
    ) -> String {
        let style = self.style;
        let exit = match (finished.ended_by, finished.exit) {
            (Some(EndedBy::Timeout), _) => style.warn("time limit"),
            (Some(EndedBy::SandboxGone), _) => style.warn("cut off"),
            (Some(EndedBy::Idle), _) => style.warn("idle"),
            (Some(EndedBy::Model | EndedBy::AttemptEnd), _) => style.dim("ended"),
            (None, exit) if exit.success() => style.good("exit 0"),
            (None, ExitStatus::Signal(signal)) => style.bad(&format!("signal {signal}")),
            (None, exit) => style.bad(&format!("exit {}", exit.code())),
        };
        let facts = format!(
            "{exit} · {} · {} {}",
            duration(finished.ms),
            count(finished.chunk.size.lines),
            if finished.chunk.size.lines == 1 { "line" } else { "lines" },
        );
        let chunk = style.dim(&format!("[{}]", finished.chunk.id));
        // It began in the process that was resumed.
        let command = if command.is_empty() { "(begun before)" } else { command };
        let command = fit(command, self.rest().saturating_sub(34));
        format!("{} {command}  {facts} {chunk}", self.head("$"))
    }

    /// That another model answers, told once.
    fn stand_in(&mut self, other: Option<&StandIn>) -> Option<String> {
        let before = std::mem::replace(&mut self.stood_in, other.map(|other| other.model.clone()));
        let other = other.filter(|other| before.as_ref() != Some(&other.model))?;
        let text = format!("{} answers: {}", other.model, plain(&other.why, false));
        Some(format!("{} {}", self.head("stands in"), self.style.warn(&fit(&text, self.rest()))))
    }

    fn head(&self, word: &str) -> String {
        self.style.dim(&format!("{word:>12}"))
    }

    fn rest(&self) -> usize {
        self.width.saturating_sub(14)
    }
}

/// A fault as a sentence for people.
pub fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::CommandRuns { command, chunk } => format!("`{command}` still runs [{chunk}]"),
        Fault::Dirty { paths } => format!("not committed: {}", paths.join(", ")),
        Fault::BranchChanged { expected, found } => {
            format!("the branch is `{found}`, it was `{expected}`")
        }
        Fault::NestedRepository { paths } => format!(
            "repositories of their own inside the repository, of which the change has no more \
             than a link or loose files: {}",
            paths.join(", ")
        ),
        Fault::HistoryRewritten => "commits from before the task were rewritten".to_owned(),
        Fault::InstructionsUnseen { files } => {
            format!("changed files whose instructions it had not read: {}", files.join(", "))
        }
        Fault::BadCitation { citation, why } => format!("citation {citation} leads nowhere: {why}"),
        Fault::StaleCitation { citation } => {
            format!("citation {citation} is from before the last change")
        }
        Fault::ChecksNotRun { commands } => {
            format!("not run after the last change: {}", commands.join(", "))
        }
        Fault::CheckFailed { name, chunk } => format!("check `{name}` failed [{chunk}]"),
        Fault::ResultUnusable { why } => format!("its commits could not be taken out: {why}"),
        Fault::EmptyAnswer => "the answer was empty".to_owned(),
        Fault::WrongForm { why } => format!("the answer does not fit its schema: {why}"),
    }
}
