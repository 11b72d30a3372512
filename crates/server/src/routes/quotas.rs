//! Quotas: read by whom they concern, set by who administers the installation, whose money it is.

use axum::Json;
use axum::http::StatusCode;
use quire_api::{Problems, Quota, QuotaList, QuotaUsed};
use quire_domain::access::Right;
use quire_domain::budget::MicroDollars;
use quire_domain::quota::{Month, Subject};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Routes, users};
use crate::access::{ManageServer, May, ReadUsage, Who};
use crate::extract::{Body, Path};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(set_server))
        .routes(routes!(set_team))
        .routes(routes!(set_user))
}

/// The limits that hold for one's tasks, and what is used of them this month; all of them for who
/// administers the installation.
#[utoipa::path(
    get, path = "/api/v1/quotas", tag = "usage",
    responses((status = 200, description = "The limits.", body = QuotaList), Problems),
)]
async fn list(Here(state): Here, May { who, .. }: May<ReadUsage>) -> Result<Json<QuotaList>> {
    let mut subjects = vec![("server", None, Subject::Server)];
    let own = who.teams_with(Right::ReadUsage);
    for team in state.store.teams().await? {
        if who.admin || own.contains(&team.id) {
            subjects.push(("team", Some(team.name.to_string()), Subject::Team(team.id)));
        }
    }
    if who.admin {
        for user in state.store.users().await? {
            subjects.push(("user", Some(user.name.to_string()), Subject::User(user.id)));
        }
    } else {
        let user = state.store.user(who.user).await?;
        subjects.push(("user", Some(user.name.to_string()), Subject::User(user.id)));
    }
    let set = state.store.quotas().await?;
    let month = Month::of(state.clock.now());
    let (from, until) = (month.first_day(), month.next().first_day());
    let mut quotas = Vec::new();
    for (whose, name, subject) in subjects {
        let key = subject.key();
        let Some((_, quota)) = set.iter().find(|(found, _)| *found == key) else { continue };
        let used = state.store.used(subject, from, until).await?;
        quotas.push(QuotaUsed {
            whose: whose.to_owned(),
            name,
            quota: Quota {
                at_once: quota.at_once,
                month_micro_dollars: quota.month_cost.map(|cost| cost.0),
                month_tokens: quota.month_tokens,
            },
            used_micro_dollars: used.cost.0,
            used_tokens: used.tokens,
            resets_at: until.begins().0,
        });
    }
    Ok(Json(QuotaList { quotas }))
}

/// Sets the limits of the whole installation; what is not named has none afterwards.
#[utoipa::path(
    put, path = "/api/v1/quotas/server", tag = "usage", request_body = Quota,
    responses((status = 204, description = "They hold."), Problems),
)]
async fn set_server(
    Here(state): Here,
    May { who, .. }: May<ManageServer>,
    Body(quota): Body<Quota>,
) -> Result<StatusCode> {
    set(&state, &who, Subject::Server, quota).await
}

/// Sets the limits of a team; what is not named has none afterwards.
#[utoipa::path(
    put, path = "/api/v1/quotas/teams/{team}", tag = "usage", request_body = Quota,
    params(("team" = String, Path, description = "Its name or id.")),
    responses((status = 204, description = "They hold."), Problems),
)]
async fn set_team(
    Here(state): Here,
    May { who, .. }: May<ManageServer>,
    Path(team): Path<String>,
    Body(quota): Body<Quota>,
) -> Result<StatusCode> {
    let mut teams = state.store.teams().await?;
    teams.retain(|one| one.name.as_str() == team || one.id.to_string() == team);
    let found = teams.pop().ok_or_else(|| Refusal::not_found("team", team))?;
    set(&state, &who, Subject::Team(found.id), quota).await
}

/// Sets the limits of a person; what is not named has none afterwards.
#[utoipa::path(
    put, path = "/api/v1/quotas/users/{user}", tag = "usage", request_body = Quota,
    params(("user" = String, Path, description = "Their name.")),
    responses((status = 204, description = "They hold."), Problems),
)]
async fn set_user(
    Here(state): Here,
    May { who, .. }: May<ManageServer>,
    Path(user): Path<String>,
    Body(quota): Body<Quota>,
) -> Result<StatusCode> {
    let user = users::found(&state, &user).await?;
    set(&state, &who, Subject::User(user.id), quota).await
}

async fn set(state: &State, who: &Who, subject: Subject, quota: Quota) -> Result<StatusCode> {
    let too_large = |value: Option<u64>| value.is_some_and(|value| i64::try_from(value).is_err());
    if too_large(quota.month_micro_dollars) || too_large(quota.month_tokens) {
        let detail = "a limit is larger than 9,223,372,036,854,775,807";
        return Err(Refusal::invalid(detail, "leave it out for no limit"));
    }
    let quota = quire_domain::quota::Quota {
        at_once: quota.at_once,
        month_cost: quota.month_micro_dollars.map(MicroDollars),
        month_tokens: quota.month_tokens,
    };
    who.store(state).set_quota(subject, quota, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
