//! `quire task message`: a follow-up, which goes on from the chosen attempt's conversation and
//! sandbox; or a word to one that works now.

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::AttemptRef;
use quire_domain::task::{Mode, Request};
use quire_orchestrator::keep::is_cut_off;
use quire_orchestrator::submit::{NewFollowUp, follow_up};
use quire_orchestrator::worker::Worker;
use quire_store::{InputKind, NewInput};

use crate::commands::go::{budget_of, parse_budget, work};
use crate::commands::task::told;
use crate::defaults::defaults_of;
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or the attempt to go on from (`42.3`).
    task: AttemptRef,
    /// What is to be done now.
    prompt: String,
    /// Only answer; change nothing.
    #[arg(long)]
    ask: bool,
    /// Another model than before.
    #[arg(long, short)]
    model: Option<String>,
    /// Attempts at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    attempts: u8,
    /// What it may cost: dollars (`2.50`), tokens (`500000t`) or model calls (`40c`).
    #[arg(long, value_name = "AMOUNT")]
    budget: Option<String>,
    /// Print one event per line as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    if args.prompt.trim().is_empty() {
        return Err(usage("the message is empty"));
    }
    let worker = &installation.worker;
    let task = worker.store.task(args.task.task).await.map_err(told)?;
    let turns = worker.store.turns(task.id).await.map_err(told)?;
    let Some(turn) = turns.last() else { return Ok(Exit::Failed) };
    let attempts = worker.store.attempts(turn.id).await.map_err(told)?;
    // One that stands still has not ended either: a turn is followed by the next when it is over.
    if attempts.iter().any(|attempt| !matches!(attempt.state, AttemptState::Done { .. })) {
        let attempt = args.task.ordinal.and_then(|ordinal| {
            attempts.iter().find(|attempt| attempt.ordinal == ordinal).map(|attempt| attempt.id)
        });
        let kind = InputKind::Message { text: args.prompt };
        let input = NewInput { task: task.id, attempt, kind, now: worker.clock.now() };
        worker.store.put_input(input).await.map_err(told)?;
        let number = task.number;
        if works(worker, &attempts).await {
            show::err(&format!("task {number} is at work: it is told after its turn"));
        } else {
            show::err(&format!(
                "task {number} stands still, and nothing works on it: it is told after its turn, \
                 which `quire task resume {number}` goes on with and `quire task cancel {number}` \
                 ends"
            ));
        }
        return Ok(Exit::Done);
    }
    installation.needs_sandbox()?;
    let continues = match args.task.ordinal {
        Some(_) => Some(worker.store.attempt(args.task).await.map_err(told)?.id),
        None => None,
    };
    let name = args.model.as_deref().unwrap_or(&turn.request.model);
    let resolved = installation.models.resolve(Some(name)).await?;
    let budget = args.budget.as_deref().map(|text| parse_budget(text, "--budget")).transpose()?;
    // What the task's environment was said to have; a budget that was set since counts as well.
    let budget = match &turn.request.environment {
        Some(environment) if environment.budget.is_some() => budget_of(budget, environment),
        _ => budget_of(budget, &defaults_of(&installation.settings)?.environment),
    };
    let request = Request {
        mode: if args.ask { Mode::Ask } else { turn.request.mode },
        prompt: args.prompt,
        images: Vec::new(),
        model: resolved.info.name.clone(),
        attempts: args.attempts,
        budget,
        checks: turn.request.checks.clone(),
        skip_checks: turn.request.skip_checks,
        allow_rewrite: turn.request.allow_rewrite,
        review: turn.request.review.clone(),
        start: None,
        environment: None,
    };
    let new = NewFollowUp { task: task.id, continues, request };
    let submission = follow_up(worker, new).await?;
    work(installation, &submission, None, args.json, resolved.info.scripted).await
}

/// Whether a process is at work on one of them, or will be as soon as it can.
async fn works(worker: &Worker, attempts: &[Attempt]) -> bool {
    for attempt in attempts {
        match attempt.state {
            AttemptState::Queued => return true,
            AttemptState::Preparing | AttemptState::Working
                if !is_cut_off(worker, attempt.id).await =>
            {
                return true;
            }
            _ => {}
        }
    }
    false
}
