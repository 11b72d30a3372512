//! What happens while an environment is tried, as lines for people, and its end.

mod advice;
mod output;
mod report;

use std::collections::HashMap;
use std::time::Instant;

use quire_domain::environment::Environment;
use quire_domain::event::{CommandPurpose, Event, EventBody, Phase};
use quire_domain::ids::ChunkId;
use quire_domain::journal::Live;

use self::output::LineBuffer;
pub use self::report::{Report, Told};
use super::lines::Lines;
use super::network::Network;
use super::status_line::StatusLine;
use super::style::{Style, duration, fit, plain};

/// Shows what happens, on standard error.
pub struct Log {
    style: Style,
    /// Whether only what takes time or fails is shown.
    brief: bool,
    width: usize,
    lines: Lines,
    status: StatusLine,
    doing: String,
    since: Instant,
    buffers: HashMap<ChunkId, LineBuffer>,
}

impl Log {
    /// Lines of at most `width` columns, but for what commands print; one that moves beneath them
    /// on a `terminal`.
    pub fn new(style: Style, terminal: bool, width: usize) -> Self {
        Self {
            style,
            brief: false,
            width,
            lines: Lines::of_log(style, width),
            status: StatusLine::new(terminal),
            doing: "preparing".to_owned(),
            since: Instant::now(),
            buffers: HashMap::new(),
        }
    }

    /// The same, of which only setup and what fails is shown.
    #[must_use]
    pub fn brief(self) -> Self {
        Self { brief: true, ..self }
    }

    /// Shows an event.
    pub fn event(&mut self, event: &Event) {
        if self.brief && !is_setup_or_fails(&event.body) {
            return;
        }
        match &event.body {
            EventBody::PhaseStarted(phase) => self.does(phase.phase.as_str()),
            EventBody::CommandStarted(started) => self.command(&started.purpose, &started.command),
            EventBody::PhaseFinished(phase) if phase.failed && phase.phase != Phase::Sandbox => {
                // What it says stands in the report, whole.
                let line = format!("{} failed · {}", phase.phase.as_str(), duration(phase.ms));
                self.head("", &self.style.bad(&line));
            }
            EventBody::Submitted(_) | EventBody::CommandFinished(_) => {}
            _ => {
                let lines = self.lines.of(event);
                if !lines.is_empty() {
                    self.status.print(&lines);
                }
            }
        }
    }

    /// Shows a piece of what a command prints; `label` stands before each line where others run
    /// beside it.
    pub fn output(&mut self, chunk: &ChunkId, label: &str, bytes: &[u8]) {
        if self.brief && !label.is_empty() {
            return;
        }
        let buffer = self.buffers.entry(chunk.clone()).or_insert_with(|| LineBuffer::new(label));
        let lines = buffer.push(bytes);
        self.print_output(&lines);
    }

    /// Shows the rest of what a command printed.
    pub fn output_ended(&mut self, chunk: &ChunkId) {
        if let Some(line) = self.buffers.remove(chunk).and_then(LineBuffer::rest) {
            self.print_output(&[line]);
        }
    }

    /// Shows something that is told and not kept.
    pub fn live(&mut self, live: &Live) {
        match live {
            Live::Preparing { text } => self.doing = fit(text, 60),
            // Nobody but setup says anything here: that it waits for another.
            Live::Text { text } => self.notice(&plain(text.trim(), false)),
            Live::Reasoning { .. } | Live::Retry { .. } | Live::Output { .. } => {}
        }
    }

    /// Prints a notice of the command itself.
    pub fn notice(&mut self, text: &str) {
        self.status.print(&[text.to_owned()]);
    }

    /// Draws the line that moves anew.
    pub fn tick(&mut self) {
        if self.status.moves() {
            let took = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            let took = duration(took / 1_000 * 1_000);
            let text = format!("{took} · {} · Ctrl-C ends it", self.doing);
            self.status.draw(&self.style.dim(&fit(&text, self.width.saturating_sub(1))));
        }
    }

    /// Removes the line that moves.
    pub fn end(&mut self) {
        self.status.end();
    }

    fn command(&mut self, purpose: &CommandPurpose, command: &str) {
        let (word, what) = match purpose {
            CommandPurpose::Setup => ("runs", command.lines().next().unwrap_or_default()),
            CommandPurpose::Check(name) => ("check", name.as_str()),
            CommandPurpose::Service(name) => ("service", name.as_str()),
            CommandPurpose::Call(_) => return,
        };
        let more = match purpose {
            CommandPurpose::Setup if command.trim_end().lines().count() > 1 => " …",
            _ => "",
        };
        self.does(&format!("{word} {what}"));
        let rest = self.width.saturating_sub(16);
        self.head(word, &format!("{}{more}", fit(what, rest)));
    }

    fn does(&mut self, what: &str) {
        self.doing = fit(what, 60);
        self.since = Instant::now();
    }

    fn head(&mut self, word: &str, text: &str) {
        let head = self.style.dim(&format!("{word:>12}"));
        self.status.print(&[format!("{head} {text}")]);
    }

    fn print_output(&mut self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let bar = self.style.dim("│");
        let lines: Vec<String> = lines.iter().map(|line| format!("  {bar} {line}")).collect();
        self.status.print(&lines);
    }
}

/// Whether an event is one of setup, or of something that went wrong.
fn is_setup_or_fails(body: &EventBody) -> bool {
    match body {
        EventBody::CommandStarted(started) => started.purpose == CommandPurpose::Setup,
        EventBody::PhaseStarted(_) => true,
        EventBody::PhaseFinished(phase) => phase.failed || phase.phase == Phase::Setup,
        _ => false,
    }
}

/// What was refused on the way out, and the lines that would allow it.
pub fn refused_lines(environment: &Environment, events: &[Event]) -> Vec<String> {
    let mut network = Network::default();
    for event in events {
        network.push(event);
    }
    let refused = network.refused.iter().map(advice::refused_text);
    let mut lines: Vec<String> = refused.map(|text| format!("refused: {text}")).collect();
    lines.extend(advice::lines_that_allow(environment, &network));
    lines
}
