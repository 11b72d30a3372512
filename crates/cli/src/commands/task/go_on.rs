//! What follow-ups and forks are asked with: the options, and the request that comes of them.

use quire_domain::task::{Mode, Request, Turn};
use quire_models::ResolvedModel;

use crate::commands::go::{budget_of, parse_budget};
use crate::defaults::defaults_of;
use crate::exit::usage;
use crate::installation::Installation;

/// The options that both have.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only answer; change nothing.
    #[arg(long)]
    pub(super) ask: bool,
    /// Another model than before.
    #[arg(long, short)]
    pub(super) model: Option<String>,
    /// Attempts at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(super) attempts: u8,
    /// What it may cost: dollars (`2.50`), tokens (`500000t`) or model calls (`40c`).
    #[arg(long, value_name = "AMOUNT")]
    pub(super) budget: Option<String>,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Refuses words that are none.
pub fn words(text: &str) -> anyhow::Result<()> {
    if text.trim().is_empty() { Err(usage("the message is empty")) } else { Ok(()) }
}

/// The request that goes on from `turn` with these words, and the model it names.
pub async fn request(
    installation: &Installation,
    turn: &Turn,
    prompt: String,
    options: &Options,
) -> anyhow::Result<(Request, ResolvedModel)> {
    let name = options.model.as_deref().unwrap_or(&turn.request.model);
    let resolved = installation.models.resolve(Some(name)).await?;
    let budget =
        options.budget.as_deref().map(|text| parse_budget(text, "--budget")).transpose()?;
    // What the task's environment was said to have; a budget that was set since counts as well.
    let budget = match &turn.request.environment {
        Some(environment) if environment.budget.is_some() => budget_of(budget, environment),
        _ => budget_of(budget, &defaults_of(&installation.settings)?.environment),
    };
    let request = Request {
        mode: if options.ask { Mode::Ask } else { turn.request.mode },
        prompt,
        images: Vec::new(),
        model: resolved.info.name.clone(),
        attempts: options.attempts,
        budget,
        checks: turn.request.checks.clone(),
        skip_checks: turn.request.skip_checks,
        allow_rewrite: turn.request.allow_rewrite,
        questions: turn.request.questions,
        output_schema: None,
        review: turn.request.review.clone(),
        start: None,
        environment: None,
    };
    Ok((request, resolved))
}
