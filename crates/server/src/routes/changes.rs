//! What an attempt changed, files at its commits, and its signed evidence.

use axum::Json;
use axum::body::Body;
use axum::response::Response;
use quire_api::{Change, ChangeQuery, FileQuery, ProblemKind, Problems};
use quire_domain::access::Right;
use quire_domain::attempt::DiffStat;
use quire_domain::ids::AttemptId;
use quire_git::RepoPath;
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Routes;
use crate::access::{May, ReadTasks, Who};
use crate::change::{self, Between};
use crate::download::{Kind, download};
use crate::extract::{Path, Query};
use crate::find::{self, Found};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

/// A diff is cut at this many bytes as a file, and at fewer as JSON.
const MOST_DIFF: usize = 64 << 20;
const MOST_JSON: usize = 4 << 20;
const MOST_FILES: usize = 10_000;
const MOST_FILE: usize = 32 << 20;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(change))
        .routes(routes!(diff))
        .routes(routes!(file))
        .routes(routes!(evidence))
}

/// What an attempt changed: its files, with the lines that differ.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/change", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id."), ChangeQuery),
    responses((status = 200, description = "The change.", body = Change), Problems),
)]
async fn change(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
    Query(query): Query<ChangeQuery>,
) -> Result<Json<Change>> {
    let paths = paths(query.path.as_deref())?;
    let _room = state.readings.acquire().await;
    let (_, between) = meant(&state, &who, id, &query).await?;
    let Between { results, base, head } = between;
    let repository = results.repository();
    let (mut changed, mut stat) = state.git.changes(repository, &base, &head, MOST_FILES).await?;
    if !paths.is_empty() {
        changed.retain(|file| paths.contains(&file.path));
        stat = DiffStat {
            files: u32::try_from(changed.len()).unwrap_or(u32::MAX),
            added: changed.iter().map(|file| file.added).sum(),
            removed: changed.iter().map(|file| file.removed).sum(),
        };
    }
    let diff = state.git.diff_unified(repository, &base, &head, &paths, MOST_JSON).await?;
    Ok(Json(Change {
        base: base.to_string(),
        head: head.to_string(),
        stat,
        files: change::files(changed, &diff.text),
        cut: diff.cut,
    }))
}

/// What an attempt changed, as a unified diff that `git apply` takes. Cut at 64 MiB.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/diff", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id."), ChangeQuery),
    responses(
        (status = 200, description = "The diff.", body = String, content_type = "text/plain"),
        Problems,
    ),
)]
async fn diff(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
    Query(query): Query<ChangeQuery>,
) -> Result<Response> {
    let paths = paths(query.path.as_deref())?;
    let _room = state.readings.acquire().await;
    let (found, Between { results, base, head }) = meant(&state, &who, id, &query).await?;
    let repository = results.repository();
    let diff = state.git.diff_unified(repository, &base, &head, &paths, MOST_DIFF).await?;
    let kind = if std::str::from_utf8(&diff.text).is_ok() { Kind::Text } else { Kind::Bytes };
    let name = format!("task-{}.{}.diff", found.task, found.attempt.ordinal);
    Ok(download(kind, &name, diff.text))
}

/// A file of the repository as the attempt left it, or as it found it.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/file", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id."), FileQuery),
    responses(
        (status = 200, description = "The file.", body = String, content_type = "text/plain"),
        Problems,
    ),
)]
async fn file(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
    Query(query): Query<FileQuery>,
) -> Result<Response> {
    let path = path(&query.path)?;
    let _room = state.readings.acquire().await;
    let found = find::attempt(&state, &who, Right::ReadTasks, AttemptId(id)).await?;
    let between = change::between(&state, &found.attempt, true).await?;
    let commit = match query.at.as_deref() {
        None | Some("head") => &between.head,
        Some("base") => &between.base,
        Some(_) => {
            return Err(Refusal::invalid("`at` is neither `head` nor `base`", "give one of them"));
        }
    };
    let repository = between.results.repository();
    let read = state.git.read_file(repository, commit, &path, MOST_FILE).await?;
    let Some((content, _)) = read else {
        return Err(Refusal::not_found("file", &query.path));
    };
    let kind = if std::str::from_utf8(&content).is_ok() { Kind::Text } else { Kind::Bytes };
    let name = String::from_utf8_lossy(path.file_name()).into_owned();
    Ok(download(kind, &name, content))
}

/// The signed evidence of an attempt that ended, as a file that `quire verify` checks.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/evidence", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The bundle.", body = String,
            content_type = "application/octet-stream"),
        Problems,
    ),
)]
async fn evidence(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
) -> Result<Response> {
    let found = find::attempt(&state, &who, Right::ReadTasks, AttemptId(id)).await?;
    let path = state.evidence.join(format!("{}.jsonl", found.attempt.id));
    match tokio::fs::File::open(&path).await {
        Ok(file) => {
            let name = format!("task-{}.{}.evidence.jsonl", found.task, found.attempt.ordinal);
            Ok(download(Kind::Bytes, &name, Body::from_stream(ReaderStream::new(file))))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Refusal::new(
            ProblemKind::NotFound,
            "there is no evidence yet",
            "it is signed when the attempt ends",
        )),
        Err(error) => Err(Refusal::internal("open the evidence", &error)),
    }
}

/// The attempt that is meant, and the change: its own, or what leads from it to another.
async fn meant(
    state: &State,
    who: &Who,
    id: Uuid,
    query: &ChangeQuery,
) -> Result<(Found, Between)> {
    let found = find::attempt(state, who, Right::ReadTasks, AttemptId(id)).await?;
    let between = change::between(state, &found.attempt, query.turn.unwrap_or(false)).await?;
    let Some(other) = query.against else { return Ok((found, between)) };
    let theirs = find::attempt(state, who, Right::ReadTasks, AttemptId(other)).await?;
    if theirs.attempt.task != found.attempt.task {
        return Err(Refusal::invalid(
            "the two attempts are not of the same task",
            "name attempts of one task",
        ));
    }
    let theirs = change::between(state, &theirs.attempt, query.turn.unwrap_or(false)).await?;
    Ok((found, Between { base: between.head, head: theirs.head, results: between.results }))
}

fn paths(named: Option<&str>) -> Result<Vec<RepoPath>> {
    named.map(path).transpose().map(|path| path.into_iter().collect())
}

fn path(text: &str) -> Result<RepoPath> {
    let path = RepoPath::new(text);
    if text.len() > 4096 || !path.is_safe() {
        return Err(Refusal::invalid(
            "that cannot be the path of a file in a repository",
            "give it from the root of the repository, as in `src/main.rs`",
        ));
    }
    Ok(path)
}
