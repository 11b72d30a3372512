//! The list of resources. A route is a function with its words, and a line here.

mod account;
mod attempts;
mod audit;
mod changes;
mod environments;
mod health;
mod inputs;
mod models;
mod notices;
mod output;
mod packs;
mod page;
mod provider;
mod pushes;
mod quotas;
mod repositories;
mod secrets;
mod server;
mod share;
mod sign_in;
mod streams;
mod tasks;
mod teams;
mod turns;
mod usage;
mod users;
mod web;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use quire_api::ProblemKind;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::refusal::Refusal;
use crate::state::State;
use crate::{guard, metrics};

/// What the document says beside its routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Quire",
        description = "Tasks for a software-engineering agent, their events and their results.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(
        quire_api::LivePiece,
        quire_api::Problem,
        quire_api::Resync,
        quire_api::StreamEnd,
        quire_api::TaskEvent,
    )),
    modifiers(&Signing),
    security(("token" = []), ("session" = [])),
)]
struct Document;

/// How one signs in.
struct Signing;

impl utoipa::Modify for Signing {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme,
        };
        let components = document.components.get_or_insert_default();
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let session = ApiKey::Cookie(ApiKeyValue::new("quire_session"));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

/// The routes of one resource.
type Routes = OpenApiRouter<Arc<State>>;

/// All resources.
fn resources() -> Routes {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(account::routes())
        .merge(health::routes())
        .merge(notices::routes())
        .merge(packs::routes())
        .merge(pushes::routes())
        .merge(repositories::routes())
        .merge(server::routes())
        .merge(tasks::routes())
        .merge(turns::routes())
        .merge(inputs::routes())
        .merge(attempts::routes())
        .merge(audit::routes())
        .merge(output::routes())
        .merge(changes::routes())
        .merge(environments::routes())
        .merge(secrets::routes())
        .merge(models::routes())
        .merge(share::routes())
        .merge(provider::routes())
        .merge(sign_in::routes())
        .merge(streams::routes())
        .merge(teams::routes())
        .merge(users::routes())
        .merge(quotas::routes())
        .merge(usage::routes())
}

/// The API's description, generated from the routes: OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    named(resources().into_openapi())
}

/// Gives each operation an id that no other has: its method and its path.
fn named(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for (path, item) in &mut document.paths.paths {
        let path = path.trim_start_matches("/api/v1").replace(['{', '}'], "");
        let path = path.replace(['/', '-', '.'], "_");
        for (method, operation) in [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ] {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{method}{path}"));
            }
        }
    }
    document
}

/// Everything that the server answers.
pub fn router(state: Arc<State>) -> Router {
    let (router, document) = resources().split_for_parts();
    let document = Arc::new(named(document));
    router
        .merge(page::router())
        .route(
            "/api/v1/openapi.json",
            axum::routing::get(move || {
                let document = document.clone();
                async move { Json(document.as_ref().clone()) }
            }),
        )
        .fallback(nothing_here)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(state.settings.max_body_bytes))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(state.clone(), guard::pace))
        .layer(from_fn_with_state(state.clone(), guard::limit))
        .layer(from_fn_with_state(state.clone(), guard::hosts))
        .layer(from_fn_with_state(state.clone(), metrics::measure))
        .layer(from_fn_with_state(state.clone(), crate::access::forwarded))
        .layer(CatchPanicLayer::custom(guard::caught))
        .layer(from_fn(guard::safe_headers))
        .with_state(state)
}

async fn nothing_here(request: Request) -> Response {
    if let Some(page) = web::answer(&request) {
        return page;
    }
    let uri = request.uri();
    Refusal::new(
        ProblemKind::NotFound,
        format!("there is nothing at `{}`", uri.path()),
        "the API is described at /api/v1/openapi.json",
    )
    .into_response()
}

async fn no_such_method(method: Method, uri: axum::http::Uri) -> Refusal {
    Refusal::new(
        ProblemKind::NoSuchMethod,
        format!("`{}` cannot be asked with {method}", uri.path()),
        "the API is described at /api/v1/openapi.json",
    )
}
