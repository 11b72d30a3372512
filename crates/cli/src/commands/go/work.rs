//! Attempts at work: run here, shown while they run, and their end printed.

use std::pin::pin;
use std::sync::Arc;

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::event::Event;
use quire_domain::journal::Live;
use quire_orchestrator::error::RunError;
use quire_orchestrator::seen::Seen;
use quire_store::Submission;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::attempts::{BACKLOG, Shown, TICK, What, run_attempts, sweep_meanwhile};
use super::in_place::answered;
use super::interrupts::Interrupts;
use crate::exit::Exit;
use crate::installation::Installation;
use crate::no_room;
use crate::show::answer::Report;
use crate::show::progress::Progress;
use crate::show::style::Style;
use crate::show::{self, compare, json};

/// Runs all attempts of a submission here and prints their end.
pub async fn work(
    installation: &Installation,
    submission: &Submission,
    seen: Option<Arc<Seen>>,
    json_lines: bool,
    scripted: bool,
) -> anyhow::Result<Exit> {
    let colour = installation.surroundings.colour();
    let style = Style::new(colour);
    let number = submission.task.number;
    let labels: Vec<String> =
        submission.attempts.iter().map(|attempt| format!("{number}.{}", attempt.ordinal)).collect();
    if !json_lines {
        let place =
            installation.surroundings.short(std::path::Path::new(&submission.task.repository));
        let model = &submission.turn.request.model;
        let note = if scripted { " (a script plays the model)" } else { "" };
        show::err(&style.bold(&format!("task {number} · {model}{note} · {place}")));
        if submission.attempts.len() > 1 {
            show::err(&estimate(submission));
        }
    }
    let terminal = installation.surroundings.stderr_terminal && colour;
    let sweeping = sweep_meanwhile(installation);
    let mut attempts = submission.attempts.clone();
    let states = loop {
        let mut view = View {
            progress: Progress::new(&labels, style, terminal, show::width()),
            json: json_lines,
            task: number.0,
            ordinals: attempts.iter().map(|attempt| attempt.ordinal).collect(),
        };
        let states = run_all(installation, &attempts, seen.clone(), &mut view).await;
        view.progress.end();
        let asks = matches!(states.as_slice(), [Ok(AttemptState::WaitingForUser)]) && !json_lines;
        if !asks || !answered(installation, &attempts[0], style).await? {
            break states;
        }
        attempts = vec![installation.worker.store.attempt_by_id(attempts[0].id).await?];
    };
    sweeping.abort();
    let mut exit = Exit::Done;
    let mut ended = Vec::new();
    for (attempt, state) in submission.attempts.iter().zip(states) {
        let state = match state {
            Err(error) if error.is_disk_full() => {
                let data_dir = &installation.worker.place.data_dir;
                return Err(no_room::stands_still(number.0, data_dir));
            }
            state => state?,
        };
        let events = installation.worker.record.events(attempt.id).await?;
        ended.push((attempt.ordinal, state, events));
    }
    if let [(_, state, events)] = ended.as_slice() {
        let report = Report::of(events);
        if !json_lines {
            let style = Style::new(colour && installation.surroundings.stdout_terminal);
            let has_form = submission.turn.request.output_schema.is_some();
            let text = report.text(style, &number.to_string(), scripted);
            show::end(&text, report.answer.filter(|_| has_form));
        }
        let (passed, all) = report.checks_passed();
        exit = match Exit::of(state) {
            Exit::Done if passed < all => Exit::ChecksFailed,
            exit => exit,
        };
    } else {
        if !json_lines {
            show::out(compare::text(number, &ended, style).trim_end());
        }
        // Best of several: it did what was asked if one of them did.
        let exits: Vec<Exit> = ended.iter().map(|(_, state, _)| Exit::of(state)).collect();
        if !exits.contains(&Exit::Done) {
            exit = exits.first().copied().unwrap_or(Exit::Failed);
        }
    }
    Ok(exit)
}

/// How what happens is shown.
struct View {
    progress: Progress,
    json: bool,
    task: u64,
    ordinals: Vec<u8>,
}

impl View {
    fn show(&mut self, shown: Shown) {
        match shown.what {
            What::Event(event) => self.event(shown.attempt, &event),
            What::Live(live) => self.live(shown.attempt, &live),
        }
    }

    fn event(&mut self, index: usize, event: &Event) {
        if self.json {
            let ordinal = self.ordinals.get(index).copied().unwrap_or(1);
            show::out(&json::line(self.task, ordinal, event));
        } else {
            self.progress.event(index, event);
        }
    }

    fn live(&mut self, index: usize, live: &Live) {
        if !self.json {
            self.progress.live(index, live);
        }
    }
}

async fn run_all(
    installation: &Installation,
    attempts: &[Attempt],
    seen: Option<Arc<Seen>>,
    view: &mut View,
) -> Vec<Result<AttemptState, RunError>> {
    let cancel = CancellationToken::new();
    let (tell, mut shown) = mpsc::channel(BACKLOG);
    let mut running = pin!(run_attempts(installation, 0, attempts, seen, cancel.clone(), tell));
    let mut tick = tokio::time::interval(TICK);
    let mut interrupt = Interrupts::listen(cancel);
    let states = loop {
        tokio::select! {
            biased;
            () = interrupt.next() => {
                view.progress.notice("cancelling; press Ctrl-C again to stop at once");
            }
            Some(shown) = shown.recv() => view.show(shown),
            states = &mut running => break states,
            _ = tick.tick() => if !view.json { view.progress.tick() },
        }
    };
    while let Ok(shown) = shown.try_recv() {
        view.show(shown);
    }
    states
}

/// What several attempts may cost, said before they start.
fn estimate(submission: &Submission) -> String {
    let attempts = submission.attempts.len();
    let budget = &submission.turn.request.budget;
    let limit = match (budget.cost, budget.tokens, budget.model_calls) {
        (Some(cost), _, _) => format!("at most {cost} together"),
        (_, Some(tokens), _) => format!("at most {tokens} tokens together"),
        (_, _, Some(calls)) => format!("at most {calls} model calls together"),
        _ => "no budget is set (--budget)".to_owned(),
    };
    format!("{attempts} attempts at once, about {attempts} times the cost of one; {limit}")
}
