//! The end of an attempt, as people read it: the answer with numbered citations, the evidence
//! behind each number, checks, change, faults, and what to do next.

use std::collections::HashMap;
use std::fmt::Write;

use quire_domain::attempt::{DiffStat, Outcome, SuspendReason};
use quire_domain::citation::{CheckedCitation, CitationMark, CitationTarget, CitationVerdict};
use quire_domain::event::{
    Answered, Awaits, BaseCaptured, CheckFinished, CommandFinished, CommandPurpose, Committed,
    Event, EventBody, Finished, QuestionAsked, Suspended,
};
use quire_domain::ids::ChunkId;
use quire_domain::sandbox::ExitStatus;
use quire_domain::task::Mode;

use super::asked;
use super::lines::fault_text;
use super::network::Network;
use super::style::{Style, count, duration, fit, plain};

/// What a log says about the end of its attempt.
#[derive(Debug, Default)]
pub struct Report<'a> {
    /// The mode that was asked for.
    pub mode: Option<Mode>,
    /// What it worked on.
    pub base: Option<&'a BaseCaptured>,
    /// The last answer.
    pub answer: Option<&'a Answered>,
    /// The citations of that answer.
    pub citations: Vec<&'a CheckedCitation>,
    /// The last result of each check, in the order they ran.
    pub checks: Vec<&'a CheckFinished>,
    /// The commits.
    pub commits: Vec<&'a Committed>,
    /// The end.
    pub finished: Option<&'a Finished>,
    /// Why it stands still, if it does.
    pub suspended: Option<&'a Suspended>,
    /// What it waits for, if it does.
    pub waits: Option<Awaits>,
    /// The question that was not answered yet.
    pub question: Option<&'a QuestionAsked>,
    /// What it asked of the network.
    pub network: Network,
    /// What setup, or the service that was started last, printed.
    prepared: Option<&'a ChunkId>,
    /// Whether the model was asked at all.
    asked: bool,
    /// Commands by their chunk.
    commands: HashMap<&'a ChunkId, (&'a str, Option<&'a CommandFinished>)>,
}

impl<'a> Report<'a> {
    /// Reads a log.
    pub fn of(events: &'a [Event]) -> Self {
        let mut report = Self::default();
        for event in events {
            report.network.push(event);
            match &event.body {
                EventBody::Submitted(submitted) => report.mode = Some(submitted.request.mode),
                EventBody::BaseCaptured(base) => report.base = Some(base),
                EventBody::ModelRequested(_) => report.asked = true,
                EventBody::CommandStarted(started) => {
                    use CommandPurpose::{Service, Setup};
                    if matches!(started.purpose, Setup | Service(_)) {
                        report.prepared = Some(&started.chunk);
                    }
                    report.commands.insert(&started.chunk, (&started.command, None));
                }
                EventBody::CommandFinished(finished) => {
                    if let Some(entry) = report.commands.get_mut(&finished.chunk.id) {
                        entry.1 = Some(finished);
                    }
                }
                EventBody::CheckFinished(check) => {
                    report.checks.retain(|earlier| earlier.check.name != check.check.name);
                    report.checks.push(check);
                }
                EventBody::Committed(commit) => report.commits.push(commit),
                // Citations are recorded before the answer they belong to.
                EventBody::ModelReplied(_) => report.citations.clear(),
                EventBody::Cited(citation) => report.citations.push(citation),
                EventBody::Answered(answer) => report.answer = Some(answer),
                EventBody::Suspended(suspended) => report.suspended = Some(suspended),
                EventBody::Resumed(_) => {
                    report.suspended = None;
                    report.waits = None;
                }
                EventBody::QuestionAsked(question) => report.question = Some(question),
                EventBody::QuestionAnswered(_) => report.question = None,
                EventBody::Waiting(waiting) => report.waits = Some(waiting.awaits),
                EventBody::PlanApproved(_) | EventBody::PlanRejected(_) => report.waits = None,
                EventBody::Finished(finished) => {
                    report.finished = Some(finished);
                    report.suspended = None;
                    report.waits = None;
                    report.question = None;
                }
                _ => {}
            }
        }
        report
    }

    /// The size of the change, if there is one.
    pub fn diff_stat(&self) -> Option<DiffStat> {
        self.finished.and_then(|finished| finished.diff_stat).filter(|stat| stat.files > 0)
    }

    /// Checks that passed, and all.
    pub fn checks_passed(&self) -> (usize, usize) {
        let passed = self.checks.iter().filter(|c| c.exit.is_some_and(ExitStatus::success)).count();
        (passed, self.checks.len())
    }

    /// Citations of the answer that lead somewhere, and all.
    pub fn citations_resolved(&self) -> (usize, usize) {
        let resolved =
            |cited: &&&CheckedCitation| matches!(cited.verdict, CitationVerdict::Resolved { .. });
        (self.citations.iter().filter(resolved).count(), self.citations.len())
    }

    /// The whole, for a terminal or a file.
    pub fn text(&self, style: Style, number: &str, scripted: bool) -> String {
        let mut text = String::new();
        if scripted {
            let note = "scripted: a script played the model; sandbox, commands, commits and evidence are real";
            let _ = writeln!(text, "{}", style.warn(note));
        }
        if let Some(answer) = self.answer {
            let _ = writeln!(text, "\n{}\n", self.numbered(answer, style).trim_end());
        }
        self.evidence(&mut text, style);
        self.result(&mut text, style);
        self.advice(&mut text, style, number);
        text
    }

    /// The answer with each citation as a number.
    pub fn numbered(&self, answer: &Answered, style: Style) -> String {
        let mut text = plain(&answer.text, true);
        for (index, cited) in self.citations.iter().enumerate() {
            let rejected = matches!(cited.verdict, CitationVerdict::Rejected { .. });
            let mark = format!("[{}{}]", index + 1, if rejected { "?" } else { "" });
            let mark = if rejected { style.bad(&mark) } else { style.name(&mark) };
            text = text.replace(&cited.citation.to_string(), &mark);
        }
        text
    }

    fn evidence(&self, text: &mut String, style: Style) {
        if self.citations.is_empty() {
            return;
        }
        let _ = writeln!(text, "{}", style.bold("Evidence"));
        for (index, cited) in self.citations.iter().enumerate() {
            let place = match &cited.citation.target {
                CitationTarget::File(path) => {
                    format!("{}:{}", plain(path.as_str(), false), lines_text(cited))
                }
                CitationTarget::Chunk(chunk) => {
                    let command =
                        self.commands.get(chunk).map_or(String::new(), |(command, end)| {
                            let exit = end
                                .map_or(String::new(), |end| format!(", exit {}", end.exit.code()));
                            format!(" · `{}`{exit}", fit(command, 60))
                        });
                    format!("terminal {chunk}:{}{command}", lines_text(cited))
                }
            };
            let verdict = match &cited.verdict {
                CitationVerdict::Resolved { marks, .. } if marks.is_empty() => {
                    style.good("checked")
                }
                CitationVerdict::Resolved { marks, .. } => {
                    let words: Vec<&str> = marks.iter().map(|mark| mark_text(*mark)).collect();
                    style.warn(&format!("checked, but {}", words.join("; ")))
                }
                CitationVerdict::Rejected { why } => style.bad(&format!("rejected: {why}")),
            };
            let _ = writeln!(text, "  [{}] {place} · {verdict}", index + 1);
        }
        text.push('\n');
    }

    fn result(&self, text: &mut String, style: Style) {
        for check in &self.checks {
            let passed = check.exit.is_some_and(ExitStatus::success);
            let word = match check.exit {
                Some(_) if passed => style.good("passed"),
                Some(exit) => style.bad(&format!("failed, exit {}", exit.code())),
                None => style.bad("ran out of time"),
            };
            let on = if check.check.clean { " on the commit alone" } else { "" };
            let tests = if check.touched_tests.is_empty() {
                String::new()
            } else {
                format!(" · the change touches {}", check.touched_tests.join(", "))
            };
            let _ = writeln!(
                text,
                "Check    {} {word}{on} · {} [{}]{}",
                fit(&check.check.name, 60),
                duration(check.ms),
                check.chunk,
                style.warn(&tests)
            );
        }
        for commit in &self.commits {
            let id = style.name(&commit.commit.as_str()[..8]);
            let _ = writeln!(text, "Commit   {id} {}", fit(&commit.subject, 72));
        }
        if let Some(stat) = self.diff_stat() {
            let partial = self.finished.is_some_and(|finished| finished.partial);
            let partial = if partial { style.warn(" (partial)") } else { String::new() };
            let _ = writeln!(text, "Change   {stat}{partial}");
        } else if self.mode == Some(Mode::Code) && self.finished.is_some() {
            let _ = writeln!(text, "Change   none");
        }
        if let Some(answer) = self.answer {
            for fault in &answer.faults {
                let _ =
                    writeln!(text, "Fault    {}", style.warn(&plain(&fault_text(fault), false)));
            }
        }
        self.network.text(text, style);
        if let Some(finished) = self.finished {
            let spent = &finished.spent;
            let cost =
                if spent.cost.0 == 0 { String::new() } else { format!(" · {}", spent.cost) };
            let _ = writeln!(
                text,
                "Cost     {} model calls · {} tokens{cost} · {}",
                spent.model_calls,
                count(spent.usage.total_tokens()),
                duration(spent.wall_ms)
            );
            match &finished.outcome {
                Outcome::Failed { kind, detail } => {
                    let _ = writeln!(
                        text,
                        "{}   {}\n         {}",
                        style.bad("Failed"),
                        plain(detail, true).replace('\n', "\n         "),
                        kind.advice()
                    );
                }
                Outcome::Refused { words } => {
                    let _ = writeln!(text, "{}  {}", style.warn("Refused"), plain(words, false));
                }
                Outcome::Cancelled => {
                    let _ = writeln!(text, "{}", style.warn("Cancelled. What was done is kept."));
                }
                Outcome::Answered | Outcome::Changed | Outcome::NoChange => {}
            }
        }
        if let (Some(Awaits::Answer), Some(question)) = (self.waits, self.question) {
            let _ = writeln!(text, "\n{}", asked::question(question, style));
        }
        if let Some(stands) = self.suspended {
            let stands = format!("Stands still: {}", stands_still(stands));
            let _ = writeln!(text, "{}", style.warn(&stands));
        }
    }

    fn advice(&self, text: &mut String, style: Style, number: &str) {
        let mut commands = Vec::new();
        if self.suspended.is_some() {
            commands.push((format!("quire task resume {number}"), "go on"));
        }
        match self.waits {
            Some(Awaits::Answer) => {
                commands.push((format!("quire task answer {number} \"…\""), "answer, and go on"));
                commands.push((format!("quire task cancel {number}"), "end it"));
            }
            Some(Awaits::Approval) => {
                commands.push((format!("quire task approve {number}"), "carry the plan out"));
                let edit = format!("quire task approve {number} --edit");
                commands.push((edit, "edit the plan, then carry it out"));
                let reject = format!("quire task reject {number} \"…\"");
                commands.push((reject, "say what the plan has to be instead"));
                commands.push((format!("quire task cancel {number}"), "end it"));
            }
            None => {}
        }
        if self.diff_stat().is_some() && self.mode == Some(Mode::Code) {
            commands.push((format!("quire task diff {number}"), "read the change"));
            commands.push((format!("quire task apply {number}"), "bring it into your checkout"));
        }
        if let (Some(chunk), false) = (self.prepared, self.asked) {
            // There is nothing to follow up, and no evidence of anything.
            let logs = format!("quire task logs {number} --chunk {chunk}");
            commands.push((logs, "all that it printed"));
            let test = "quire env test".to_owned();
            commands.push((test, "try the environment again, without a task"));
        } else if self.finished.is_some() {
            commands.push((format!("quire task message {number} \"…\""), "ask for a revision"));
            commands.push((format!("quire verify {number}"), "check the evidence again"));
        }
        if commands.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{}", style.bold("Next"));
        let width = commands.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
        for (command, what) in commands {
            let _ = writeln!(text, "  {command:<width$}  {}", style.dim(what));
        }
    }
}

fn lines_text(cited: &CheckedCitation) -> String {
    let lines = cited.citation.lines;
    if lines.first == lines.last {
        lines.first.to_string()
    } else {
        format!("{}-{}", lines.first, lines.last)
    }
}

/// What a mark means, after "checked, but".
pub fn mark_text(mark: CitationMark) -> &'static str {
    match mark {
        CitationMark::Unseen => "the agent never saw this text",
        CitationMark::Stale => "the command ran before the last change",
        CitationMark::Unchanged => "the change does not touch this file",
        CitationMark::Deleted => "these lines are gone; they were found before the change",
    }
}

/// Why an attempt stands still, in full where that is on record.
pub fn stands_still(stands: &Suspended) -> String {
    match &stands.detail {
        Some(detail) => plain(detail, false),
        None => suspended(stands.reason),
    }
}

/// Why an attempt stands still, and what helps.
pub fn suspended(reason: SuspendReason) -> String {
    match reason {
        SuspendReason::Budget { limit } => {
            format!("its budget of {limit} is used up; resume with a larger one")
        }
        SuspendReason::Quota => "a quota is used up".to_owned(),
        SuspendReason::Paused => "it was paused".to_owned(),
        SuspendReason::WorkerLost => "its process is gone; resume it".to_owned(),
        SuspendReason::DiskFull => {
            "the disk that holds the data directory is full; make room there, then resume it"
                .to_owned()
        }
    }
}
