//! The server itself, and who asks.

use axum::Json;
use quire_api::{Me, Membership, Problem, ServerInfo};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{May, SignedIn};
use crate::state::Here;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(info)).routes(routes!(me))
}

/// What the server is. Nobody needs to be signed in to ask.
#[utoipa::path(
    get, path = "/api/v1/server", tag = "server", security(()),
    responses((status = 200, description = "The server.", body = ServerInfo)),
)]
async fn info(Here(state): Here) -> Json<ServerInfo> {
    Json(ServerInfo {
        version: state.settings.version.clone(),
        api: vec!["v1".to_owned()],
        single_user: state.settings.single_user,
        max_body_bytes: state.settings.max_body_bytes as u64,
    })
}

/// Who asks, and what they may.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "server",
    responses(
        (status = 200, description = "Who asks.", body = Me),
        (status = 401, description = "Nobody is signed in.", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn me(May { who, .. }: May<SignedIn>) -> Json<Me> {
    let teams = who.teams.into_iter().map(|one| Membership {
        team: one.team.0,
        name: one.name,
        role: one.role,
    });
    Json(Me {
        user: who.user.0,
        name: who.name,
        admin: who.admin,
        teams: teams.collect(),
        scopes: who.scopes,
        csrf: who.session.map(|session| session.csrf),
    })
}
