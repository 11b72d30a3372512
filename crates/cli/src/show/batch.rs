//! Many tasks at work: of each its start, its phases, its checks and its end, behind its number; on
//! a terminal one status line for all.

use std::collections::HashMap;
use std::time::Instant;

use quire_domain::budget::{MicroDollars, Usage};
use quire_domain::event::{Event, EventBody};
use quire_domain::journal::Live;

use super::lines::Lines;
use super::status_line::StatusLine;
use super::style::{Style, count, duration, fit};
use super::tally::Row;
use super::{json, out, width};
use crate::commands::go::{Shown, What};

/// A phase that took at least so long is worth a line, in milliseconds.
const LONG_PHASE_MS: u64 = 1_000;

/// Where in the file a task is from.
pub struct Place {
    /// Its line, counted from 1.
    pub line: usize,
    /// The person's own name for it.
    pub id: Option<String>,
}

/// What the view is told.
pub enum News {
    /// A task was written down under a number.
    Submitted {
        /// Its place in the file's order, from 0.
        task: usize,
        /// Its number.
        number: u64,
        /// How many attempts it has.
        attempts: usize,
    },
    /// Something happened in it.
    Shown(Shown),
}

/// Shows many tasks at once, on standard error; as JSON on standard output.
pub struct Batch {
    places: Vec<Place>,
    style: Style,
    verbose: bool,
    json: bool,
    width: usize,
    started: Instant,
    at_work: HashMap<usize, View>,
    running: usize,
    over: usize,
    bad: usize,
    usage: Usage,
    cost: u64,
    status: StatusLine,
}

struct View {
    number: u64,
    attempts: usize,
    lines: Vec<Lines>,
}

impl Batch {
    /// A view of tasks from these places. `verbose` shows every line of every task.
    pub fn new(
        places: Vec<Place>,
        style: Style,
        terminal: bool,
        verbose: bool,
        json: bool,
    ) -> Self {
        Self {
            places,
            style,
            verbose,
            json,
            width: width(),
            started: Instant::now(),
            at_work: HashMap::new(),
            running: 0,
            over: 0,
            bad: 0,
            usage: Usage::default(),
            cost: 0,
            status: StatusLine::new(terminal),
        }
    }

    /// Line and id of a task.
    pub fn place(&self, task: usize) -> (usize, Option<&str>) {
        self.places.get(task).map_or((0, None), |place| (place.line, place.id.as_deref()))
    }

    /// Prints lines of the command itself.
    pub fn print(&mut self, lines: &[String]) {
        self.status.print(lines);
    }

    /// Prints a notice of the command itself.
    pub fn notice(&mut self, text: &str) {
        self.print(&[text.to_owned()]);
    }

    /// A task has its turn.
    pub fn began(&mut self) {
        self.running += 1;
    }

    /// Shows what is told.
    pub fn show(&mut self, news: News) {
        match news {
            News::Submitted { task, number, attempts } => {
                let width = self.width.saturating_sub(8);
                let lines = (0..attempts).map(|_| Lines::new(self.style, width)).collect();
                self.at_work.insert(task, View { number, attempts, lines });
            }
            News::Shown(Shown { task, attempt, what: What::Event(event) }) => {
                self.event(task, attempt, &event);
            }
            News::Shown(Shown { task, attempt, what: What::Live(live) }) => {
                self.live(task, attempt, &live);
            }
        }
    }

    fn event(&mut self, task: usize, attempt: usize, event: &Event) {
        if let EventBody::ModelReplied(replied) = &event.body {
            self.usage = self.usage.plus(replied.reply.usage);
            self.cost = self.cost.saturating_add(replied.cost.unwrap_or_default().0);
        }
        let Some(view) = self.at_work.get_mut(&task) else { return };
        if self.json {
            let ordinal = u8::try_from(attempt + 1).unwrap_or(u8::MAX);
            let place = self.places.get(task).map_or((0, None), |at| (at.line, at.id.as_deref()));
            out(&json::line_of_file(place, view.number, ordinal, event));
            return;
        }
        let label = label(view, attempt);
        let Some(lines) = view.lines.get_mut(attempt) else { return };
        let text = match &event.body {
            EventBody::Submitted(submitted) if !self.verbose => {
                let id = self.places.get(task).and_then(|place| place.id.as_deref());
                let id = id.map_or(String::new(), |id| format!("{} · ", fit(id, 40)));
                let rest = self.width.saturating_sub(21 + id.chars().count());
                vec![format!(
                    "{} {}{}",
                    self.style.dim(&format!("{:>12}", "starts")),
                    self.style.name(&id),
                    fit(&submitted.request.prompt, rest)
                )]
            }
            // The notes beneath it are the same for all.
            EventBody::BaseCaptured(_) if !self.verbose => {
                lines.of(event).into_iter().take(1).collect()
            }
            body if self.verbose || is_kept(body) => lines.of(event),
            _ => return,
        };
        let text: Vec<String> = text.into_iter().map(|line| format!("{label}{line}")).collect();
        if !text.is_empty() {
            self.status.print(&text);
        }
    }

    fn live(&mut self, task: usize, attempt: usize, live: &Live) {
        let Some(view) = self.at_work.get(&task) else { return };
        if let (Live::Retry { why, after_ms }, false) = (live, self.json) {
            let text = format!("asks the model again in {}: {why}", duration(*after_ms));
            let line = format!("{}{:>12} {}", label(view, attempt), "waits", fit(&text, 100));
            self.status.print(&[self.style.warn(&line)]);
        }
    }

    /// A task ended, or never began.
    pub fn ended(&mut self, task: usize, row: &Row) {
        self.running = self.running.saturating_sub(1);
        self.over += 1;
        self.bad += usize::from(!row.is_good());
        self.at_work.remove(&task);
        if let (Some((_, why)), false) = (&row.never, self.json) {
            let (line, _) = self.place(task);
            let text = format!("line {line} ({}) was not started: {}", row.what, fit(why, 200));
            let text = self.style.bad(&text);
            self.status.print(&[text]);
        }
    }

    /// Draws the status line anew; call it a few times a second.
    pub fn tick(&mut self) {
        if self.status.moves() {
            let text = self.text();
            self.status.draw(&text);
        }
    }

    /// Removes the status line for good.
    pub fn end(&mut self) {
        self.status.end();
    }

    fn text(&self) -> String {
        let took = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let bad = if self.bad == 0 { String::new() } else { format!(", {} not well", self.bad) };
        let cost = match self.cost {
            0 => String::new(),
            cost => format!(" · {}", MicroDollars(cost)),
        };
        let text = format!(
            "{} · {} of {} ended{bad} · {} at work · {} tokens{cost} · Ctrl-C cancels",
            duration(took / 1_000 * 1_000),
            self.over,
            self.places.len(),
            self.running,
            count(self.usage.total_tokens())
        );
        self.style.dim(&fit(&text, self.width.saturating_sub(1)))
    }
}

fn label(view: &View, attempt: usize) -> String {
    if view.attempts > 1 {
        format!("{:>6} ", format!("{}.{}", view.number, attempt + 1))
    } else {
        format!("{:>6} ", view.number)
    }
}

/// Whether an event has a line where many tasks share the screen.
fn is_kept(body: &EventBody) -> bool {
    match body {
        EventBody::QuestionAsked(_)
        | EventBody::Restored(_)
        | EventBody::GateFailed(_)
        | EventBody::CheckFinished(_)
        | EventBody::Interrupted(_)
        | EventBody::Suspended(_)
        | EventBody::Waiting(_)
        | EventBody::EgressDenied(_)
        | EventBody::Finished(_) => true,
        EventBody::PhaseFinished(phase) => phase.failed || phase.ms >= LONG_PHASE_MS,
        _ => false,
    }
}
