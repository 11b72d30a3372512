//! Users of the installation, for who administers it.

use axum::Json;
use axum::http::StatusCode;
use quire_api::{NewUser, Problems, SignInLink, User, UserChange, UserList};
use quire_domain::access::UserName;
use quire_domain::secret::Secret;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{ManageServer, May, local, of_password};
use crate::extract::{Body, Path};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change)).routes(routes!(link))
}

/// Everybody who may sign in.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "access",
    responses((status = 200, description = "The users.", body = UserList), Problems),
)]
async fn list(Here(state): Here, _: May<ManageServer>) -> Result<Json<UserList>> {
    let users = state.store.users().await?;
    Ok(Json(UserList { users: users.iter().map(shown).collect() }))
}

/// Adds somebody. They are in no team yet.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "access", request_body = NewUser,
    responses((status = 201, description = "They were added.", body = User), Problems),
)]
async fn add(
    Here(state): Here,
    May { who, .. }: May<ManageServer>,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<User>)> {
    let password = match new.password {
        None => None,
        Some(password) => Some(hashed(&state, password).await?),
    };
    let user = quire_store::NewUser {
        name: named(&new.name)?,
        email: new.email.filter(|email| !email.is_empty()),
        admin: new.admin,
        password,
        identity: None,
        now: state.clock.now(),
    };
    let user = who.store(&state).add_user(user).await?;
    Ok((StatusCode::CREATED, Json(shown(&user))))
}

/// Changes somebody.
#[utoipa::path(
    patch, path = "/api/v1/users/{user}", tag = "access", request_body = UserChange,
    params(("user" = String, Path, description = "Their name.")),
    responses((status = 200, description = "As they are now.", body = User), Problems),
)]
async fn change(
    Here(state): Here,
    May { who, .. }: May<ManageServer>,
    Path(name): Path<String>,
    Body(change): Body<UserChange>,
) -> Result<Json<User>> {
    let user = found(&state, &name).await?;
    let now = state.clock.now();
    if let Some(password) = change.password {
        let hash = hashed(&state, password).await?;
        who.store(&state).set_password(user.id, Some(hash), now).await?;
    }
    let change = quire_store::UserChange {
        disabled: change.disabled,
        admin: change.admin,
        email: change.email,
    };
    let user = if (change.disabled, change.admin, &change.email) == (None, None, &None) {
        state.store.user(user.id).await?
    } else {
        who.store(&state).change_user(user.id, change, now).await?
    };
    Ok(Json(shown(&user)))
}

/// Makes a link that signs somebody in once, within an hour.
#[utoipa::path(
    post, path = "/api/v1/users/{user}/link", tag = "access",
    params(("user" = String, Path, description = "Their name.")),
    responses((status = 201, description = "The link.", body = SignInLink), Problems),
)]
async fn link(
    Here(state): Here,
    May { who, .. }: May<ManageServer>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<SignInLink>)> {
    let user = found(&state, &name).await?;
    let now = state.clock.now();
    let path = local::sign_in_link(&who.store(&state), user.id, "", now).await?;
    let expires_at = now.plus_millis(local::LINK_MILLIS).0;
    Ok((StatusCode::CREATED, Json(SignInLink { path: path.reveal().clone(), expires_at })))
}

/// The user of this name.
pub(super) async fn found(state: &State, name: &str) -> Result<quire_store::User> {
    let parsed = UserName::parse(name).map_err(|_| Refusal::not_found("user", name))?;
    Ok(state.store.user_by_name(&parsed).await?)
}

fn named(name: &str) -> Result<UserName> {
    UserName::parse(name).map_err(|error| Refusal::invalid(error.to_string(), "take another one"))
}

async fn hashed(state: &State, password: String) -> Result<Secret<String>> {
    state.access.passwords().hash(Secret::new(password)).await.map_err(of_password)
}

fn shown(user: &quire_store::User) -> User {
    User {
        id: user.id.0,
        name: user.name.to_string(),
        email: user.email.clone(),
        admin: user.admin,
        password: user.has_password,
        provider: user.identity.is_some(),
        created_at: user.created_at.0,
        disabled_at: user.disabled_at.map(|at| at.0),
    }
}
