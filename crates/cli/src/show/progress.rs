//! Live progress: lines as things happen, and on a terminal one status line beneath them.

use std::time::Instant;

use quire_domain::budget::{MicroDollars, Usage};
use quire_domain::event::{Event, EventBody};
use quire_domain::journal::Live;

use super::lines::Lines;
use super::status_line::StatusLine;
use super::style::{Style, count, duration, fit};

/// Shows what one or more attempts do, on standard error.
pub struct Progress {
    style: Style,
    width: usize,
    started: Instant,
    views: Vec<View>,
    status: StatusLine,
}

struct View {
    label: String,
    lines: Lines,
    doing: String,
    usage: Usage,
    cost: MicroDollars,
    ended: bool,
}

impl Progress {
    /// Progress of attempts with these labels; a single one goes without its label.
    pub fn new(labels: &[String], style: Style, terminal: bool, width: usize) -> Self {
        let prefix = if labels.len() > 1 { 5 } else { 0 };
        let views = labels
            .iter()
            .map(|label| View {
                label: if labels.len() > 1 { format!("{label:>4} ") } else { String::new() },
                lines: Lines::new(style, width.saturating_sub(prefix)),
                doing: "preparing".to_owned(),
                usage: Usage::default(),
                cost: MicroDollars::default(),
                ended: false,
            })
            .collect();
        let status = StatusLine::new(terminal);
        Self { style, width, started: Instant::now(), views, status }
    }

    /// Shows an event of attempt `index`.
    pub fn event(&mut self, index: usize, event: &Event) {
        let Some(view) = self.views.get_mut(index) else { return };
        match &event.body {
            EventBody::PhaseStarted(phase) => phase.phase.as_str().clone_into(&mut view.doing),
            EventBody::ModelRequested(_) => "thinking".clone_into(&mut view.doing),
            EventBody::CommandStarted(started) => {
                view.doing = format!("$ {}", fit(&started.command, 60));
            }
            EventBody::ModelReplied(replied) => {
                view.usage = view.usage.plus(replied.reply.usage);
                view.cost.0 += replied.cost.unwrap_or_default().0;
            }
            EventBody::Finished(_) => view.ended = true,
            _ => {}
        }
        let lines: Vec<String> =
            view.lines.of(event).into_iter().map(|line| format!("{}{line}", view.label)).collect();
        if !lines.is_empty() {
            self.status.print(&lines);
        }
    }

    /// Shows something that is not kept.
    pub fn live(&mut self, index: usize, live: &Live) {
        let Some(view) = self.views.get_mut(index) else { return };
        match live {
            Live::Retry { why, after_ms } => {
                let text = format!("asks the model again in {}: {why}", duration(*after_ms));
                let line = format!("{}{:>12} {}", view.label, "waits", fit(&text, 100));
                self.status.print(&[self.style.warn(&line)]);
            }
            Live::Text { .. } => "writing".clone_into(&mut view.doing),
            Live::Reasoning { .. } => "thinking".clone_into(&mut view.doing),
            Live::Preparing { text } => view.doing = fit(text, 80),
            Live::Output { .. } => {}
        }
    }

    /// Draws the status line anew; call it a few times a second.
    pub fn tick(&mut self) {
        if self.status.moves() {
            let text = self.text();
            self.status.draw(&text);
        }
    }

    /// Prints a notice of the command itself.
    pub fn notice(&mut self, text: &str) {
        self.status.print(&[text.to_owned()]);
    }

    /// Removes the status line for good.
    pub fn end(&mut self) {
        self.status.end();
    }

    fn text(&self) -> String {
        let usage = self.views.iter().fold(Usage::default(), |sum, view| sum.plus(view.usage));
        let cost: u64 = self.views.iter().map(|view| view.cost.0).sum();
        let took = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let cost = if cost == 0 { String::new() } else { format!(" · {}", MicroDollars(cost)) };
        let running = self.views.iter().filter(|view| !view.ended).count();
        let doing = match self.views.as_slice() {
            [only] => only.doing.clone(),
            views => format!("{running} of {} at work", views.len()),
        };
        let text = format!(
            "{} · {} tokens{cost} · {doing} · Ctrl-C cancels",
            duration(took / 1_000 * 1_000),
            count(usage.total_tokens())
        );
        self.style.dim(&fit(&text, self.width.saturating_sub(1)))
    }
}
