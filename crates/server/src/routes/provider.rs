//! Signing in with the organisation's provider: a browser is sent there, and comes back.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use quire_api::{ProblemKind, Problems};
use quire_store::{Actor, Note};
use serde::Deserialize;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::oidc::{Callback, Oidc, Refused, admit};
use crate::access::{begin, cookie_header, gate, value_of};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(to_provider)).routes(routes!(from_provider))
}

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
struct Begin {
    #[serde(default)]
    return_to: Option<String>,
}

/// Sends a browser to the organisation's provider of sign-ins. It comes back to
/// `/api/v1/sign-in/oidc/callback`, and then goes to `return_to`.
#[utoipa::path(
    get, path = "/api/v1/sign-in/oidc", tag = "access", security(()),
    params(("return_to" = Option<String>, Query, description = "A path of this server; `/` by default, and for whatever leads elsewhere.")),
    responses((status = 303, description = "To the provider, or to `/sign-in` with the word of what went wrong."), Problems),
)]
async fn to_provider(
    Here(state): Here,
    parts: request::Parts,
    sent: std::result::Result<Query<Begin>, QueryRejection>,
) -> Result<Response> {
    let oidc = provider(&state)?;
    let sent = sent.map(|Query(sent)| sent).unwrap_or_default();
    let return_to = sent.return_to.unwrap_or_default();
    match oidc.begin(&return_to, state.clock.now()).await {
        Ok(begun) => {
            let encrypted = gate::encrypted(&parts);
            let seconds = Oidc::cookie_seconds();
            let cookie = kept(begun.cookie.reveal(), seconds, encrypted)?;
            Ok(sent_to(begun.to.as_str(), &[cookie]))
        }
        Err(refused) => not_signed_in(&state, &refused, &parts).await,
    }
}

/// Takes what the provider sends back with a browser, signs it in, and leads it on.
#[utoipa::path(
    get, path = "/api/v1/sign-in/oidc/callback", tag = "access", security(()),
    params(
        ("code" = Option<String>, Query, description = "What the provider gives who signed in."),
        ("state" = Option<String>, Query, description = "Which sign-in it answers."),
        ("iss" = Option<String>, Query, description = "The provider."),
        ("error" = Option<String>, Query, description = "Why the provider signed nobody in."),
    ),
    responses((status = 303, description = "Signed in, with a cookie; or to `/sign-in` with the word of what went wrong."), Problems),
)]
async fn from_provider(
    Here(state): Here,
    parts: request::Parts,
    sent: std::result::Result<Query<Callback>, QueryRejection>,
) -> Result<Response> {
    let oidc = provider(&state)?;
    let encrypted = gate::encrypted(&parts);
    let callback = sent.map(|Query(sent)| sent).unwrap_or_default();
    let cookie = value_of(&parts.headers, cookie_name(encrypted)).map(str::to_owned);
    let came = match oidc.end(cookie.as_deref(), callback, state.clock.now()).await {
        Ok(came) => came,
        Err(refused) => return not_signed_in(&state, &refused, &parts).await,
    };
    let user = match admit(&state, &oidc.settings, &came.claims, gate::address(&parts)).await {
        Ok(user) => user,
        Err(refused) => {
            // Whom an administrator has to name, if they are to come in.
            let subject = crate::access::oidc::plain(&came.claims.sub);
            tracing::info!(%subject, "the provider signed in who may not come in here");
            return not_signed_in(&state, &refused, &parts).await;
        }
    };
    let (_, cookie) = begin(&state, &user, "oidc", &parts).await?;
    Ok(sent_to(&came.return_to, &[cookie, kept("", 0, encrypted)?]))
}

fn provider(state: &State) -> Result<std::sync::Arc<Oidc>> {
    state.access.provider().ok_or_else(|| {
        Refusal::new(
            ProblemKind::NotFound,
            "no provider of sign-ins is set up here",
            "sign in with a password or a link; who administers the server sets `[serve.oidc]`",
        )
    })
}

/// Writes down why somebody was not signed in, and leads them to the page that says it.
async fn not_signed_in(
    state: &State,
    refused: &Refused,
    parts: &request::Parts,
) -> Result<Response> {
    let word = refused.word();
    let mut why = refused.to_string();
    let mut cause = std::error::Error::source(refused);
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    tracing::warn!(word, why, "nobody was signed in by the provider");
    let address = gate::address(parts).map_or(String::new(), |address| address.to_string());
    let actor = Actor { user: None, token: None, address };
    // What a stranger can cause by asking alone is in the log and not in the record.
    if !matches!(refused, Refused::NotBegun | Refused::Unreachable { .. } | Refused::Busy) {
        let note = Note {
            team: None,
            action: "session.refused",
            subject: "a sign-in by the provider".to_owned(),
            detail: json!({ "how": "oidc", "why": why }),
        };
        state.store.acting(actor).note(note, state.clock.now()).await?;
    }
    let cookie = kept("", 0, gate::encrypted(parts))?;
    Ok(sent_to(&format!("/sign-in?refused={word}"), &[cookie]))
}

fn cookie_name(encrypted: bool) -> &'static str {
    if encrypted { "__Host-quire_provider" } else { "quire_provider" }
}

fn kept(value: &str, seconds: u64, encrypted: bool) -> Result<HeaderValue> {
    cookie_header(cookie_name(encrypted), value, seconds, encrypted, "/")
        .ok_or_else(|| Refusal::internal("make a cookie", &std::fmt::Error))
}

fn sent_to(place: &str, cookies: &[HeaderValue]) -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(place) = HeaderValue::try_from(place) {
        headers.insert(header::LOCATION, place);
    }
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie.clone());
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The address has the provider's code in it.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    (StatusCode::SEE_OTHER, headers).into_response()
}
