//! The page that signs a browser in: small, and there also where the web page is not built.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::routing::get;

use crate::state::State;

/// What the page may do: its own script and style, and asking this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// The page and its two files. They are no part of the API.
pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/sign-in", get(async || file("text/html", include_str!("page/sign-in.html"))))
        .route("/sign-in.css", get(async || file("text/css", include_str!("page/sign-in.css"))))
        .route(
            "/sign-in.js",
            get(async || file("text/javascript", include_str!("page/sign-in.js"))),
        )
}

fn file(kind: &'static str, text: &'static str) -> ([(HeaderName, String); 2], &'static str) {
    let kind = format!("{kind}; charset=utf-8");
    let policy = (header::CONTENT_SECURITY_POLICY, POLICY.to_owned());
    ([(header::CONTENT_TYPE, kind), policy], text)
}
