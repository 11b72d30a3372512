//! The models that a task may name, and the branches that it may start from.

use axum::Json;
use quire_api::{BranchList, Model, ModelList, Problems, TeamQuery};
use quire_domain::access::Right;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{May, ReadTasks, WriteTasks};
use crate::extract::{Path, Query};
use crate::refusal::Result;
use crate::state::Here;
use crate::{repository, wish};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(models)).routes(routes!(branches))
}

/// The models that a task may name, best first.
#[utoipa::path(
    get, path = "/api/v1/models", tag = "server",
    responses((status = 200, description = "They.", body = ModelList), Problems),
)]
async fn models(Here(state): Here, _: May<ReadTasks>) -> Result<Json<ModelList>> {
    let models = state.desk.models().await?.into_iter().map(|model| Model {
        name: model.name,
        window: model.window,
        scripted: model.scripted,
        default: model.default,
        missing: model.missing,
    });
    Ok(Json(ModelList { models: models.collect() }))
}

/// The branches of a repository.
#[utoipa::path(
    get, path = "/api/v1/repositories/{name}/branches", tag = "repositories",
    params(TeamQuery, ("name" = String, Path, max_length = 4096, description = "Its name.")),
    responses((status = 200, description = "They.", body = BranchList), Problems),
)]
async fn branches(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(name): Path<String>,
    Query(query): Query<TeamQuery>,
) -> Result<Json<BranchList>> {
    let team = who.team_for(Right::WriteTasks, query.team.as_deref())?;
    wish::name("name", &name, 4096)?;
    let place = repository::place(&state, team, &name).await?;
    let _room = state.readings.acquire().await;
    let found = state.desk.branches(&place).await?;
    Ok(Json(BranchList { default: found.default, branches: found.names }))
}
