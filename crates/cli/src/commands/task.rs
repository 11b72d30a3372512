//! `quire task`: what ran here before.

mod answer;
mod apply;
mod approve;
mod archive;
mod cancel;
mod choose;
mod diff;
mod fork;
mod go_on;
mod list;
mod logs;
mod message;
mod new;
mod new_batch;
mod pause;
mod reject;
mod resume;
mod retry;
mod show;
mod speak;
mod steer;
pub mod there;
mod watch;

use clap::Subcommand;
use quire_domain::attempt::Attempt;
use quire_domain::ids::AttemptRef;
use quire_domain::task::{Task, Turn};
use quire_orchestrator::say::Spoken;
use quire_store::StoreError;

use crate::commands::Context;
use crate::exit::{Exit, stop};
use crate::installation::Installation;

/// What to do. One file each, below `commands/task/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a task down for `quire serve`, and do not wait for it.
    New(Box<new::Args>),
    /// Tasks, newest first.
    List(list::Args),
    /// One task: its request, its end, its evidence.
    Show(show::Args),
    /// What an attempt did, event by event; or the whole output of one command.
    Logs(logs::Args),
    /// Follow a task to where it ends or stands still.
    Watch(watch::Args),
    /// Follow up: the chosen attempt's conversation and sandbox go on.
    Message(message::Args),
    /// Answer the question that a task waits with, and go on with it.
    Answer(answer::Args),
    /// Approve the plan that a task waits with, and carry it out.
    Approve(approve::Args),
    /// Want another plan, and say why.
    Reject(reject::Args),
    /// Say something to a task at work, before its model is asked the next time.
    Steer(steer::Args),
    /// Let a task stand still, here or in another process.
    Pause(pause::Args),
    /// Go on with an attempt that was killed or stands still.
    Resume(resume::Args),
    /// Cancel an attempt that works, here or in another process.
    Cancel(cancel::Args),
    /// Try the request of the newest turn once more, beside what there is.
    Retry(retry::Args),
    /// Begin another task that goes on from the end of an attempt, of any turn.
    Fork(fork::Args),
    /// Take one attempt of several as the one that counts.
    Choose(choose::Args),
    /// The change, or one attempt's change against another's.
    Diff(diff::Args),
    /// Bring the change into your checkout, by 3-way merge.
    Apply(apply::Args),
    /// Put a task away; nothing is deleted.
    Archive(archive::Args),
}

/// Runs it.
pub async fn run(command: Command, context: Context) -> anyhow::Result<Exit> {
    if let Some(remote) = context.remote()? {
        return Box::pin(there::run(command, context, &remote)).await;
    }
    let command = match command {
        // It looks at a checkout before it opens the rest.
        Command::New(args) => return Box::pin(new::run(*args, context)).await,
        command => command,
    };
    let installation = Installation::open(context, None).await?;
    match command {
        Command::New(_) => Ok(Exit::Failed),
        Command::List(args) => list::run(args, &installation).await,
        Command::Show(args) => show::run(args, &installation).await,
        Command::Logs(args) => logs::run(args, &installation).await,
        Command::Watch(args) => watch::run(args, &installation).await,
        Command::Message(args) => message::run(args, &installation).await,
        Command::Answer(args) => answer::run(args, &installation).await,
        Command::Approve(args) => approve::run(args, &installation).await,
        Command::Reject(args) => reject::run(args, &installation).await,
        Command::Steer(args) => steer::run(args, &installation).await,
        Command::Pause(args) => pause::run(args, &installation).await,
        Command::Resume(args) => resume::run(args, &installation).await,
        Command::Cancel(args) => cancel::run(args, &installation).await,
        Command::Retry(args) => retry::run(args, &installation).await,
        Command::Fork(args) => fork::run(args, &installation).await,
        Command::Choose(args) => choose::run(args, &installation).await,
        Command::Diff(args) => diff::run(args, &installation).await,
        Command::Apply(args) => apply::run(args, &installation).await,
        Command::Archive(args) => archive::run(args, &installation).await,
    }
}

/// A task as a person named it, with the attempt that is meant.
pub struct Named {
    /// The task.
    pub task: Task,
    /// Its turns, oldest first.
    pub turns: Vec<Turn>,
    /// The attempt of the newest turn.
    pub attempt: Attempt,
}

/// Finds what a person named: the chosen attempt of the newest turn, or the one named.
pub async fn find(installation: &Installation, name: AttemptRef) -> anyhow::Result<Named> {
    let store = &installation.worker.store;
    let task = store.task(name.task).await.map_err(told)?;
    let turns = store.turns(task.id).await.map_err(told)?;
    let attempt = store.attempt(name).await.map_err(told)?;
    Ok(Named { task, turns, attempt })
}

/// An error of the store with what to do about it.
pub fn told(error: StoreError) -> anyhow::Error {
    if matches!(error, StoreError::DiskFull) {
        // Which disk that is, is said by who knows.
        return error.into();
    }
    // It says itself what can be done.
    if matches!(error, StoreError::NotPossible { .. }) {
        return stop(Exit::Usage, error.to_string());
    }
    let exit = match &error {
        StoreError::NotFound { .. } | StoreError::NotChosen { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    stop(exit, format!("{error}: {}", error.advice()))
}

/// Where the attempts stand that a person spoke to, as JSON.
pub fn told_of(spoken: &Spoken) -> serde_json::Value {
    let attempts: Vec<_> = spoken
        .attempts
        .iter()
        .map(|attempt| serde_json::json!({ "attempt": attempt.ordinal, "state": attempt.state }))
        .collect();
    serde_json::json!({
        "task": spoken.task.number,
        "turn": spoken.turn.ordinal,
        "attempts": attempts,
    })
}
