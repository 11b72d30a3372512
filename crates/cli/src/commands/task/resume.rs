//! `quire task resume`: goes on with what was killed, stands still, or is about to.

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::AttemptRef;
use quire_orchestrator::say::{is_free, named, say};
use quire_store::{InputKind, Submission};

use crate::commands::go::{parse_budget, work};
use crate::commands::task::{told, told_of};
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    pub(super) task: AttemptRef,
    /// A budget in place of the one before: dollars (`2.50`), tokens (`500000t`) or model calls
    /// (`40c`), counted from the turn's beginning.
    #[arg(long, value_name = "AMOUNT")]
    pub(super) budget: Option<String>,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let spoken = named(worker, args.task).await.map_err(told)?;
    let (task, turn) = (spoken.task.clone(), spoken.turn.clone());
    let open = |attempt: &Attempt| !matches!(attempt.state, AttemptState::Done { .. });
    if !spoken.attempts.iter().any(open) {
        return Err(usage(format!(
            "task {} has ended: `quire task message {} \"…\"` follows it up",
            task.number, task.number
        )));
    }
    let resolved = installation.models.resolve(Some(&turn.request.model)).await?;
    let mut kind = InputKind::Resume;
    if let Some(text) = &args.budget {
        let mut budget = parse_budget(text, "--budget")?;
        budget.wall_ms = turn.request.budget.wall_ms;
        if let (Some(limit), None) = (budget.cost, &resolved.info.price) {
            show::err(&format!(
                "the budget of {limit} never stops this run: no price is known of {}",
                resolved.info.name
            ));
        }
        kind = InputKind::RaiseBudget { budget };
    }
    let mut here = Vec::new();
    for attempt in spoken.attempts.iter().filter(|attempt| open(attempt)) {
        if is_free(worker, attempt).await.map_err(told)? {
            here.push(attempt.id);
        }
    }
    if !here.is_empty() {
        installation.needs_sandbox()?;
    }
    let mut spoken = say(worker, args.task, kind).await.map_err(told)?;
    let now = worker.clock.now();
    let mut elsewhere = Vec::new();
    let mut attempts = Vec::new();
    for attempt in spoken.attempts.drain(..).filter(open) {
        let waits = worker.store.queue_place(attempt.id, now).await.map_err(told)?.is_some();
        if here.contains(&attempt.id) && !waits {
            attempts.push(attempt);
        } else {
            let where_ = if waits { "waits for a worker of the server" } else { "is at work" };
            show::err(&format!("attempt {}.{} {where_}", task.number, attempt.ordinal));
            elsewhere.push(attempt);
        }
    }
    if attempts.is_empty() {
        if args.json {
            spoken.attempts = elsewhere;
            show::out(&told_of(&spoken).to_string());
        }
        return Ok(Exit::Done);
    }
    let submission = Submission { task, turn, attempts, continues: None, repeated: false };
    work(installation, &submission, None, args.json, resolved.info.scripted).await
}
