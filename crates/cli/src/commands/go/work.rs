//! Attempts at work: run here, shown while they run, and their end printed.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::event::Event;
use quire_domain::ids::{AttemptId, Seq};
use quire_domain::journal::Live;
use quire_engine::{Heard, Watch};
use quire_orchestrator::error::RunError;
use quire_orchestrator::keep::{Keep, sweep};
use quire_orchestrator::prepare::Seen;
use quire_store::Submission;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::interrupts::Interrupts;
use crate::exit::Exit;
use crate::installation::Installation;
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
    let mut view = View {
        progress: Progress::new(&labels, style, terminal, show::width()),
        json: json_lines,
        task: number.0,
        ordinals: submission.attempts.iter().map(|attempt| attempt.ordinal).collect(),
    };
    let worker = installation.worker.clone();
    let keep = Keep {
        hours: installation.settings.keep_hours.value,
        layer_bytes: installation.settings.layers_gib.value << 30,
    };
    let sweeping = tokio::spawn(async move {
        // The first request goes first.
        tokio::time::sleep(Duration::from_secs(1)).await;
        sweep(&worker, keep).await;
    });
    let states = run_all(installation, &submission.attempts, seen, &mut view).await;
    view.progress.end();
    sweeping.abort();
    let mut exit = Exit::Done;
    let mut ended = Vec::new();
    for (attempt, state) in submission.attempts.iter().zip(states) {
        let state = state?;
        let events = installation.worker.record.events(attempt.id).await?;
        ended.push((attempt.ordinal, state, events));
    }
    if let [(_, state, events)] = ended.as_slice() {
        let report = Report::of(events);
        if !json_lines {
            show::out(
                report
                    .text(
                        Style::new(colour && installation.surroundings.stdout_terminal),
                        &number.to_string(),
                        scripted,
                    )
                    .trim_end(),
            );
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
pub struct View {
    progress: Progress,
    json: bool,
    task: u64,
    ordinals: Vec<u8>,
}

impl View {
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

enum Shown {
    Event(usize, Box<Event>),
    Live(usize, Live),
}

/// What is shown may be this far behind before the watchers wait.
const BACKLOG: usize = 1_024;

async fn run_all(
    installation: &Installation,
    attempts: &[Attempt],
    seen: Option<Arc<Seen>>,
    view: &mut View,
) -> Vec<Result<AttemptState, RunError>> {
    let cancel = CancellationToken::new();
    let (tell, mut shown) = mpsc::channel(BACKLOG);
    let mut running = FuturesUnordered::new();
    for (index, attempt) in attempts.iter().enumerate() {
        // Of an attempt that goes on, what is new: the rest was shown before.
        let head = installation.worker.record.log.head(attempt.id).await;
        let from = Seq(head.map_or(0, |head| head.seq.0) + 1);
        watch(installation, attempt.id, from, index, tell.clone());
        let worker = installation.worker.clone();
        let (id, seen, cancel) = (attempt.id, seen.clone(), cancel.clone());
        let task = tokio::spawn(async move {
            Box::pin(quire_orchestrator::life::run(&worker, id, seen, cancel)).await
        });
        running.push(async move { (index, task.await) });
    }
    drop(tell);
    let mut states: Vec<Option<Result<AttemptState, RunError>>> =
        attempts.iter().map(|_| None).collect();
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut interrupt = Interrupts::listen(cancel.clone());
    loop {
        tokio::select! {
            biased;
            () = interrupt.next() => {
                view.progress.notice("cancelling; press Ctrl-C again to stop at once");
            }
            Some(shown) = shown.recv() => match shown {
                Shown::Event(index, event) => view.event(index, &event),
                Shown::Live(index, live) => view.live(index, &live),
            },
            Some((index, ended)) = running.next(), if !running.is_empty() => {
                states[index] = Some(ended.unwrap_or_else(|error| {
                    Err(RunError::Origin(format!("the attempt's task broke off: {error}")))
                }));
                if running.is_empty() {
                    break;
                }
            }
            _ = tick.tick() => if !view.json { view.progress.tick() },
        }
    }
    // What was written last is shown too; the watchers end with the log.
    let last = async {
        while let Some(shown) = shown.recv().await {
            match shown {
                Shown::Event(index, event) => view.event(index, &event),
                Shown::Live(index, live) => view.live(index, &live),
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), last).await;
    states.into_iter().flatten().collect()
}

/// Shows an attempt's events from the number `from` on, and what is not kept, until its end.
fn watch(
    installation: &Installation,
    attempt: AttemptId,
    from: Seq,
    index: usize,
    tell: mpsc::Sender<Shown>,
) {
    let record = installation.worker.record.clone();
    let mut feed = record.bus.subscribe(attempt);
    tokio::spawn(async move {
        let mut watch = Watch::new(Arc::clone(&record.log), attempt, from);
        loop {
            tokio::select! {
                stored = watch.next() => {
                    let Ok(batch) = stored else { return };
                    for stored in batch {
                        let last = matches!(stored.kind.as_str(), "finished" | "suspended");
                        let Ok(event) = record.open_event(stored).await else { return };
                        if tell.send(Shown::Event(index, Box::new(event))).await.is_err() || last {
                            return;
                        }
                    }
                }
                heard = feed.next() => match heard {
                    // Live pieces never hold up events.
                    Some(Heard::Live(live)) => { let _ = tell.try_send(Shown::Live(index, live)); }
                    Some(Heard::Missed(_)) => {}
                    None => return,
                }
            }
        }
    });
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
