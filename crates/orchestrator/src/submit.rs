//! Submitting a turn: the repository is found, its base is fixed, and all of it is written down
//! before anything runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quire_domain::environment::{Environment, Limits};
use quire_domain::ids::{AttemptId, CommitId, TaskId};
use quire_domain::path::WorkspacePath;
use quire_domain::task::{Request, ReviewTarget, StartPoint};
use quire_environment::recipe::{self, RecipeError};
use quire_git::{Checkout, GitError};
use quire_store::{FollowUp, NewTask, StoreError, Submission};
use serde::{Deserialize, Serialize};

use crate::prepare::Seen;
use crate::worker::Worker;

/// What preparing a turn needs beside its request, kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The mirror, by its key.
    pub mirror: String,
    /// The commit whose checkout lies at the bottom: the base of the task's first turn.
    pub layer: CommitId,
    /// Where the repository lies inside.
    pub workspace: PathBuf,
    /// The person's checkout, where the task began in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<PathBuf>,
    /// Its ignored build directories, relative.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Where in the repository the person stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_dir: Option<WorkspacePath>,
    /// The person's name and address, for commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<(String, String)>,
}

impl Origin {
    /// Reads what was stored with a turn.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn to_text(&self) -> String {
        // A struct of strings always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Where a task's repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A checkout of the person's, at or above this path.
    Checkout(PathBuf),
    /// An address.
    Url(String),
}

/// A task to submit.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Where its repository is.
    pub source: Source,
    /// The branch, tag or commit to start from, instead of what is checked out.
    pub from: Option<String>,
    /// The checkout, where it was looked at already.
    pub inspected: Option<Checkout>,
    /// Whether nothing of the person's machine is shown.
    pub bare: bool,
    /// What a sandbox may use where no recipe says otherwise.
    pub limits: Limits,
    /// What is asked for; its start and environment are filled in here.
    pub request: Request,
}

/// Why a task could not be submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The repository, or the base in it.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Its recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The store.
    #[error("cannot write the task down")]
    Store(#[from] StoreError),
    /// The task cannot be followed up.
    #[error("{0}")]
    NotPossible(String),
}

/// Where a repository lies inside that is not a checkout of the person's.
fn workspace_of(url: &str) -> PathBuf {
    let name = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let name: String = name
        .trim_end_matches(".git")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .take(60)
        .collect();
    let name = if name.trim_matches('.').is_empty() { "repository".to_owned() } else { name };
    Path::new("/workspace").join(name)
}

/// Writes a task down: its repository mirrored, its base captured, its recipe read.
///
/// What was seen of the checkout saves the attempts from looking again.
pub async fn submit(
    worker: &Worker,
    mut run: NewRun,
) -> Result<(Submission, Option<Arc<Seen>>), SubmitError> {
    let Found { repository, origin, start, recipe, seen } = match &run.source {
        Source::Checkout(path) => {
            let checkout = match run.inspected.take() {
                Some(checkout) => checkout,
                None => worker.git.inspect(path).await?,
            };
            look_at_checkout(worker, checkout, path, run.from.as_ref(), run.bare).await?
        }
        Source::Url(url) => from_url(worker, url, &run).await?,
    };
    if let Some(target) = &run.request.review {
        check_target(worker, target, &start, seen.as_ref()).await?;
    }
    let defaults = recipe::default_environment(run.bare, run.limits);
    let environment = match recipe {
        Some(text) => recipe::parse(&text, defaults)?,
        None => defaults,
    };
    run.request.start = Some(start);
    run.request.environment = Some(environment);
    let title = run.request.prompt.lines().next().unwrap_or_default().to_owned();
    let new = NewTask {
        repository,
        title: if title.is_empty() { run.request.mode.to_string() } else { title },
        request: run.request,
        origin: Some(origin.to_text()),
        idempotency_key: None,
        now: worker.clock.now(),
    };
    Ok((worker.store.submit(new).await?, seen.map(Arc::new)))
}

/// Whether there is something to review where the person says.
async fn check_target(
    worker: &Worker,
    target: &ReviewTarget,
    start: &StartPoint,
    seen: Option<&Seen>,
) -> Result<(), SubmitError> {
    match (target, seen) {
        (ReviewTarget::Uncommitted, _) if start.uncommitted == 0 => {
            let hint = "there is nothing uncommitted to review; name what to review with --base or --commit";
            Err(SubmitError::NotPossible(hint.to_owned()))
        }
        (ReviewTarget::Base(name) | ReviewTarget::Commit(name), Some(seen)) => {
            worker.git.resolve_in_checkout(&seen.checkout, name).await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What was found of a repository.
pub(crate) struct Found {
    pub(crate) repository: String,
    pub(crate) origin: Origin,
    pub(crate) start: StartPoint,
    pub(crate) recipe: Option<String>,
    pub(crate) seen: Option<Seen>,
}

/// Looks at a person's checkout and fixes where a task in it starts.
pub(crate) async fn look_at_checkout(
    worker: &Worker,
    checkout: Checkout,
    path: &Path,
    from: Option<&String>,
    bare: bool,
) -> Result<Found, SubmitError> {
    keep_data_out(worker, &checkout).await?;
    let mirror = worker.git.mirror_checkout(&checkout).await?;
    let captured = worker.git.capture(&checkout, &mirror).await?;
    let start = match from {
        None => StartPoint {
            base: captured.base.clone(),
            head: captured.head.clone(),
            branch: captured.branch.clone(),
            uncommitted: captured.uncommitted,
        },
        Some(name) => {
            let base = worker.git.resolve_in_checkout(&checkout, name).await?;
            worker.git.fetch_commit(&mirror, &checkout, &base).await?;
            let branch = worker.git.is_branch(&mirror, name).then(|| name.clone());
            StartPoint { head: base.clone(), base, branch, uncommitted: 0 }
        }
    };
    let root = checkout.top_level.clone();
    let ignored = if bare { Vec::new() } else { ignored_dirs(worker, &checkout).await? };
    let origin = Origin {
        mirror: mirror.key.clone(),
        layer: start.base.clone(),
        workspace: root.clone(),
        start_dir: below(&root, path),
        ignored,
        author: checkout.author(),
        checkout: Some(root.clone()),
    };
    // The recipe of a checkout that the person runs this in is trusted; another ref's is not.
    let recipe = read_small(&root.join(recipe::RECIPE_PATH));
    let repository = root.display().to_string();
    Ok(Found { repository, origin, start, recipe, seen: Some(Seen { checkout, captured }) })
}

async fn from_url(worker: &Worker, url: &str, run: &NewRun) -> Result<Found, SubmitError> {
    let remote = worker.git.mirror_url(url, run.from.as_deref()).await?;
    let start = StartPoint {
        base: remote.commit.clone(),
        head: remote.commit.clone(),
        branch: remote.branch,
        uncommitted: 0,
    };
    let origin = Origin {
        mirror: remote.mirror.key,
        layer: remote.commit,
        workspace: workspace_of(url),
        checkout: None,
        ignored: Vec::new(),
        start_dir: None,
        author: None,
    };
    Ok(Found { repository: remote.url, origin, start, recipe: None, seen: None })
}

/// Refuses a checkout that holds the data directory, unless git ignores it: keys and other tasks
/// would become part of what an agent sees.
async fn keep_data_out(worker: &Worker, checkout: &Checkout) -> Result<(), SubmitError> {
    let data = std::fs::canonicalize(&worker.place.data_dir);
    let data = data.unwrap_or_else(|_| worker.place.data_dir.clone());
    let Ok(inside) = data.strip_prefix(&checkout.top_level) else { return Ok(()) };
    let inside = inside.to_string_lossy().into_owned();
    if !worker.git.ignored_among(checkout, vec![inside.clone()]).await?.is_empty() {
        return Ok(());
    }
    Err(SubmitError::NotPossible(format!(
        "Quire keeps its data in `{inside}` of this checkout, where an agent would see it: add it \
         to .gitignore, or keep the data elsewhere with --data-dir"
    )))
}

/// Build directories that git ignores. No process is started where there are none.
async fn ignored_dirs(worker: &Worker, checkout: &Checkout) -> Result<Vec<String>, GitError> {
    let candidates = quire_environment::build_dirs::find(&checkout.top_level);
    if candidates.is_empty() {
        return Ok(candidates);
    }
    worker.git.ignored_among(checkout, candidates).await
}

/// Where in the repository `path` is, if below its root.
fn below(root: &Path, path: &Path) -> Option<WorkspacePath> {
    let path = std::fs::canonicalize(path).ok()?;
    WorkspacePath::parse(path.strip_prefix(root).ok()?.to_str()?).ok()
}

fn read_small(path: &Path) -> Option<String> {
    // A link may lead anywhere, and its target's first line into an error.
    let found = std::fs::symlink_metadata(path).ok()?;
    (found.is_file() && found.len() <= 2 * recipe::MOST_BYTES as u64)
        .then(|| std::fs::read_to_string(path).ok())?
}

/// A follow-up to submit.
#[derive(Debug, Clone)]
pub struct NewFollowUp {
    /// The task.
    pub task: TaskId,
    /// The attempt to go on from; the chosen one if `None`.
    pub continues: Option<AttemptId>,
    /// What is asked for; its start and environment are those of the turn before.
    pub request: Request,
}

/// Writes a follow-up down: it starts where the attempt before ended.
pub async fn follow_up(worker: &Worker, new: NewFollowUp) -> Result<Submission, SubmitError> {
    let turns = worker.store.turns(new.task).await?;
    let Some(before) = turns.last() else {
        return Err(SubmitError::NotPossible("the task has no turn".to_owned()));
    };
    let Some(previous) = new.continues.or(before.chosen) else {
        return Err(SubmitError::NotPossible(
            "several attempts and none chosen: name one, as in `42.2`".to_owned(),
        ));
    };
    let previous = worker.store.attempt_by_id(previous).await?;
    let mut request = new.request;
    request.start = before.request.start.clone().map(|start| match &previous.result {
        Some(result) => {
            let head = result.head.clone().unwrap_or_else(|| start.base.clone());
            StartPoint { base: head.clone(), head, branch: start.branch, uncommitted: 0 }
        }
        None => start,
    });
    request.environment = before.request.environment.clone();
    let follow = FollowUp {
        task: new.task,
        request,
        continues: Some(previous.id),
        origin: worker.store.origin(before.id).await?,
        idempotency_key: None,
        now: worker.clock.now(),
    };
    Ok(worker.store.follow_up(follow).await?)
}

/// The environment of a request, for lists and reruns.
pub fn environment(request: &Request) -> Environment {
    request
        .environment
        .clone()
        .unwrap_or_else(|| recipe::default_environment(false, Limits::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_after_its_address() {
        for (url, path) in [
            ("https://example.com/a/b.git", "/workspace/b"),
            ("git@example.com:team/web-app.git", "/workspace/web-app"),
            ("https://example.com/a/b/", "/workspace/b"),
            ("https://example.com/..", "/workspace/repository"),
        ] {
            assert_eq!(workspace_of(url), Path::new(path), "{url}");
        }
    }
}
