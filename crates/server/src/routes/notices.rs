//! Who is told of a team's tasks, and what was sent to them.

use axum::Json;
use axum::http::StatusCode;
use quire_api::{Delivery, NewSubscription, ProblemKind, Problems, Subscription};
use quire_domain::access::Right;
use quire_store::{Channel, Store};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Routes;
use crate::access::{ManageTeam, May, Who};
use crate::deliver::{CannotSubscribe, shown, shown_delivery};
use crate::extract::{Body, Path, Query};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

/// Deliveries that are shown at once.
const SHOWN: u32 = 100;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(list, subscribe))
        .routes(routes!(unsubscribe))
        .routes(routes!(deliveries))
        .routes(routes!(redeliver))
        .routes(routes!(test))
        .routes(routes!(rotate))
}

/// Which team.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfTeam {
    /// The team, by name or id; may be left out by who is in one alone.
    team: Option<String>,
}

/// Who is told of a team's tasks.
#[utoipa::path(
    get, path = "/api/v1/subscriptions", tag = "notices", params(OfTeam),
    responses(
        (status = 200, description = "Those who are told, oldest first.", body = Vec<Subscription>), Problems,
    ),
)]
async fn list(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Query(query): Query<OfTeam>,
) -> Result<Json<Vec<Subscription>>> {
    let team = who.team_for(Right::ManageTeam, query.team.as_deref())?;
    let found = state.store.subscriptions(team).await?;
    Ok(Json(found.iter().map(|one| shown(one, None)).collect()))
}

/// Has somebody told of a team's tasks. A webhook's secret is in the answer, and never shown again.
#[utoipa::path(
    post, path = "/api/v1/subscriptions", tag = "notices", request_body = NewSubscription,
    responses(
        (status = 201, description = "They will be told.", body = Subscription), Problems,
    ),
)]
async fn subscribe(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Body(new): Body<NewSubscription>,
) -> Result<(StatusCode, Json<Subscription>)> {
    let team = who.team_for(Right::ManageTeam, new.team.as_deref())?;
    let made = state.notices.subscription(&new, team, who.user, state.clock.now());
    let (subscription, secret) = made.map_err(|error| refused(&error))?;
    acting(&state, &who).subscribe(&subscription).await?;
    Ok((StatusCode::CREATED, Json(shown(&subscription, secret))))
}

/// Tells somebody no more.
#[utoipa::path(
    delete, path = "/api/v1/subscriptions/{id}", tag = "notices",
    params(("id" = Uuid, Path, description = "The subscription.")),
    responses(
        (status = 204, description = "They are told no more."), Problems,
    ),
)]
async fn unsubscribe(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    let found = of(&state, &who, id).await?;
    acting(&state, &who).unsubscribe(found.team, id, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was sent to somebody, or tried to be: the newest 100.
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{id}/deliveries", tag = "notices",
    params(("id" = Uuid, Path, description = "The subscription.")),
    responses(
        (status = 200, description = "What was sent, newest first.", body = Vec<Delivery>), Problems,
    ),
)]
async fn deliveries(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Path(id): Path<Uuid>,
) -> Result<Json<Vec<Delivery>>> {
    of(&state, &who, id).await?;
    let found = state.store.deliveries(id, SHOWN).await?;
    Ok(Json(found.into_iter().map(shown_delivery).collect()))
}

/// Sends something once more, however it ended.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{id}/deliveries/{delivery}/redeliver", tag = "notices",
    params(
        ("id" = Uuid, Path, description = "The subscription."),
        ("delivery" = Uuid, Path, description = "What was sent."),
    ),
    responses(
        (status = 202, description = "It is sent again."), Problems,
    ),
)]
async fn redeliver(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Path((id, delivery)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode> {
    let found = of(&state, &who, id).await?;
    who.store(&state).redeliver(found.team, delivery, state.clock.now()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sends somebody a piece of news about nothing, to see whether it comes: tried once. How it went is
/// among what was sent.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{id}/test", tag = "notices",
    params(("id" = Uuid, Path, description = "The subscription.")),
    responses(
        (status = 202, description = "It is sent.", body = Delivery), Problems,
    ),
)]
async fn test(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<Delivery>)> {
    let found = of(&state, &who, id).await?;
    let sent = who.store(&state).send_test(found.team, id, state.clock.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(shown_delivery(state.store.delivery(sent).await?))))
}

/// Makes the secret of a webhook anew. It is in the answer, and never shown again; what waits to be
/// sent is signed with it as well.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{id}/rotate", tag = "notices",
    params(("id" = Uuid, Path, description = "The subscription.")),
    responses(
        (status = 200, description = "The webhook, with its new secret.", body = Subscription), Problems,
    ),
)]
async fn rotate(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Path(id): Path<Uuid>,
) -> Result<Json<Subscription>> {
    let found = of(&state, &who, id).await?;
    if found.channel == Channel::Email {
        let detail = "e-mail is not signed: there is no secret";
        return Err(Refusal::new(ProblemKind::NotPossible, detail, "name a webhook"));
    }
    let (sealed, secret) = state.notices.new_secret(id).map_err(|error| refused(&error))?;
    who.store(&state).sign_anew(found.team, id, &sealed, state.clock.now()).await?;
    Ok(Json(shown(&found, Some(secret))))
}

/// One that they may manage; another team's is not found.
async fn of(state: &State, who: &Who, id: Uuid) -> Result<quire_store::Subscription> {
    let found = state.store.subscription(id).await?;
    who.needs(Right::ManageTeam, found.team, "subscription", id)?;
    Ok(found)
}

fn acting(state: &State, who: &Who) -> Store {
    state.store.acting(who.actor())
}

fn refused(error: &CannotSubscribe) -> Refusal {
    let kind = match error {
        CannotSubscribe::Target(_) | CannotSubscribe::Email(_) | CannotSubscribe::Test => {
            ProblemKind::Invalid
        }
        CannotSubscribe::NoMailServer => ProblemKind::NotPossible,
        CannotSubscribe::Secret(why) => {
            tracing::error!(%why, "a webhook's secret cannot be sealed");
            let detail = "cannot seal the secret of the webhook";
            return Refusal::new(ProblemKind::Internal, detail, error.advice());
        }
    };
    Refusal::new(kind, error.to_string(), error.advice())
}
