//! What `run`, `ask` and `review` share: reading the request, submitting it, showing it at work,
//! cancelling it, and printing its end.

mod attempts;
mod batch;
mod in_place;
mod interrupts;
mod place;
mod request;
mod there;
mod work;

use std::path::PathBuf;

use clap::Args;
use quire_domain::task::{Mode, Request, ReviewTarget};
use quire_git::GitError;
use quire_orchestrator::found::{Found, Source, find};
use quire_orchestrator::resolution::Resolved;
use quire_orchestrator::submit::{SubmitError, Terms, write_down, write_down_on};
use quire_store::Submission;

use crate::commands::Context;
use crate::defaults::defaults_of;
use crate::exit::{Exit, stop, usage};
use crate::installation::Installation;
use crate::show;
use crate::surroundings::{Surroundings, checkout_of};

pub use self::attempts::{Shown, TICK, What, keep_of, sweep_meanwhile};
pub use self::batch::{Many, go_many};
pub use self::in_place::chosen;
pub use self::place::{Place, not_resolved};
pub use self::request::{budget_of, parse_budget, source_of};
use self::request::{check, read_images, read_prompt, read_schema};
pub use self::there::{FarTerms, go_there, submit as submit_there};
pub use self::work::work;

/// Taking in a checkout without a word takes this long at most.
const SLOW: std::time::Duration = std::time::Duration::from_secs(2);

/// Flags that `run`, `ask` and `review` share.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Common {
    /// The repository: a path or an address; this checkout if not given.
    #[arg(long, value_name = "PATH|URL")]
    pub repo: Option<String>,
    /// The branch, tag or commit to start from, instead of what is checked out.
    #[arg(long = "ref", value_name = "REF")]
    pub from: Option<String>,
    /// The model, e.g. `openai/gpt-5`; `quire model list` shows all.
    #[arg(long, short)]
    pub model: Option<String>,
    /// Attempts at once, of which one is chosen.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub attempts: u8,
    /// A picture that belongs to the prompt; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub image_file: Vec<PathBuf>,
    /// The environment, by its name (`quire env list`); if not given, the checkout's recipe, else
    /// the repository's default.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// What it may cost: dollars (`2.50`), tokens (`500000t`) or model calls (`40c`).
    #[arg(long, value_name = "AMOUNT")]
    pub budget: Option<String>,
    /// A file with a JSON Schema that the answer has to fit. Standard output has that one value then,
    /// and nothing else.
    #[arg(long, value_name = "FILE")]
    pub output_schema: Option<PathBuf>,
    /// Let the model ask, also where nobody is at a terminal: it then waits, and
    /// `quire task answer` goes on with it.
    #[arg(long, conflicts_with = "no_questions")]
    pub questions: bool,
    /// Do not let the model ask.
    #[arg(long)]
    pub no_questions: bool,
    /// Show nothing of this machine but its system directories.
    #[arg(long)]
    pub bare: bool,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Common {
    /// Whether the model may ask the person: if they are there, unless they said otherwise.
    fn may_ask(&self, surroundings: &Surroundings) -> bool {
        let there = surroundings.stdin_terminal && surroundings.stderr_terminal && !self.json;
        (there || self.questions) && !self.no_questions && self.attempts == 1
    }
}

/// What the mode adds.
pub struct Asked {
    /// The mode.
    pub mode: Mode,
    /// The prompt, if it was given as an argument.
    pub prompt: Option<String>,
    /// A file that holds it; `-` is standard input.
    pub prompt_file: Option<PathBuf>,
    /// Declared checks.
    pub checks: Vec<String>,
    /// Whether checks are skipped.
    pub skip_checks: bool,
    /// Whether history may be rewritten.
    pub allow_rewrite: bool,
    /// What a review is about.
    pub review: Option<ReviewTarget>,
}

/// Submits what was asked for, runs it here, and prints its end.
pub async fn go(common: Common, asked: Asked, context: Context) -> anyhow::Result<Exit> {
    if let Some(remote) = context.remote()? {
        return Box::pin(go_there(common, asked, &context, &remote)).await;
    }
    let json = common.json;
    let taken = take_in(common, asked, context).await?;
    let TakenIn { installation, found, environment, request, resolved } = taken;
    let submission = write_down(&installation.worker, &found, &environment, request).await;
    let submission = submission.map_err(refused)?;
    if let Some(because) = &resolved.chosen_because
        && !json
    {
        show::err(&format!("model {} ({because})", resolved.info.name));
    }
    work(&installation, &submission, found.seen(), json, resolved.info.scripted).await
}

/// Writes down what was asked for, for a server that works on this data directory.
pub async fn offer(common: Common, asked: Asked, context: Context) -> anyhow::Result<Submission> {
    let taken = take_in(common, asked, context).await?;
    let TakenIn { installation, found, environment, request, .. } = taken;
    let terms = Terms { offered: true, ..Terms::default() };
    let worker = &installation.worker;
    write_down_on(worker, &found, &environment, request, terms).await.map_err(refused)
}

/// What was asked for, with all that it names looked up.
struct TakenIn {
    installation: Installation,
    found: Found,
    environment: Resolved,
    request: Request,
    resolved: quire_models::ResolvedModel,
}

async fn take_in(common: Common, asked: Asked, context: Context) -> anyhow::Result<TakenIn> {
    let prompt = read_prompt(&asked, &context)?;
    let current = context.surroundings.current_dir.clone();
    let output_schema = read_schema(&common, asked.mode, &current)?;
    let source = source_of(common.repo.as_deref(), &current);
    let root = match &source {
        Source::Checkout(path) => checkout_of(path),
        Source::Url(_) => None,
    };
    let budget_flag =
        common.budget.as_deref().map(|text| parse_budget(text, "--budget")).transpose()?;
    let path = match &source {
        Source::Checkout(path) => Some(path.as_path()),
        Source::Url(_) => None,
    };
    let mut installation = Installation::open_and_inspect(context, root, path).await?;
    installation.needs_sandbox()?;
    let inspected = installation.inspected.take().transpose();
    let inspected = inspected.map_err(|error| refused(error.into()))?;
    let top_level = inspected.as_ref().map(|checkout| checkout.top_level.as_path());
    let place = Place::of(&source, top_level)?;
    let defaults = defaults_of(&installation.settings)?;
    let environment =
        place.environment(&installation, defaults, common.env.as_deref(), common.bare).await?;
    let named = common.model.as_deref().or(environment.environment.model.as_deref());
    let resolved = installation.models.resolve(named).await?;
    let budget = budget_of(budget_flag, &environment.environment);
    if !common.image_file.is_empty() && !resolved.info.images {
        return Err(usage(format!(
            "{} sees no pictures: leave --image-file out, or name another model (`quire model list`)",
            resolved.info.name
        )));
    }
    let request = Request {
        mode: asked.mode,
        prompt,
        images: read_images(&installation, &common.image_file).await?,
        model: resolved.info.name.clone(),
        attempts: common.attempts,
        budget,
        checks: asked.checks.iter().map(|command| check(command)).collect(),
        skip_checks: asked.skip_checks,
        allow_rewrite: asked.allow_rewrite,
        questions: common.may_ask(&installation.surroundings),
        output_schema,
        review: asked.review,
        start: None,
        environment: None,
    };
    let (worker, from) = (&installation.worker, common.from.as_deref());
    let found = find(worker, &source, inspected, from, common.bare);
    let found = said_if_slow(Box::pin(found)).await.map_err(refused)?;
    Ok(TakenIn { installation, found, environment, request, resolved })
}

/// Says what takes so long, where it does: a file of gigabytes that is not committed is read and
/// packed before anything else happens.
pub async fn said_if_slow<T>(mut taking_in: impl Future<Output = T> + Unpin) -> T {
    tokio::select! {
        done = &mut taking_in => return done,
        () = tokio::time::sleep(SLOW) => show::err(
            "taking in the repository and what is not committed; large files that no task needs \
             belong into .gitignore",
        ),
    }
    taking_in.await
}

/// What was wrong with what the person asked for ends as that, and not as a failure of ours.
pub fn refused(error: SubmitError) -> anyhow::Error {
    match error {
        SubmitError::Store(_) | SubmitError::Git(GitError::DiskFull { .. }) => error.into(),
        SubmitError::Git(_) | SubmitError::Recipe(_) | SubmitError::NotPossible(_) => {
            usage(error.to_string())
        }
        SubmitError::Secrets(error) => {
            stop(Exit::Usage, format!("{:#}", anyhow::Error::new(error)))
        }
    }
}
