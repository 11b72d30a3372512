//! Attempts: where they stand, their logs, what they ended with.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::HeaderMap;
use axum::response::Response;
use quire_api::{Attempt, AttemptResult, Citations, EventPage, EventQuery, Problems};
use quire_domain::access::Right;
use quire_domain::ids::{AttemptId, Seq};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Routes;
use crate::access::{May, ReadTasks};
use crate::extract::{Path, Query};
use crate::find::{self, Found};
use crate::log;
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};
use crate::{convert, tagged};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(result))
        .routes(routes!(citations))
}

/// An attempt. Carries an `ETag`.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The attempt.", body = Attempt),
        (status = 304, description = "Nothing changed."), Problems,
    ),
)]
async fn show(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response> {
    let found = find::attempt(&state, &who, Right::ReadTasks, AttemptId(id)).await?;
    tagged::tagged(&headers, &shown(&state, &found).await?)
}

/// A part of an attempt's log. What was written never changes.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/events", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id."), EventQuery),
    responses((status = 200, description = "The events.", body = EventPage), Problems),
)]
async fn events(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
    Query(query): Query<EventQuery>,
) -> Result<Json<EventPage>> {
    let found = find::attempt(&state, &who, Right::ReadTasks, AttemptId(id)).await?;
    let limit = query.limit.unwrap_or(1_000);
    let from = query.from.unwrap_or(1);
    if !(1..=5_000).contains(&limit) || from == 0 || query.before == Some(0) {
        let detail = "`from` or `before` is 0, or `limit` not in 1 to 5000";
        return Err(Refusal::invalid(detail, "ask for less"));
    }
    if query.from.is_some() && query.before.is_some() {
        return Err(Refusal::invalid("both `from` and `before` are given", "give one of them"));
    }
    let (from, limit) = match query.before {
        None => (from, limit),
        Some(before) => {
            let from = before.saturating_sub(limit.into()).max(1);
            (from, u32::try_from(before - from).unwrap_or(limit))
        }
    };
    let from = Seq(from.min(i64::MAX.unsigned_abs() - 5_001));
    let (events, more) = log::page(&state, found.attempt.id, from, limit, log::PAGE_BYTES).await?;
    let next = events.last().filter(|_| more).map(|event| event.seq + 1);
    let next = next.filter(|next| query.before.is_none_or(|before| *next < before));
    Ok(Json(EventPage { events, next }))
}

/// What an attempt has left by now: its answer, the citations behind it, checks, commits, plan.
/// Carries an `ETag`.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/result", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "What it left.", body = AttemptResult),
        (status = 304, description = "Nothing changed."), Problems,
    ),
)]
async fn result(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response> {
    let found = find::attempt(&state, &who, Right::ReadTasks, AttemptId(id)).await?;
    let read = read(&state, &found).await?;
    tagged::tagged(&headers, &read)
}

/// The citations of an attempt's answer, each with what was found where it points.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/citations", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id.")),
    responses((status = 200, description = "The citations.", body = Citations), Problems),
)]
async fn citations(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
) -> Result<Json<Citations>> {
    let found = find::attempt(&state, &who, Right::ReadTasks, AttemptId(id)).await?;
    Ok(Json(Citations { citations: read(&state, &found).await?.citations }))
}

async fn shown(state: &State, found: &Found) -> Result<Attempt> {
    let continued = state.store.continued(found.attempt.id).await?;
    Ok(Attempt {
        task: found.task.0,
        turn: found.turn,
        summary: convert::attempt(&found.attempt),
        continues: continued.into_iter().map(|attempt| attempt.0).collect(),
        events: state.log.head(found.attempt.id).await?.seq.0,
    })
}

/// The kinds of events that a result is made of. Of a model's reply only that there was one.
const KINDS: [&str; 8] = [
    "model_replied",
    "cited",
    "answered",
    "check_finished",
    "committed",
    "plan_updated",
    "question_asked",
    "question_answered",
];

async fn read(state: &State, found: &Found) -> Result<AttemptResult> {
    let mut result = AttemptResult {
        attempt: shown(state, found).await?,
        answer: None,
        citations: Vec::new(),
        checks: Vec::new(),
        commits: Vec::new(),
        plan: None,
        question: None,
        finished: None,
    };
    let mut checks: BTreeMap<String, Value> = BTreeMap::new();
    let mut from = Seq(1);
    loop {
        let page = state.log.read(found.attempt.id, from, 2_000).await?;
        let Some(last) = page.last() else { break };
        from = Seq(last.seq.0 + 1);
        for stored in page {
            if stored.kind == "model_replied" {
                // Citations are recorded before the answer they belong to.
                result.citations.clear();
                continue;
            }
            if stored.kind != "finished" && !KINDS.contains(&stored.kind.as_str()) {
                continue;
            }
            let kind = stored.kind.clone();
            let body: Value =
                serde_json::from_str(log::open(state.blobs.as_ref(), stored).await?.body.get())
                    .unwrap_or_default();
            let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
            match kind.as_str() {
                "cited" => result.citations.push(body),
                "answered" => result.answer = text("text"),
                "check_finished" => {
                    let name = body.pointer("/check/name").and_then(Value::as_str);
                    checks.insert(name.unwrap_or_default().to_owned(), body);
                }
                "committed" => result.commits.push(body),
                "plan_updated" => result.plan = Some(body),
                "question_asked" => result.question = text("question"),
                "question_answered" => result.question = None,
                "finished" => {
                    result.question = None;
                    result.finished = Some(body);
                }
                _ => {}
            }
        }
    }
    result.checks = checks.into_values().collect();
    Ok(result)
}
