//! Whether the server runs, and whether it can be used. For those who watch it; nobody signs in.

use axum::Json;
use axum::http::StatusCode;
use quire_api::Ready;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::state::Here;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
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
