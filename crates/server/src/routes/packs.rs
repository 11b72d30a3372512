//! The commits of an attempt, for a person who takes them into a checkout of theirs.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use quire_api::{PackQuery, Problems};
use quire_domain::access::Right;
use quire_domain::ids::{AttemptId, CommitId};
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Routes;
use crate::access::{May, ReadTasks};
use crate::change;
use crate::download::{Kind, download};
use crate::extract::{Path, Query};
use crate::find;
use crate::refusal::{Refusal, Result};
use crate::state::Here;

/// A pack is at most this long, in bytes.
const MOST_PACK: u64 = 2 << 30;
/// How many commits may be said to be there.
const MOST_HAD: usize = 128;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(pack))
}

/// The commits of an attempt and the commit that its change is against, as a pack of git. The
/// headers `Quire-Base` and `Quire-Head` name the two.
#[utoipa::path(
    get, path = "/api/v1/attempts/{attempt}/pack", tag = "attempts",
    params(("attempt" = Uuid, Path, description = "Its id."), PackQuery),
    responses(
        (status = 200, description = "The pack; it lacks what `have` reaches.", body = Vec<u8>,
            content_type = "application/octet-stream"),
        Problems,
    ),
)]
async fn pack(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(id): Path<Uuid>,
    Query(query): Query<PackQuery>,
) -> Result<Response> {
    let have = query.have.as_deref().unwrap_or_default();
    let have: Vec<CommitId> = have
        .split(',')
        .filter(|text| !text.is_empty())
        .take(MOST_HAD)
        .filter_map(|text| CommitId::parse(text).ok())
        .collect();
    let _room = state.readings.acquire().await;
    let found = find::attempt(&state, &who, Right::ReadTasks, AttemptId(id)).await?;
    let between = change::between(&state, &found.attempt, query.turn.unwrap_or(false)).await?;
    let (base, head) = (between.base, between.head);
    let repository = between.results.repository();
    let have = state.git.has_commits(repository, &have).await?;
    let wanted = [base.clone(), head.clone()];
    let (file, _) = state.git.write_pack(repository, &wanted, &have, MOST_PACK).await?;
    let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)));
    let name = format!("task-{}.{}.pack", found.task, found.attempt.ordinal);
    let mut headers = HeaderMap::new();
    for (name, commit) in [("quire-base", base), ("quire-head", head)] {
        let value = HeaderValue::from_str(commit.as_str())
            .map_err(|error| Refusal::internal("write the answer", &error))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok((headers, download(Kind::Bytes, &name, body)).into_response())
}
