//! Submitting a turn: where it starts and what is asked for are written down before anything runs.

use std::path::PathBuf;

use quire_domain::access::Owner;
use quire_domain::attempt::Attempt;
use quire_domain::environment::{Environment, Limits};
use quire_domain::ids::{AttemptId, CommitId, TaskId};
use quire_domain::path::WorkspacePath;
use quire_domain::task::{Request, ReviewTarget, StartPoint, Turn};
use quire_engine::Redaction;
use quire_environment::recipe::{self, RecipeError};
use quire_git::GitError;
use quire_store::{FollowUp, NewTask, SecretScope, StoreError, Submission};
use serde::{Deserialize, Serialize};

use crate::found::Found;
use crate::known_secrets::{self, OpenError};
use crate::resolution::Resolved;
use crate::seen::Seen;
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
    /// Whose secrets are those of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretScope>,
    /// The ref that it starts from, where that is none of what the person has checked out: what
    /// its scripts leave is kept apart, so that no other task stands on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<String>,
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

/// Why a task could not be submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The repository, or the base in it.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Its recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Its secrets: what they are could be taken out of nothing that is recorded.
    #[error(transparent)]
    Secrets(#[from] OpenError),
    /// The store.
    #[error("cannot write the task down")]
    Store(#[from] StoreError),
    /// The task cannot be followed up.
    #[error("{0}")]
    NotPossible(String),
}

/// Whose a task is, and who works on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whose it is.
    pub owner: Owner,
    /// Whether it waits for a worker of a server; else the caller works on it.
    pub offered: bool,
    /// A second submit with the same key gives the first one's task.
    pub idempotency_key: Option<String>,
}

/// Writes a task down that starts where `found` says, in this environment, for who uses this
/// installation alone and works on it now. Start and environment of the request are filled in here.
pub async fn write_down(
    worker: &Worker,
    found: &Found,
    resolved: &Resolved,
    request: Request,
) -> Result<Submission, SubmitError> {
    write_down_on(worker, found, resolved, request, Terms::default()).await
}

/// As [`write_down`], on these terms.
pub async fn write_down_on(
    worker: &Worker,
    found: &Found,
    resolved: &Resolved,
    mut request: Request,
    terms: Terms,
) -> Result<Submission, SubmitError> {
    if let Some(schema) = &request.output_schema {
        check_output_schema(schema)?;
    }
    if let Some(target) = &request.review {
        check_target(worker, target, &found.start, found.seen.as_deref()).await?;
    }
    request.start = Some(found.start.clone());
    request.environment = Some(resolved.environment.clone());
    let origin = Origin { secrets: Some(resolved.scope.clone()), ..found.origin.clone() };
    let redaction = redaction(worker, &resolved.scope, &resolved.environment).await?;
    if redaction.finds(request.prompt.as_bytes()) {
        request.prompt = redaction.text(&request.prompt).into_owned();
    }
    let title = request.prompt.lines().next().unwrap_or_default().to_owned();
    let new = NewTask {
        repository: found.repository.clone(),
        title: if title.is_empty() { request.mode.to_string() } else { title },
        request,
        origin: Some(origin.to_text()),
        idempotency_key: terms.idempotency_key,
        owner: terms.owner,
        offered: terms.offered,
        now: worker.clock.now(),
    };
    Ok(if new.offered {
        worker.store.submit(new).await?
    } else {
        worker.store.submit_to_claim(new).await?
    })
}

/// Whether an answer can be held against this JSON Schema: of a known draft, whole in itself, and no
/// longer than every request can carry.
pub fn check_output_schema(text: &str) -> Result<(), SubmitError> {
    let unusable =
        |why| SubmitError::NotPossible(format!("this is no schema for an answer: {why}"));
    quire_agent::Form::read(text).map(|_| ()).map_err(unusable)
}

/// What must not be written down: a prompt that a person pasted a token into is shown in lists.
async fn redaction(
    worker: &Worker,
    scope: &SecretScope,
    environment: &Environment,
) -> Result<Redaction, OpenError> {
    let known = known_secrets::open(worker, scope, environment).await?;
    Ok(worker.record.redaction.with(known.bytes()))
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
    follow_up_on(worker, new, Terms::default()).await
}

/// As [`follow_up`], on these terms; whose it is is said by its task.
pub async fn follow_up_on(
    worker: &Worker,
    new: NewFollowUp,
    terms: Terms,
) -> Result<Submission, SubmitError> {
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
    if let Some(schema) = &request.output_schema {
        check_output_schema(schema)?;
    }
    request.start = start_after(before, &previous);
    request.environment = before.request.environment.clone();
    let origin = worker.store.origin(before.id).await?;
    request.prompt = redacted(worker, &request, origin.as_deref()).await?;
    let follow = FollowUp {
        task: new.task,
        request,
        continues: Some(previous.id),
        origin,
        idempotency_key: terms.idempotency_key,
        offered: terms.offered,
        now: worker.clock.now(),
    };
    Ok(worker.store.follow_up(follow).await?)
}

/// Where what goes on from an attempt of `turn` starts.
pub(crate) fn start_after(turn: &Turn, attempt: &Attempt) -> Option<StartPoint> {
    turn.request.start.clone().map(|start| match &attempt.result {
        Some(result) => {
            let head = result.head.clone().unwrap_or_else(|| start.base.clone());
            StartPoint { base: head.clone(), head, branch: start.branch, uncommitted: 0 }
        }
        None => start,
    })
}

/// The prompt of a request that goes on from a turn with this origin, without secrets.
pub(crate) async fn redacted(
    worker: &Worker,
    request: &Request,
    origin: Option<&str>,
) -> Result<String, SubmitError> {
    if let Some(environment) = &request.environment
        && let Ok(Origin { secrets: Some(scope), .. }) = Origin::parse(origin.unwrap_or_default())
    {
        let redaction = redaction(worker, &scope, environment).await?;
        return Ok(redaction.text(&request.prompt).into_owned());
    }
    Ok(request.prompt.clone())
}

/// The environment of a request, for lists and reruns.
pub fn environment(request: &Request) -> Environment {
    request
        .environment
        .clone()
        .unwrap_or_else(|| recipe::default_environment(false, Limits::default()))
}
