//! What people have on their own machines, sent as the base of a task.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use futures::TryStreamExt;
use quire_api::{
    CommitsAsked, CommitsKnown, ProblemKind, Problems, PushQuery, Pushed, RepositoryQuery,
};
use quire_domain::access::{Owner, Right};
use quire_domain::ids::{CommitId, TeamId};
use quire_domain::task::StartPoint;
use quire_git::{GitError, Mirror, PushLimits};
use quire_store::{Push, StoredRepository};
use tokio_util::io::StreamReader;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Routes;
use crate::access::{May, WriteTasks};
use crate::desk::Place;
use crate::extract::{Body, Path, Query};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

/// How many commits may be asked for at once.
const MOST_ASKED: usize = 512;
/// How many may be said to be known.
const MOST_HAD: usize = 16;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(known)).routes(routes!(push))
}

/// Which commits need not be sent. Looks at the repository's own home first, which may take a
/// while: sent again, it goes on where it was.
#[utoipa::path(
    post, path = "/api/v1/repositories/{name}/known", tag = "repositories",
    params(RepositoryQuery, ("name" = String, Path, max_length = 100, description = "Its name.")),
    request_body = CommitsAsked,
    responses((status = 200, description = "Those that are known.", body = CommitsKnown), Problems),
)]
async fn known(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(name): Path<String>,
    Query(query): Query<RepositoryQuery>,
    Body(asked): Body<CommitsAsked>,
) -> Result<Json<CommitsKnown>> {
    if asked.commits.len() > MOST_ASKED {
        return Err(Refusal::invalid("more than 512 commits are asked for", "ask for fewer"));
    }
    let commits = commits(asked.commits.iter().map(String::as_str))?;
    let team = who.team_for(Right::WriteTasks, query.team.as_deref())?;
    let repository = state.store.repository(team, &name).await?;
    let sha256 = commits.first().is_some_and(|commit| commit.as_str().len() == 64);
    let mirror = mirror(&state, &repository, sha256).await?;
    let found = state.git.has_commits(mirror.repository(), &commits).await?;
    let commits = found.into_iter().map(String::from).collect();
    Ok(Json(CommitsKnown { commits }))
}

/// Takes the base of a task: the body is a pack of git. It is checked, and kept where only tasks of
/// its sender begin with it. In a repository without another home, committed history becomes the
/// repository's, for all of the team.
#[utoipa::path(
    post, path = "/api/v1/repositories/{name}/pushes", tag = "repositories",
    params(PushQuery, ("name" = String, Path, max_length = 100, description = "Its name.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "It is kept.", body = Pushed), Problems),
)]
async fn push(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(name): Path<String>,
    Query(query): Query<PushQuery>,
    request: Request,
) -> Result<(StatusCode, Json<Pushed>)> {
    let team: TeamId = who.team_for(Right::WriteTasks, query.team.as_deref())?;
    let repository = state.store.repository(team, &name).await?;
    let (base, head) = (commit(&query.base)?, commit(&query.head)?);
    let had = query.had.as_deref().unwrap_or_default();
    let had: Vec<&str> = had.split(',').filter(|id| !id.is_empty()).take(MOST_HAD).collect();
    let had = commits(had.into_iter())?;
    let branch = query.branch.filter(|branch| is_branch(branch));
    let start = StartPoint { base, head, branch, uncommitted: query.uncommitted };
    // Only so many at once: each reads as fast as the network brings it, and may be large.
    let _place = state
        .pushes
        .acquire()
        .await
        .map_err(|error| Refusal::internal("take what is pushed", &error))?;
    let mirror = mirror(&state, &repository, start.base.as_str().len() == 64).await?;
    let body = request.into_body().into_data_stream().map_err(std::io::Error::other);
    let pack = StreamReader::new(Box::pin(body));
    let limits = PushLimits::default();
    let (git, base) = (&state.git, &start.base);
    let is_history = repository.pushed && start.base == start.head;
    let received = if is_history {
        git.receive_history(&mirror, base, &had, pack, &limits).await
    } else {
        git.receive_base(&mirror, base, &had, pack, &limits).await
    };
    received.map_err(refused)?;
    let kept = git.task_repository(&mirror.key, base).await?;
    if !git.is_ancestor(kept.repository(), &start.head, base).await.unwrap_or(false) {
        return Err(Refusal::invalid(
            "what is checked out does not lead to what was pushed",
            "push the commit that is checked out, or one of yours on top of it",
        ));
    }
    let now = state.clock.now();
    let (store, owner) = (who.store(&state), who.owner(team));
    let made = store.add_push(owner, &repository, &mirror.key, &start, now).await?;
    let pushed = Pushed { push: made.id, base: made.start.base.into() };
    Ok((StatusCode::CREATED, Json(pushed)))
}

/// What `owner` pushed to the repository at `place`, if a task can still start with it.
pub(super) async fn pushed(state: &State, owner: Owner, id: Uuid, place: &Place) -> Result<Push> {
    let push = state.store.push(owner, id).await?;
    let is_its = matches!(place, Place::Registered(found) if found.id == push.repository);
    if !is_its {
        return Err(Refusal::invalid(
            "what was pushed belongs to another repository",
            "name the repository that it was pushed to",
        ));
    }
    let mirror = state.git.mirror_by_key(&push.mirror).await?;
    if !state.git.has_base(&mirror, &push.start.base).await? {
        return Err(Refusal::new(
            ProblemKind::NotFound,
            "what was pushed is not there any more: no task began with it within an hour",
            "push again",
        ));
    }
    Ok(push)
}

/// The mirror that a repository's tasks read, up to date.
async fn mirror(state: &State, repository: &StoredRepository, sha256: bool) -> Result<Mirror> {
    let found = if repository.pushed {
        state.git.homeless_mirror(&repository.id.to_string(), sha256).await
    } else {
        state.git.mirror_url(&repository.place, None).await.map(|remote| remote.mirror)
    };
    found.map_err(|error| match error {
        // The words of git may name a path of the server.
        GitError::Failed { .. } | GitError::NotARepository { .. } | GitError::Timeout { .. } => {
            tracing::warn!(%error, repository = repository.name, "a repository cannot be reached");
            Refusal::new(
                ProblemKind::Unavailable,
                format!("the home of the repository `{}` cannot be reached", repository.name),
                "try again later, or tell an administrator of the team",
            )
        }
        error => error.into(),
    })
}

fn refused(error: GitError) -> Refusal {
    match error {
        GitError::Refused { why } => Refusal::invalid(
            format!("what was pushed cannot be used: {why}"),
            "push again; of a shallow clone, run `git fetch --unshallow` first",
        ),
        GitError::OverLimit { .. } => {
            let advice = "push less: large files that no task needs belong into .gitignore";
            Refusal::new(ProblemKind::TooLarge, error.to_string(), advice)
        }
        GitError::Io { doing: "read the pack" | "check the pack", .. } => Refusal::new(
            ProblemKind::Unavailable,
            "what was pushed was cut off on its way",
            "push again",
        ),
        error => error.into(),
    }
}

fn commits<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<CommitId>> {
    texts.map(commit).collect()
}

fn commit(text: &str) -> Result<CommitId> {
    CommitId::parse(text)
        .map_err(|error| Refusal::invalid(error.to_string(), "give the full id of a commit"))
}

/// Whether it may be told to an agent as the name of a branch.
fn is_branch(text: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"~^:?*[\\".contains(c);
    !text.is_empty()
        && text.len() <= 255
        && !text.starts_with('-')
        && text.chars().all(plain)
        && !text.contains("..")
}
