//! Environments of a team: their recipes with versions.

use axum::Json;
use axum::http::StatusCode;
use quire_api::{
    Environment, EnvironmentList, EnvironmentWritten, NewEnvironment, Problems, TeamQuery,
};
use quire_domain::access::{Right, environments_of};
use quire_domain::ids::TeamId;
use quire_store::StoredEnvironment;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{May, ReadEnvironments, WriteEnvironments};
use crate::extract::{Body, Path, Query};
use crate::refusal::{Refusal, Result};
use crate::state::Here;
use crate::wish;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, write, delete))
        .routes(routes!(versions))
        .routes(routes!(version))
}

/// The newest version of every environment of a team, by name.
#[utoipa::path(
    get, path = "/api/v1/environments", tag = "environments", params(TeamQuery),
    responses((status = 200, description = "They.", body = EnvironmentList), Problems),
)]
async fn list(
    Here(state): Here,
    May { who, .. }: May<ReadEnvironments>,
    Query(query): Query<TeamQuery>,
) -> Result<Json<EnvironmentList>> {
    let team = who.team_for(Right::ReadEnvironments, query.team.as_deref())?;
    let found = state.store.environments(&environments_of(team)).await?;
    Ok(Json(listed(team, found)))
}

/// The newest version of an environment.
#[utoipa::path(
    get, path = "/api/v1/environments/{name}", tag = "environments",
    params(TeamQuery, ("name" = String, Path, max_length = 60, description = "Its name.")),
    responses((status = 200, description = "It.", body = Environment), Problems),
)]
async fn show(
    Here(state): Here,
    May { who, .. }: May<ReadEnvironments>,
    Path(name): Path<String>,
    Query(query): Query<TeamQuery>,
) -> Result<Json<Environment>> {
    let team = who.team_for(Right::ReadEnvironments, query.team.as_deref())?;
    wish::name("name", &name, 60)?;
    let found = state.store.environment(&environments_of(team), &name, None).await?;
    let found = found.ok_or_else(|| Refusal::not_found("environment", &name))?;
    Ok(Json(shown(team, found)))
}

/// Writes a version of an environment; the first one makes it.
#[utoipa::path(
    put, path = "/api/v1/environments/{name}", tag = "environments", request_body = NewEnvironment,
    params(TeamQuery, ("name" = String, Path, max_length = 60, description = "Its name.")),
    responses((status = 200, description = "It is written.", body = EnvironmentWritten), Problems),
)]
async fn write(
    Here(state): Here,
    May { who, .. }: May<WriteEnvironments>,
    Path(name): Path<String>,
    Query(query): Query<TeamQuery>,
    Body(new): Body<NewEnvironment>,
) -> Result<Json<EnvironmentWritten>> {
    let team = who.team_for(Right::WriteEnvironments, query.team.as_deref())?;
    wish::name("name", &name, 60)?;
    wish::text("recipe", &new.recipe, 256 << 10)?;
    if let Some(repository) = &new.repository {
        wish::name("repository", repository, 4096)?;
    }
    let recipe = state.desk.recipe(&name, &new.recipe).await?;
    let written = quire_store::NewEnvironment {
        owner: environments_of(team),
        name,
        repository: new.repository,
        recipe: new.recipe,
        author: who.name.clone(),
        based_on: new.based_on,
        now: state.clock.now(),
    };
    let version = who.store(&state).put_environment(written).await?;
    Ok(Json(EnvironmentWritten { version, warnings: recipe.warnings }))
}

/// Deletes an environment and the values of its secrets. Its versions stay for the tasks that were
/// made from them.
#[utoipa::path(
    delete, path = "/api/v1/environments/{name}", tag = "environments",
    params(TeamQuery, ("name" = String, Path, max_length = 60, description = "Its name.")),
    responses((status = 204, description = "It is gone."), Problems),
)]
async fn delete(
    Here(state): Here,
    May { who, .. }: May<WriteEnvironments>,
    Path(name): Path<String>,
    Query(query): Query<TeamQuery>,
) -> Result<StatusCode> {
    let team = who.team_for(Right::WriteEnvironments, query.team.as_deref())?;
    wish::name("name", &name, 60)?;
    let store = who.store(&state);
    store.delete_environment(&environments_of(team), &name, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All versions of an environment, newest first.
#[utoipa::path(
    get, path = "/api/v1/environments/{name}/versions", tag = "environments",
    params(TeamQuery, ("name" = String, Path, max_length = 60, description = "Its name.")),
    responses((status = 200, description = "They.", body = EnvironmentList), Problems),
)]
async fn versions(
    Here(state): Here,
    May { who, .. }: May<ReadEnvironments>,
    Path(name): Path<String>,
    Query(query): Query<TeamQuery>,
) -> Result<Json<EnvironmentList>> {
    let team = who.team_for(Right::ReadEnvironments, query.team.as_deref())?;
    wish::name("name", &name, 60)?;
    let found = state.store.environment_history(&environments_of(team), &name).await?;
    if found.is_empty() {
        return Err(Refusal::not_found("environment", &name));
    }
    Ok(Json(listed(team, found)))
}

/// One version of an environment.
#[utoipa::path(
    get, path = "/api/v1/environments/{name}/versions/{version}", tag = "environments",
    params(
        TeamQuery,
        ("name" = String, Path, max_length = 60, description = "Its name."),
        ("version" = u32, Path, minimum = 1, description = "The version."),
    ),
    responses((status = 200, description = "It.", body = Environment), Problems),
)]
async fn version(
    Here(state): Here,
    May { who, .. }: May<ReadEnvironments>,
    Path((name, version)): Path<(String, u32)>,
    Query(query): Query<TeamQuery>,
) -> Result<Json<Environment>> {
    let team = who.team_for(Right::ReadEnvironments, query.team.as_deref())?;
    wish::name("name", &name, 60)?;
    let found = state.store.environment(&environments_of(team), &name, Some(version)).await?;
    let absent = || Refusal::not_found("environment", format!("{name} in version {version}"));
    Ok(Json(shown(team, found.ok_or_else(absent)?)))
}

fn listed(team: TeamId, found: Vec<StoredEnvironment>) -> EnvironmentList {
    EnvironmentList { environments: found.into_iter().map(|one| shown(team, one)).collect() }
}

fn shown(team: TeamId, one: StoredEnvironment) -> Environment {
    Environment {
        name: one.name,
        team: team.0,
        repository: one.repository,
        version: one.version,
        recipe: one.recipe,
        author: one.author,
        at: one.at.0,
    }
}
