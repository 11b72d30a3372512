//! Who is told of a team's tasks, and what was sent to them.

use axum::Json;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_api::{
    Delivery, NewSubscription, NoticeAbout, NoticeChannel, ProblemKind, Problems, Subscription,
};
use quire_domain::access::Right;
use quire_store::{Channel, DeliveryState, NoticeKind, Store};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Routes;
use crate::access::{ManageTeam, May, Who};
use crate::deliver::{Mail, SECRET_BYTES};
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
    let id = Uuid::now_v7();
    let (channel, secret) = match new.channel {
        NoticeChannel::Webhook => {
            let checked = state.notices.targets.check(&new.target);
            checked.map_err(|why| Refusal::invalid(why, "name an address that can be called"))?;
            let mut secret = [0; SECRET_BYTES];
            SystemRandom::new().fill(&mut secret).map_err(|_| no_key("no random bytes"))?;
            (Channel::Webhook, Some(secret))
        }
        NoticeChannel::Email if Mail::is_address(&new.target) => (Channel::Email, None),
        NoticeChannel::Email => {
            let detail = format!("`{}` is no e-mail address", new.target);
            return Err(Refusal::invalid(detail, "give one like `name@example.com`"));
        }
    };
    if channel == Channel::Email && state.notices.mail.is_none() {
        return Err(Refusal::new(
            ProblemKind::NotPossible,
            "the server has no mail server",
            "ask who administers it to set `[notices] mail_server`",
        ));
    }
    let sealed = match &secret {
        None => None,
        Some(secret) => {
            let key = (state.notices.key)().map_err(|why| no_key(&why))?;
            let place = quire_store::Subscription::place(id);
            Some(key.seal(&place, secret).map_err(|error| no_key(&error.to_string()))?)
        }
    };
    let kinds = match new.kinds {
        None => NoticeKind::DEFAULT.to_vec(),
        Some(kinds) => kinds.into_iter().map(kind).collect(),
    };
    let subscription = quire_store::Subscription {
        id,
        team,
        owner: who.user,
        channel,
        target: new.target,
        kinds,
        secret: sealed,
        created_at: state.clock.now(),
    };
    acting(&state, &who).subscribe(&subscription).await?;
    let secret = secret.map(|secret| format!("whsec_{}", STANDARD.encode(secret)));
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
    let shown = found.into_iter().map(|one| Delivery {
        id: one.id,
        about: about(one.notice.kind),
        task: one.notice.task,
        state: one.state.as_str().to_owned(),
        tries: one.tries,
        due_at: (one.state == DeliveryState::Waiting).then_some(one.due_at.0),
        status: one.status,
        detail: one.detail,
        updated_at: one.updated_at.0,
    });
    Ok(Json(shown.collect()))
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

/// One that they may manage; another team's is not found.
async fn of(state: &State, who: &Who, id: Uuid) -> Result<quire_store::Subscription> {
    let found = state.store.subscription(id).await?;
    who.needs(Right::ManageTeam, found.team, "subscription", id)?;
    Ok(found)
}

fn acting(state: &State, who: &Who) -> Store {
    state.store.acting(who.actor())
}

fn no_key(why: &str) -> Refusal {
    tracing::error!(why, "a webhook's secret cannot be sealed");
    Refusal::new(
        ProblemKind::Internal,
        "cannot seal the secret of the webhook",
        "the server's log says more",
    )
}

fn shown(one: &quire_store::Subscription, secret: Option<String>) -> Subscription {
    Subscription {
        id: one.id,
        team: one.team.0,
        channel: match one.channel {
            Channel::Webhook => NoticeChannel::Webhook,
            Channel::Email => NoticeChannel::Email,
        },
        target: one.target.clone(),
        kinds: one.kinds.iter().copied().map(about).collect(),
        created_at: one.created_at.0,
        secret,
    }
}

fn about(kind: NoticeKind) -> NoticeAbout {
    match kind {
        NoticeKind::NeedsYou => NoticeAbout::NeedsYou,
        NoticeKind::Ended => NoticeAbout::Ended,
        NoticeKind::Progress => NoticeAbout::Progress,
    }
}

fn kind(about: NoticeAbout) -> NoticeKind {
    match about {
        NoticeAbout::NeedsYou => NoticeKind::NeedsYou,
        NoticeAbout::Ended => NoticeKind::Ended,
        NoticeAbout::Progress => NoticeKind::Progress,
    }
}
