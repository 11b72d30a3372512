//! `quire task resume`: goes on with an attempt that was killed or stands still.

use quire_domain::attempt::AttemptState;
use quire_domain::ids::AttemptRef;
use quire_store::{InputKind, NewInput, Submission};

use crate::commands::go::{parse_budget, work};
use crate::commands::task::{find, told};
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    task: AttemptRef,
    /// A budget in place of the one before: dollars (`2.50`), tokens (`500000t`) or model calls
    /// (`40c`), counted from the turn's beginning.
    #[arg(long, value_name = "AMOUNT")]
    budget: Option<String>,
    /// Print one event per line as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let task = worker.store.task(args.task.task).await.map_err(told)?;
    let turns = worker.store.turns(task.id).await.map_err(told)?;
    let Some(turn) = turns.last().cloned() else { return Ok(Exit::Failed) };
    let mut attempts = worker.store.attempts(turn.id).await.map_err(told)?;
    if args.task.ordinal.is_some() {
        let named = find(installation, args.task).await?;
        attempts.retain(|attempt| attempt.id == named.attempt.id);
    }
    attempts.retain(|attempt| !matches!(attempt.state, AttemptState::Done { .. }));
    if attempts.is_empty() {
        return Err(usage(format!(
            "task {} has ended: `quire task message {} \"…\"` follows it up",
            task.number, task.number
        )));
    }
    installation.needs_sandbox()?;
    let resolved = installation.models.resolve(Some(&turn.request.model)).await?;
    if let Some(text) = &args.budget {
        let mut budget = parse_budget(text, "--budget")?;
        budget.wall_ms = turn.request.budget.wall_ms;
        if let (Some(limit), None) = (budget.cost, &resolved.info.price) {
            show::err(&format!(
                "the budget of {limit} never stops this run: no price is known of {}",
                resolved.info.name
            ));
        }
        let kind = InputKind::RaiseBudget { budget };
        let input = NewInput { task: task.id, attempt: None, kind, now: worker.clock.now() };
        worker.store.put_input(input).await.map_err(told)?;
    }
    let submission = Submission { task, turn, attempts, continues: None, repeated: false };
    work(installation, &submission, None, args.json, resolved.info.scripted).await
}
