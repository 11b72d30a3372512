//! One's own account: where one is signed in, the password, tokens.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::StatusCode;
use quire_api::{
    NewToken, PasswordChange, ProblemKind, Problems, SessionInfo, SessionList, TokenInfo,
    TokenList, TokenMade,
};
use quire_domain::access::Limits;
use quire_domain::ids::TokenId;
use quire_domain::secret::Secret;
use quire_domain::time::Timestamp;
use quire_store::Token;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Routes;
use crate::access::{May, SignedIn, Who, of_password, secrets, with_password};
use crate::extract::{Body, Path};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// How many tokens somebody may have that hold.
const MOST_TOKENS: usize = 200;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(sessions, end_sessions))
        .routes(routes!(end_session))
        .routes(routes!(password))
        .routes(routes!(tokens, create_token))
        .routes(routes!(revoke_token))
}

/// Where one is signed in.
#[utoipa::path(
    get, path = "/api/v1/me/sessions", tag = "access",
    responses((status = 200, description = "The sessions.", body = SessionList), Problems),
)]
async fn sessions(Here(state): Here, May { who, .. }: May<SignedIn>) -> Result<Json<SessionList>> {
    own(&who)?;
    let found = state.store.sessions_of(who.user, state.clock.now()).await?;
    let current = who.session.as_ref().map(|session| session.hash);
    let sessions = found.into_iter().map(|session| SessionInfo {
        session: session.name(),
        current: Some(session.hash) == current,
        agent: session.agent,
        created_at: session.created_at.0,
        seen_at: session.seen_at.0,
        expires_at: session.expires_at.0,
    });
    Ok(Json(SessionList { sessions: sessions.collect() }))
}

/// Signs out everywhere.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions", tag = "access",
    responses((status = 204, description = "Signed out everywhere."), Problems),
)]
async fn end_sessions(Here(state): Here, May { who, .. }: May<SignedIn>) -> Result<StatusCode> {
    own(&who)?;
    who.store(&state).end_sessions(who.user, None, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs one browser out.
#[utoipa::path(
    delete, path = "/api/v1/me/sessions/{session}", tag = "access",
    params(("session" = String, Path, description = "As the list calls it.")),
    responses((status = 204, description = "Signed out."), Problems),
)]
async fn end_session(
    Here(state): Here,
    May { who, .. }: May<SignedIn>,
    Path(session): Path<String>,
) -> Result<StatusCode> {
    own(&who)?;
    who.store(&state).end_sessions(who.user, Some(&session), state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives oneself another password, and signs out everywhere.
#[utoipa::path(
    put, path = "/api/v1/me/password", tag = "access", request_body = PasswordChange,
    responses((status = 204, description = "It was changed."), Problems),
)]
async fn password(
    Here(state): Here,
    May { who, .. }: May<SignedIn>,
    Body(change): Body<PasswordChange>,
) -> Result<StatusCode> {
    own(&who)?;
    let had = state.store.user(who.user).await?.has_password;
    if had {
        // A page that was left open, or a stolen token, is not enough.
        let old = Secret::new(change.old.unwrap_or_default());
        with_password(&state, &who.name, old, who.address).await.map_err(|refusal| {
            if refusal.problem().known() == Some(ProblemKind::NotSignedIn) {
                let detail = "the old password is wrong";
                Refusal::new(ProblemKind::NotAllowed, detail, "send the one until now as `old`")
            } else {
                refusal
            }
        })?;
    }
    let hash = state.access.passwords().hash(Secret::new(change.new)).await;
    let hash = hash.map_err(of_password)?;
    who.store(&state).set_password(who.user, Some(hash), state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One's own tokens.
#[utoipa::path(
    get, path = "/api/v1/me/tokens", tag = "access",
    responses((status = 200, description = "The tokens.", body = TokenList), Problems),
)]
async fn tokens(Here(state): Here, May { who, .. }: May<SignedIn>) -> Result<Json<TokenList>> {
    own(&who)?;
    let tokens = state.store.tokens_of(who.user).await?;
    Ok(Json(TokenList { tokens: tokens.iter().map(shown).collect() }))
}

/// Makes a token of one's own. It is in the answer, and never shown again.
#[utoipa::path(
    post, path = "/api/v1/me/tokens", tag = "access", request_body = NewToken,
    responses((status = 201, description = "It was made.", body = TokenMade), Problems),
)]
async fn create_token(
    Here(state): Here,
    May { who, .. }: May<SignedIn>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>)> {
    own(&who)?;
    let team = match &new.team {
        None => None,
        Some(named) => {
            let found =
                who.teams.iter().find(|one| one.name == *named || one.team.to_string() == *named);
            Some(found.ok_or_else(|| Refusal::not_found("team", named))?.team)
        }
    };
    let rights = new.scopes.clone().map(BTreeSet::from_iter);
    if rights.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err(Refusal::invalid(
            "the token is for nothing",
            "leave `scopes` out, or name some",
        ));
    }
    let holding = state.store.tokens_of(who.user).await?;
    let now = state.clock.now();
    if holding.iter().filter(|token| holds(token, now)).count() >= MOST_TOKENS {
        let detail = format!("there are {MOST_TOKENS} tokens already");
        return Err(Refusal::new(ProblemKind::Quota, detail, "revoke those you do not use"));
    }
    let made = make(&state, &who, new, false, Limits { rights, team }).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Makes a token void: one's own, or a service's of a team that one manages.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{token}", tag = "access",
    params(("token" = Uuid, Path, description = "Its id.")),
    responses((status = 204, description = "It is void."), Problems),
)]
async fn revoke_token(
    Here(state): Here,
    May { who, .. }: May<SignedIn>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    let token = state.store.token(TokenId(id)).await?;
    let mine = !token.service && token.owner == who.user && who.grants().unlimited();
    // A token may always end itself: what leaked can be stopped with nothing else at hand.
    let itself = who.token == Some(token.id);
    let of_team = token.service
        && token
            .limits
            .team
            .is_some_and(|team| who.may(quire_domain::access::Right::ManageTeam, team));
    if !mine && !itself && !of_team {
        return Err(Refusal::not_found("token", id));
    }
    who.store(&state).revoke_token(token.id, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a token and gives it, this once.
pub(super) async fn make(
    state: &State,
    who: &Who,
    new: NewToken,
    service: bool,
    limits: Limits,
) -> Result<TokenMade> {
    let now = state.clock.now();
    let wished = match new.days.unwrap_or(90) {
        0 => None,
        days if days <= 3650 => Some(now.plus_millis(u64::from(days) * DAY)),
        days => {
            let detail = format!("{days} days are more than 3,650");
            return Err(Refusal::invalid(detail, "send fewer, or 0 for a token without end"));
        }
    };
    // A token does not make one that outlives it.
    let expires_at = match who.token {
        Some(token) => sooner(wished, state.store.token(token).await?.expires_at),
        None => wished,
    };
    let failed = |error| Refusal::internal("make a token", &error);
    let token = secrets::mint(secrets::TOKEN).map_err(failed)?;
    let kept = quire_store::NewToken {
        hash: secrets::hash(token.reveal()),
        owner: who.user,
        name: new.name,
        service,
        limits,
        expires_at,
        now,
    };
    let kept = who.store(state).add_token(kept).await?;
    Ok(TokenMade { token: token.reveal().clone(), info: shown(&kept) })
}

pub(super) fn shown(token: &Token) -> TokenInfo {
    TokenInfo {
        id: token.id.0,
        name: token.name.clone(),
        service: token.service,
        owner: token.owner.0,
        scopes: token.limits.rights.as_ref().map(|rights| rights.iter().copied().collect()),
        team: token.limits.team.map(|team| team.0),
        created_at: token.created_at.0,
        expires_at: token.expires_at.map(|at| at.0),
        used_at: token.used_at.map(|at| at.0),
        revoked_at: token.revoked_at.map(|at| at.0),
    }
}

/// A token that is limited says nothing of its owner's account, and changes nothing of it.
pub(super) fn own(who: &Who) -> Result<()> {
    if who.grants().unlimited() {
        return Ok(());
    }
    let detail = "the token is limited, and this is about its owner's account";
    Err(Refusal::new(ProblemKind::NotAllowed, detail, "sign in, or use a token without limits"))
}

fn holds(token: &Token, now: Timestamp) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|at| at > now)
}

fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
