//! `quire task answer`: answers the question that a task waits with, and goes on with it.

use quire_domain::attempt::AttemptState;
use quire_domain::event::EventBody;
use quire_domain::ids::AttemptRef;
use quire_store::InputKind;

use super::speak::{self, go_on};
use crate::commands::go::chosen;
use crate::exit::{Exit, usage};
use crate::installation::Installation;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or the attempt (`42.1`).
    pub(super) task: AttemptRef,
    /// The answer: words, or the number of one of the choices.
    pub(super) answer: String,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    if args.answer.trim().is_empty() {
        return Err(usage("the answer is empty"));
    }
    let spoken = speak::to(installation, args.task, &AttemptState::WaitingForUser).await?;
    let events = installation.worker.record.events(spoken.attempt.id).await?;
    let question = events.iter().rev().find_map(|event| match &event.body {
        EventBody::QuestionAsked(question) => Some(question),
        _ => None,
    });
    let text = question.map_or(args.answer.clone(), |question| chosen(question, &args.answer));
    spoken.put(installation, InputKind::Answer { text }).await?;
    go_on(installation, spoken, args.json).await
}
