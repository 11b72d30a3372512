//! `quire task …` on a server: the same commands, with the same output and exit codes.

mod apply;
mod list;
mod read;
mod speak;

pub use self::apply::{Change, change_of};

use super::Command;
use crate::commands::Context;
use crate::exit::Exit;
use crate::remote::Remote;

/// Runs a command on a server.
pub async fn run(command: Command, context: Context, remote: &Remote) -> anyhow::Result<Exit> {
    match command {
        Command::New(args) => Box::pin(super::new::run_there(*args, context, remote)).await,
        Command::List(args) => list::run(args, remote).await,
        Command::Show(args) => read::show(args, remote).await,
        Command::Logs(args) => read::logs(args, remote).await,
        Command::Watch(args) => super::watch::run_there(args, remote).await,
        Command::Diff(args) => read::diff(args, remote).await,
        Command::Apply(args) => apply::run(args, remote).await,
        Command::Message(args) => speak::message(args, remote).await,
        Command::Answer(args) => speak::answer(args, remote).await,
        Command::Approve(args) => speak::approve(args, remote).await,
        Command::Reject(args) => speak::reject(args, remote).await,
        Command::Steer(args) => speak::steer(args, remote).await,
        Command::Pause(args) => speak::pause(args, remote).await,
        Command::Resume(args) => speak::resume(args, remote).await,
        Command::Cancel(args) => speak::cancel(args, remote).await,
        Command::Retry(args) => speak::retry(args, remote).await,
        Command::Fork(args) => speak::fork(args, remote).await,
        Command::Choose(args) => speak::choose(args, remote).await,
        Command::Archive(args) => speak::archive(args, remote).await,
    }
}
