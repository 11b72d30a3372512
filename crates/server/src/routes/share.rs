//! Links that show one task to who has them, read-only and for a time.

use axum::Json;
use axum::http::{StatusCode, request};
use quire_api::{NewShareLink, Problems, ShareLink, ShareLinkList, ShareLinkMade, SharedTask};
use quire_domain::access::Right;
use quire_domain::ids::ShareLinkId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Routes, tasks};
use crate::access::{May, ReadTasks, WriteTasks, gate, secrets};
use crate::extract::{Body, Path};
use crate::find;
use crate::refusal::{Refusal, Result};
use crate::state::Here;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke)).routes(routes!(show))
}

/// The links to a task.
#[utoipa::path(
    get, path = "/api/v1/tasks/{task}/links", tag = "access",
    params(("task" = u64, Path, minimum = 1, description = "Its number.")),
    responses((status = 200, description = "The links.", body = ShareLinkList), Problems),
)]
async fn list(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(number): Path<u64>,
) -> Result<Json<ShareLinkList>> {
    let found = find::task(&state, &who, Right::ReadTasks, number).await?;
    let links = state.store.share_links(found.task.id).await?;
    Ok(Json(ShareLinkList { links: links.iter().map(shown).collect() }))
}

/// Makes a link that shows a task to whoever has it.
#[utoipa::path(
    post, path = "/api/v1/tasks/{task}/links", tag = "access", request_body = NewShareLink,
    params(("task" = u64, Path, minimum = 1, description = "Its number.")),
    responses((status = 201, description = "The link.", body = ShareLinkMade), Problems),
)]
async fn create(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(number): Path<u64>,
    Body(new): Body<NewShareLink>,
) -> Result<(StatusCode, Json<ShareLinkMade>)> {
    let found = find::task(&state, &who, Right::WriteTasks, number).await?;
    if !(1..=365).contains(&new.days) {
        return Err(Refusal::invalid("a link holds 1 to 365 days", "send such a number"));
    }
    let now = state.clock.now();
    let until = now.plus_millis(u64::from(new.days) * 24 * 60 * 60 * 1000);
    let secret =
        secrets::mint(secrets::SHARE).map_err(|error| Refusal::internal("make a link", &error))?;
    let hash = secrets::hash(secret.reveal());
    let store = who.store(&state);
    let link = store.add_share_link(&hash, found.task.id, who.user, until, now).await?;
    let made = ShareLinkMade { secret: secret.reveal().clone(), link: shown(&link) };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Takes a link back.
#[utoipa::path(
    delete, path = "/api/v1/tasks/{task}/links/{link}", tag = "access",
    params(
        ("task" = u64, Path, minimum = 1, description = "Its number."),
        ("link" = Uuid, Path, description = "As the list calls it."),
    ),
    responses((status = 204, description = "It shows nothing any more."), Problems),
)]
async fn revoke(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path((number, link)): Path<(u64, Uuid)>,
) -> Result<StatusCode> {
    let found = find::task(&state, &who, Right::WriteTasks, number).await?;
    let store = who.store(&state);
    store.revoke_share_link(found.task.id, ShareLinkId(link), state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The task that a link shows. The link's secret is sent as a bearer token; it opens nothing else.
#[utoipa::path(
    get, path = "/api/v1/shared", tag = "access",
    responses((status = 200, description = "The task.", body = SharedTask), Problems),
)]
async fn show(Here(state): Here, parts: request::Parts) -> Result<Json<SharedTask>> {
    let now = state.clock.now();
    let sent = gate::bearer(&parts.headers).filter(|sent| sent.starts_with(secrets::SHARE));
    let link = match sent {
        Some(sent) => state.store.shared_by(&secrets::hash(sent), now).await?,
        None => None,
    };
    let link = link.ok_or_else(gate::not_signed_in)?;
    let number = state.store.task_by_id(link.task).await?.number;
    let mut task = tasks::whole(&state, &state.store.listed(number).await?).await?;
    // Where it lies on the server, or at whose host, is not what was shared.
    let name = task.summary.repository.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    task.summary.repository = name;
    Ok(Json(SharedTask { task, expires_at: link.expires_at.0 }))
}

fn shown(link: &quire_store::ShareLink) -> ShareLink {
    ShareLink {
        id: link.id.0,
        author: link.author.0,
        created_at: link.created_at.0,
        expires_at: link.expires_at.0,
    }
}
