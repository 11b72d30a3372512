//! Whether the server runs, and whether it can be used. For those who watch it; nobody signs in.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use quire_api::{Problem, Ready};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{ManageServer, May};
use crate::refusal::Result;
use crate::state::Here;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(figures))
}

/// Whether the process answers.
#[utoipa::path(
    get, path = "/healthz", tag = "server", security(()),
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")),
)]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests can be answered: the store can be read, and the server does not end.
#[utoipa::path(
    get, path = "/readyz", tag = "server", security(()),
    responses(
        (status = 200, description = "They can.", body = Ready),
        (status = 503, description = "They cannot.", body = Ready),
    ),
)]
async fn readyz(Here(state): Here) -> (StatusCode, Json<Ready>) {
    let mut missing = Vec::new();
    if state.ending.is_cancelled() {
        missing.push("the server ends".to_owned());
    }
    let filter = quire_store::ListFilter { limit: 1, ..Default::default() };
    if let Err(error) = state.store.list(&filter).await {
        tracing::warn!(%error, "the store cannot be read");
        missing.push("the store cannot be read".to_owned());
    }
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: missing.is_empty(), missing }))
}

/// Figures of the installation, for Prometheus. Needs the right `manage_server`.
#[utoipa::path(
    get, path = "/metrics", tag = "server",
    responses(
        (status = 200, description = "The figures.", body = String,
            content_type = "application/openmetrics-text"),
        (status = "4XX", description = "It was not done.", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn figures(
    Here(state): Here,
    _: May<ManageServer>,
) -> Result<([(HeaderName, HeaderValue); 1], String)> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = state.metrics.text(&state.store, state.events.rooms.taken()).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text))
}
