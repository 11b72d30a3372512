//! Secrets of environments: their names, and values that go in and never out.

use axum::Json;
use axum::http::StatusCode;
use quire_api::{NewSecret, Problems, SecretInfo, SecretList, SecretWritten, TeamQuery};
use quire_domain::access::{Right, environments_of};
use quire_domain::ids::TeamId;
use quire_domain::secret::Secret;
use quire_store::SecretScope;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{May, ReadEnvironments, WriteEnvironments};
use crate::extract::{Body, Path, Query};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};
use crate::wish;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(set, delete))
}

/// The names of an environment's secrets.
#[utoipa::path(
    get, path = "/api/v1/environments/{name}/secrets", tag = "environments",
    params(TeamQuery, ("name" = String, Path, max_length = 60, description = "The environment.")),
    responses((status = 200, description = "They.", body = SecretList), Problems),
)]
async fn list(
    Here(state): Here,
    May { who, .. }: May<ReadEnvironments>,
    Path(name): Path<String>,
    Query(query): Query<TeamQuery>,
) -> Result<Json<SecretList>> {
    let team = who.team_for(Right::ReadEnvironments, query.team.as_deref())?;
    let scope = scope(&state, team, name).await?;
    let secrets = state.store.secrets(&scope).await?.into_iter().map(|secret| SecretInfo {
        name: secret.name,
        version: secret.version,
        at: secret.at.0,
    });
    Ok(Json(SecretList { secrets: secrets.collect() }))
}

/// Sets a secret. Its value is sealed, and told to nobody again.
#[utoipa::path(
    put, path = "/api/v1/environments/{name}/secrets/{secret}", tag = "environments",
    request_body = NewSecret,
    params(
        TeamQuery,
        ("name" = String, Path, max_length = 60, description = "The environment."),
        ("secret" = String, Path, max_length = 128, description = "The variable's name.",
            pattern = "^[A-Za-z_][A-Za-z0-9_]*$"),
    ),
    responses((status = 200, description = "It is set.", body = SecretWritten), Problems),
)]
async fn set(
    Here(state): Here,
    May { who, .. }: May<WriteEnvironments>,
    Path((name, secret)): Path<(String, String)>,
    Query(query): Query<TeamQuery>,
    Body(new): Body<NewSecret>,
) -> Result<Json<SecretWritten>> {
    let team = who.team_for(Right::WriteEnvironments, query.team.as_deref())?;
    let scope = scope(&state, team, name).await?;
    variable(&secret)?;
    if new.value.is_empty() || new.value.len() > 64 << 10 {
        return Err(Refusal::invalid("the value is empty or above 64 KiB", "give another"));
    }
    let value = Secret::new(new.value.into_bytes());
    let version = state.desk.set_secret(who.actor(), &scope, &secret, value).await?;
    Ok(Json(SecretWritten { version }))
}

/// Deletes the value of a secret.
#[utoipa::path(
    delete, path = "/api/v1/environments/{name}/secrets/{secret}", tag = "environments",
    params(
        TeamQuery,
        ("name" = String, Path, max_length = 60, description = "The environment."),
        ("secret" = String, Path, max_length = 128, description = "The variable's name."),
    ),
    responses((status = 204, description = "It is gone."), Problems),
)]
async fn delete(
    Here(state): Here,
    May { who, .. }: May<WriteEnvironments>,
    Path((name, secret)): Path<(String, String)>,
    Query(query): Query<TeamQuery>,
) -> Result<StatusCode> {
    let team = who.team_for(Right::WriteEnvironments, query.team.as_deref())?;
    let scope = scope(&state, team, name).await?;
    variable(&secret)?;
    who.store(&state).delete_secret(&scope, &secret, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The secrets of an environment that is there.
async fn scope(state: &State, team: TeamId, name: String) -> Result<SecretScope> {
    wish::name("name", &name, 60)?;
    let owner = environments_of(team);
    if state.store.environment(&owner, &name, None).await?.is_none() {
        return Err(Refusal::not_found("environment", &name));
    }
    Ok(SecretScope { owner, repository: None, environment: name })
}

fn variable(name: &str) -> Result<()> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if first && plain && name.len() <= 128 {
        return Ok(());
    }
    Err(Refusal::invalid(
        "that cannot be the name of a variable",
        "use letters, digits and `_`, and no digit first",
    ))
}
