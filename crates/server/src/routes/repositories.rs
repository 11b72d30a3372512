//! Repositories that a team may name.

use axum::Json;
use axum::http::StatusCode;
use quire_api::{NewRepository, Problems, Repository, RepositoryList, RepositoryQuery};
use quire_domain::access::Right;
use quire_git::public_address;
use quire_store::{StoredRepository, is_repository_name};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{ManageTeam, May, ReadTasks, Who, WriteTasks};
use crate::extract::{Body, Path, Query};
use crate::refusal::{Refusal, Result};
use crate::state::Here;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(remove))
}

/// The repositories of a team, by name.
#[utoipa::path(
    get, path = "/api/v1/repositories", tag = "repositories", params(RepositoryQuery),
    responses((status = 200, description = "They.", body = RepositoryList), Problems),
)]
async fn list(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Query(query): Query<RepositoryQuery>,
) -> Result<Json<RepositoryList>> {
    let team = who.team_for(Right::ReadTasks, query.team.as_deref())?;
    let found = state.store.repositories(team).await?;
    let repositories = found.into_iter().map(|one| shown(&who, one)).collect();
    Ok(Json(RepositoryList { repositories }))
}

/// Registers a repository. The same again gives what is there.
#[utoipa::path(
    post, path = "/api/v1/repositories", tag = "repositories", request_body = NewRepository,
    responses((status = 201, description = "It is there.", body = Repository), Problems),
)]
async fn add(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Body(new): Body<NewRepository>,
) -> Result<(StatusCode, Json<Repository>)> {
    // A place makes the server read there: that is for an administrator to decide.
    let right = if new.place.is_some() { Right::ManageTeam } else { Right::WriteTasks };
    let team = who.team_for(right, new.team.as_deref())?;
    if !is_repository_name(&new.name) {
        return Err(Refusal::invalid(
            "that cannot be the name of a repository",
            "use words of letters, digits, `.`, `_` and `-`, with `/` between them",
        ));
    }
    let place = match new.place.as_deref() {
        None => None,
        Some(place) if place.starts_with('/') && !place.contains(char::is_control) => {
            Some(place.to_owned())
        }
        Some(place) => Some(public_address(place).map_err(|error| {
            Refusal::invalid(error.to_string(), "give an address that git can clone from")
        })?),
    };
    let store = who.store(&state);
    let made = store.add_repository(team, &new.name, place.as_deref(), state.clock.now()).await?;
    Ok((StatusCode::CREATED, Json(shown(&who, made))))
}

/// Takes a repository away: nobody can name it any more. What ran on it stays.
#[utoipa::path(
    delete, path = "/api/v1/repositories/{name}", tag = "repositories",
    params(RepositoryQuery, ("name" = String, Path, max_length = 100, description = "Its name.")),
    responses((status = 204, description = "It is gone."), Problems),
)]
async fn remove(
    Here(state): Here,
    May { who, .. }: May<ManageTeam>,
    Path(name): Path<String>,
    Query(query): Query<RepositoryQuery>,
) -> Result<StatusCode> {
    let team = who.team_for(Right::ManageTeam, query.team.as_deref())?;
    who.store(&state).remove_repository(team, &name, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(who: &Who, one: StoredRepository) -> Repository {
    // Where things lie on the server is nobody's business who does not decide about it.
    let told = !one.place.starts_with('/') || who.may(Right::ManageTeam, one.team);
    Repository {
        name: one.name,
        place: Some(one.place).filter(|place| told && !place.is_empty()),
        pushed: one.pushed,
        team: one.team.0,
        created_at: one.created_at.0,
    }
}
