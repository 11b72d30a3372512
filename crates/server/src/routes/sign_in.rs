//! Signing in and out.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use quire_api::{Problems, SignIn, SignInMeans, SignedIn};
use quire_domain::secret::Secret;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{
    May, SignedIn as AnyRight, begin, clear_cookie, gate, with_link, with_password,
};
use crate::extract::Body;
use crate::refusal::{Refusal, Result};
use crate::state::Here;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(means, sign_in)).routes(routes!(sign_out))
}

/// How one can sign in.
#[utoipa::path(
    get, path = "/api/v1/sign-in", tag = "access", security(()),
    responses((status = 200, description = "The ways.", body = SignInMeans)),
)]
async fn means(Here(state): Here) -> Json<SignInMeans> {
    let provider = state.access.provider();
    Json(SignInMeans { provider: provider.map(|provider| provider.settings.name.clone()) })
}

/// Signs a browser in, with a name and a password or with a link. The answer sets a cookie.
#[utoipa::path(
    post, path = "/api/v1/sign-in", tag = "access", security(()), request_body = SignIn,
    responses((status = 200, description = "Signed in.", body = SignedIn), Problems),
)]
async fn sign_in(
    Here(state): Here,
    parts: request::Parts,
    Body(sent): Body<SignIn>,
) -> Result<Response> {
    gate::same_origin(&parts)?;
    let from = gate::address(&parts);
    let (user, how) = match sent {
        SignIn { name: Some(name), password: Some(password), link: None } => {
            (with_password(&state, &name, Secret::new(password), from).await?, "password")
        }
        SignIn { name: None, password: None, link: Some(link) } => {
            (with_link(&state, &link, from).await?, "link")
        }
        _ => {
            let advice = "send `name` and `password`, or `link`";
            return Err(Refusal::invalid("this is no way to sign in", advice));
        }
    };
    let (session, cookie) = begin(&state, &user, how, &parts).await?;
    let answer = SignedIn {
        user: user.id.0,
        name: user.name.to_string(),
        csrf: session.csrf,
        expires_at: session.expires_at.0,
    };
    Ok(([(header::SET_COOKIE, cookie)], Json(answer)).into_response())
}

/// Signs this browser out.
#[utoipa::path(
    post, path = "/api/v1/sign-out", tag = "access",
    responses((status = 204, description = "Signed out."), Problems),
)]
async fn sign_out(
    Here(state): Here,
    parts: request::Parts,
    May { who, .. }: May<AnyRight>,
) -> Result<(StatusCode, [(header::HeaderName, HeaderValue); 1])> {
    let Some(session) = &who.session else {
        let advice = "a token ends by being revoked";
        return Err(Refusal::invalid("the request came with a token, not with a session", advice));
    };
    let now = state.clock.now();
    who.store(&state).end_sessions(who.user, Some(&session.name()), now).await?;
    let cookie = clear_cookie(gate::encrypted(&parts))
        .ok_or_else(|| Refusal::internal("make a cookie", &std::fmt::Error))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]))
}
