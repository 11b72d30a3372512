//! `quire task fork`: another task that goes on from the end of an attempt.

use quire_domain::attempt::Attempt;
use quire_domain::ids::AttemptRef;
use quire_domain::task::Turn;
use quire_orchestrator::fork::{NewFork, fork};
use quire_orchestrator::submit::Terms;

use crate::commands::go::work;
use crate::commands::task::{go_on, told};
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or the attempt to go on from (`42.3`).
    pub(super) task: AttemptRef,
    /// What is to be done now.
    pub(super) prompt: String,
    /// An earlier turn than the newest, counted from 1.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) turn: Option<u32>,
    #[command(flatten)]
    pub(super) options: go_on::Options,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    go_on::words(&args.prompt)?;
    let (turn, attempt) = meant(&args, installation).await?;
    installation.needs_sandbox()?;
    let (request, resolved) =
        go_on::request(installation, &turn, args.prompt, &args.options).await?;
    let new = NewFork { from: attempt.id, request, terms: Terms::default() };
    let submission = fork(&installation.worker, new).await.map_err(|error| match error {
        quire_orchestrator::submit::SubmitError::Store(error) => told(error),
        other => other.into(),
    })?;
    if !args.options.json {
        let (from, now) = (args.task, submission.task.number);
        show::err(&format!("task {now} goes on from turn {} of task {from}", turn.ordinal));
    }
    work(installation, &submission, None, args.options.json, resolved.info.scripted).await
}

/// The turn, and the attempt of it: the one named, else the chosen one.
async fn meant(args: &Args, installation: &Installation) -> anyhow::Result<(Turn, Attempt)> {
    let store = &installation.worker.store;
    let task = store.task(args.task.task).await.map_err(told)?;
    let turns = store.turns(task.id).await.map_err(told)?;
    let count = turns.len();
    let turn = match args.turn {
        None => turns.into_iter().next_back(),
        Some(ordinal) => turns.into_iter().find(|turn| turn.ordinal == ordinal),
    };
    let Some(turn) = turn else {
        return Err(usage(format!("task {} has {count} turns", task.number)));
    };
    let attempts = store.attempts(turn.id).await.map_err(told)?;
    let meant = attempts.into_iter().find(|attempt| match args.task.ordinal {
        Some(ordinal) => attempt.ordinal == ordinal,
        None => Some(attempt.id) == turn.chosen,
    });
    let Some(attempt) = meant else {
        return Err(usage(format!(
            "turn {} of task {} has several attempts: name one, as in `{}.2`",
            turn.ordinal, task.number, task.number
        )));
    };
    Ok((turn, attempt))
}
