//! Follows the newest turn of a task on a server to where it ends or stands still, and prints it as
//! a run on this machine is printed.

use std::time::Duration;

use quire_api::{InputTaken, NewInput, Task, Wanted};
use quire_client::Call;
use quire_domain::attempt::AttemptState;
use quire_domain::event::Event;
use quire_domain::ids::TaskNumber;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::news::{AWAY, Followed, Source};
use super::{Remote, tasks, told};
use crate::exit::Exit;
use crate::show::answer::Report;
use crate::show::progress::Progress;
use crate::show::style::Style;
use crate::show::{self, compare};

/// How a task is followed.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Follow {
    /// Prints each event as a line of JSON.
    pub json: bool,
    /// Prints at the end the answer on standard output, which is a value of the form that was asked
    /// for, and all else on standard error.
    pub value: bool,
    /// Says nothing until the end.
    pub quiet: bool,
    /// For how long; until it ends if `None`.
    pub limit: Option<Duration>,
    /// Whether what happened before is shown too.
    pub from_start: bool,
}

/// How often the server is asked, while something happens and while nothing does.
const BUSY: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(2);
/// How long a second Ctrl-C is waited for.
const SECOND: Duration = Duration::from_secs(3);

/// Follows a task; prints its end, and gives the exit code of it.
pub async fn follow(remote: &Remote, task: Task, how: Follow) -> anyhow::Result<Exit> {
    let colour = remote.surroundings.colour();
    let style = Style::new(colour);
    let number = task.summary.task;
    let newest = task.history.last();
    let model = newest.map(|turn| turn.model.clone()).unwrap_or_default();
    let scripted = model.starts_with("scripted/");
    if !how.json && !how.quiet {
        let note = if scripted { " (a script plays the model)" } else { "" };
        let place = show::style::plain(&task.summary.repository, false);
        let heading = format!("task {number} on {} · {model}{note} · {place}", remote.name);
        show::err(&style.bold(&heading));
    }
    let labels: Vec<String> =
        task.summary.attempts.iter().map(|one| format!("{number}.{}", one.attempt)).collect();
    let terminal = remote.surroundings.stderr_terminal && colour;
    let moves = terminal && !how.quiet && !how.json;
    let mut progress = Progress::new(&labels, style, moves, show::width());
    let mut followed: Vec<Followed> =
        task.summary.attempts.into_iter().map(Followed::new).collect();
    let mut source = Source::open(remote, number);
    let mut interrupts = interrupts();
    let mut leaving: Option<Instant> = None;
    let (mut away, mut place): (Option<Instant>, Option<u64>) = (None, None);
    // Whether all was told that there was at the beginning.
    let mut whole = false;
    let until = how.limit.map(|limit| Instant::now() + limit);
    loop {
        let pause = match source.news(remote, &mut followed).await {
            Ok(news) => {
                if away.take().is_some() && !how.quiet {
                    progress.notice("the server is there again");
                }
                for notice in news.notices.iter().filter(|_| !how.quiet) {
                    progress.notice(notice);
                }
                for (index, event) in &news.events {
                    let shown = how.from_start || whole || !followed[*index].is_over();
                    if how.json {
                        let ordinal = followed[*index].attempt.attempt;
                        show::out(&tasks::line(number, ordinal, event));
                    } else if let Some(event) = tasks::event(event).filter(|_| shown && !how.quiet)
                    {
                        progress.event(*index, &event);
                    }
                }
                whole |= news.whole;
                let queued = followed
                    .iter()
                    .find_map(|one| one.attempt.queue_place)
                    .filter(|place| *place > 0);
                if queued != place && !how.json && !how.quiet {
                    if let Some(queued) = queued {
                        progress
                            .notice(&format!("waits for a worker: number {queued} in the queue"));
                    }
                    place = queued;
                }
                if whole && followed.iter().all(Followed::is_over) {
                    break;
                }
                source.pause().or((!news.events.is_empty()).then_some(BUSY))
            }
            Err(error) if error.is_for_now() => {
                let since = *away.get_or_insert_with(|| {
                    if !how.quiet {
                        progress
                            .notice(&format!("{error}; the task goes on, and this tries again"));
                    }
                    Instant::now()
                });
                if since.elapsed() > AWAY {
                    progress.end();
                    return Err(told(error));
                }
                Some(IDLE)
            }
            Err(error) => {
                progress.end();
                return Err(told(error));
            }
        };
        let pause = pause.unwrap_or(if how.quiet { IDLE } else { BUSY * 2 });
        if until.is_some_and(|until| Instant::now() > until) {
            progress.end();
            show::err(&format!(
                "task {number} is still at work after the time that was given; \
                 `quire task watch {number}{}` goes on watching",
                remote.flag
            ));
            return Ok(Exit::TimedOut);
        }
        tokio::select! {
            biased;
            Some(()) = interrupts.recv() => if leaving.take().is_none() {
                leaving = Some(Instant::now());
                progress.notice(&format!(
                    "task {number} goes on on {}: `quire task watch {number}{}` comes back to it; \
                     press Ctrl-C again now to cancel it",
                    remote.name, remote.flag
                ));
            } else {
                say(remote, number, None, Wanted::Cancel).await?;
                progress.notice("cancelling");
            },
            () = tokio::time::sleep(pause) => progress.tick(),
        }
        if leaving.is_some_and(|since| since.elapsed() > SECOND) {
            progress.end();
            return Ok(Exit::Cancelled);
        }
    }
    progress.end();
    Ok(ended(remote, number, &followed, how, scripted))
}

/// Prints how it ended, as a run on this machine does.
fn ended(remote: &Remote, number: u64, all: &[Followed], how: Follow, scripted: bool) -> Exit {
    let colour = remote.surroundings.colour() && remote.surroundings.stdout_terminal;
    let style = Style::new(colour);
    if let [one] = all {
        let report = Report::of(&one.events);
        if !how.json {
            let text = report.text(style, &format!("{number}{}", remote.flag), scripted);
            show::end(&text, report.answer.filter(|_| how.value));
        }
        let (passed, checks) = report.checks_passed();
        return match Exit::of(&one.attempt.state) {
            Exit::Done if passed < checks => Exit::ChecksFailed,
            exit => exit,
        };
    }
    let exits: Vec<Exit> = all.iter().map(|one| Exit::of(&one.attempt.state)).collect();
    if !how.json {
        let ended: Vec<(u8, AttemptState, Vec<Event>)> = all
            .iter()
            .map(|one| (one.attempt.attempt, one.attempt.state.clone(), one.events.clone()))
            .collect();
        show::out(compare::text_there(TaskNumber(number), &ended, style, &remote.flag).trim_end());
    }
    // Best of several: it did what was asked if one of them did.
    if exits.contains(&Exit::Done) {
        Exit::Done
    } else {
        exits.first().copied().unwrap_or(Exit::Failed)
    }
}

/// Wants something of the newest turn of a task.
pub async fn say(
    remote: &Remote,
    number: u64,
    attempt: Option<u8>,
    wanted: Wanted,
) -> anyhow::Result<u64> {
    let call =
        Call::post(&["tasks", &number.to_string(), "inputs"]).json(&NewInput { attempt, wanted });
    let taken: InputTaken = remote.client.ask(call).await.map_err(told)?;
    Ok(taken.input)
}

/// Ctrl-C and SIGTERM, as they come.
fn interrupts() -> mpsc::Receiver<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (tell, heard) = mpsc::channel(2);
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => {}
                // What ends this process has nothing to do with the task.
                Some(()) = terminate.recv() => std::process::exit(i32::from(Exit::Cancelled as u8)),
                else => return,
            }
            if tell.send(()).await.is_err() {
                return;
            }
        }
    });
    heard
}
