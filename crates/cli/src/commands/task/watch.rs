//! `quire task watch`: follows the newest turn of a task to where it ends or stands still, wherever
//! it is worked on.

use std::time::Duration;

use quire_domain::attempt::AttemptState;
use quire_domain::event::Event;
use quire_domain::ids::AttemptRef;

use crate::commands::task::told;
use crate::exit::Exit;
use crate::installation::Installation;
use crate::remote::follow::{Follow, follow};
use crate::remote::{Remote, tasks};
use crate::show::answer::Report;
use crate::show::progress::Progress;
use crate::show::style::Style;
use crate::show::{self, compare, json};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    pub(super) task: AttemptRef,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Say nothing until the end.
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Give up watching after so many minutes, with the exit code 124; the task goes on.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) timeout: Option<u64>,
}

/// How often the log is looked at.
const PAUSE: Duration = Duration::from_millis(300);

/// Runs it, for a task of this machine.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let task = worker.store.task(args.task.task).await.map_err(told)?;
    let turns = worker.store.turns(task.id).await.map_err(told)?;
    let Some(turn) = turns.last() else { return Ok(Exit::Failed) };
    let mut attempts = worker.store.attempts(turn.id).await.map_err(told)?;
    attempts.retain(|one| args.task.ordinal.is_none_or(|ordinal| one.ordinal == ordinal));
    let scripted = turn.request.model.starts_with("scripted/");
    let style = Style::new(installation.surroundings.colour());
    let labels: Vec<String> =
        attempts.iter().map(|one| format!("{}.{}", task.number, one.ordinal)).collect();
    let terminal = installation.surroundings.stderr_terminal
        && installation.surroundings.colour()
        && !args.quiet;
    let mut progress = Progress::new(&labels, style, terminal && !args.json, show::width());
    let mut seen: Vec<Vec<Event>> = attempts.iter().map(|_| Vec::new()).collect();
    let until = args.timeout.map(|minutes| {
        tokio::time::Instant::now() + Duration::from_secs(minutes.saturating_mul(60))
    });
    loop {
        let mut open = false;
        for (index, attempt) in attempts.iter_mut().enumerate() {
            // Where it stands first: the log then holds all of one that is over.
            *attempt = worker.store.attempt_by_id(attempt.id).await.map_err(told)?;
            open |= matches!(
                attempt.state,
                AttemptState::Queued | AttemptState::Preparing | AttemptState::Working
            );
            let events = worker.record.events(attempt.id).await?;
            for event in events.iter().skip(seen[index].len()) {
                if args.json {
                    show::out(&json::line(task.number.0, attempt.ordinal, event));
                } else if !args.quiet {
                    progress.event(index, event);
                }
            }
            seen[index] = events;
        }
        if !open {
            break;
        }
        if until.is_some_and(|until| tokio::time::Instant::now() > until) {
            progress.end();
            show::err(&format!("task {} is still at work after the time given", task.number));
            return Ok(Exit::TimedOut);
        }
        progress.tick();
        tokio::time::sleep(PAUSE).await;
    }
    progress.end();
    if let ([attempt], [events]) = (attempts.as_slice(), seen.as_slice()) {
        let report = Report::of(events);
        if !args.json {
            show::out(report.text(style, &args.task.to_string(), scripted).trim_end());
        }
        let (passed, all) = report.checks_passed();
        return Ok(match Exit::of(&attempt.state) {
            Exit::Done if passed < all => Exit::ChecksFailed,
            exit => exit,
        });
    }
    let exits: Vec<Exit> = attempts.iter().map(|one| Exit::of(&one.state)).collect();
    if !args.json {
        let ended: Vec<_> = attempts
            .into_iter()
            .zip(seen)
            .map(|(attempt, events)| (attempt.ordinal, attempt.state, events))
            .collect();
        show::out(compare::text(task.number, &ended, style).trim_end());
    }
    let first = exits.first().copied().unwrap_or(Exit::Failed);
    Ok(if exits.contains(&Exit::Done) { Exit::Done } else { first })
}

/// Runs it, for a task on a server.
pub async fn run_there(args: Args, remote: &Remote) -> anyhow::Result<Exit> {
    let mut task = tasks::task(remote, args.task.task.0).await?;
    if args.task.ordinal.is_some() {
        let meant = tasks::meant(&task, args.task)?.id;
        task.summary.attempts.retain(|one| one.id == meant);
    }
    let how = Follow {
        value: false,
        json: args.json,
        quiet: args.quiet,
        limit: args.timeout.map(|minutes| Duration::from_secs(minutes.saturating_mul(60))),
        from_start: true,
    };
    follow(remote, task, how).await
}
