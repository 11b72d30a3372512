//! Signing in: from a password or a link to a session.

use std::net::IpAddr;

use axum::http::{HeaderValue, header, request};
use quire_api::ProblemKind;
use quire_domain::access::UserName;
use quire_domain::secret::Secret;
use quire_domain::time::Timestamp;
use quire_store::{Actor, Note, Session, StoreError, User};
use serde_json::json;

use crate::access::cookie::{self, SESSION_MILLIS};
use crate::access::gate::{address, encrypted};
use crate::access::lockout::counted;
use crate::access::password::PasswordError;
use crate::access::secrets::{hash, mint};
use crate::refusal::{Refusal, Result};
use crate::state::State;

/// Whose name and password these are.
///
/// Whether there is nobody of that name, no password, or another one, is told alike and takes the
/// same time.
pub(crate) async fn with_password(
    state: &State,
    name: &str,
    password: Secret<String>,
    from: Option<IpAddr>,
) -> Result<User> {
    let now = state.clock.now();
    let name = UserName::parse(name);
    let counted = counted(name.as_ref().map_or("?", UserName::as_str), from);
    let subjects: Vec<&str> = counted.iter().map(|one| one.subject.as_str()).collect();
    for failures in state.store.sign_in_failures(&subjects, now).await? {
        not_locked(failures.locked_until, now)?;
    }
    // The first is counted before it is known: of many tries at once each counts.
    let before = state.store.count_sign_in(&counted[0].subject, now, counted[0].lock).await?;
    not_locked(before.locked_until, now)?;
    let user = match &name {
        Ok(name) => match state.store.user_by_name(name).await {
            Ok(user) => Some(user),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        Err(_) => None,
    };
    let kept = match &user {
        Some(user) if user.disabled_at.is_none() => state.store.password_of(user.id).await?,
        _ => None,
    };
    let right = state.access.passwords().is(password, kept).await.map_err(of_password)?;
    if let Some(user) = user.filter(|_| right) {
        state.store.forget_sign_in_failures(&counted[0].subject).await?;
        return Ok(user);
    }
    for one in &counted[1..] {
        state.store.count_sign_in(&one.subject, now, one.lock).await?;
    }
    let name = name.as_ref().map_or("?", UserName::as_str);
    refused(state, &format!("user {name}"), "password", from).await?;
    Err(wrong("the name or the password is wrong", "try again, or ask for a sign-in link"))
}

/// Whom a link signs in; it is used up by that.
pub(crate) async fn with_link(state: &State, link: &str, from: Option<IpAddr>) -> Result<User> {
    let now = state.clock.now();
    if let Some(user) = state.store.use_sign_in_link(&hash(link), now).await? {
        return Ok(user);
    }
    refused(state, "a link", "link", from).await?;
    Err(wrong(
        "the link was used before, or is too old",
        "have another one made: `quire user link NAME` on the server's machine",
    ))
}

/// Begins a session: the cookie, and what is kept of it. It is always a new one, whatever cookie
/// the browser had.
pub(crate) async fn begin(
    state: &State,
    user: &User,
    how: &'static str,
    parts: &request::Parts,
) -> Result<(Session, HeaderValue)> {
    let now = state.clock.now();
    let failed = |error| Refusal::internal("begin a session", &error);
    let (secret, csrf) = (mint("").map_err(failed)?, mint("").map_err(failed)?);
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let session = Session {
        hash: hash(secret.reveal()),
        owner: user.id,
        csrf: csrf.reveal().clone(),
        created_at: now,
        seen_at: now,
        expires_at: now.plus_millis(SESSION_MILLIS),
        agent: agent.unwrap_or_default().to_owned(),
    };
    let actor = Actor { user: Some(user.id), token: None, address: shown(address(parts)) };
    state.store.acting(actor).add_session(&session, how).await?;
    let cookie = cookie::set(&secret, encrypted(parts));
    let cookie = cookie.ok_or_else(|| Refusal::internal("make a cookie", &std::fmt::Error))?;
    Ok((session, cookie))
}

/// Writes down that somebody could not sign in.
pub(crate) async fn refused(
    state: &State,
    subject: &str,
    how: &'static str,
    from: Option<IpAddr>,
) -> Result<()> {
    let actor = Actor { user: None, token: None, address: shown(from) };
    let note = Note {
        team: None,
        action: "session.refused",
        subject: subject.to_owned(),
        detail: json!({ "how": how }),
    };
    Ok(state.store.acting(actor).note(note, state.clock.now()).await?)
}

pub(crate) fn shown(address: Option<IpAddr>) -> String {
    address.map_or(String::new(), |address| address.to_string())
}

pub(crate) fn wrong(detail: &str, advice: &str) -> Refusal {
    Refusal::new(ProblemKind::NotSignedIn, detail, advice)
}

pub(crate) fn of_password(error: PasswordError) -> Refusal {
    match error {
        PasswordError::Length => Refusal::invalid(error.to_string(), "take another one"),
        PasswordError::Busy => {
            Refusal::new(ProblemKind::TooMany, error.to_string(), "try again in a few seconds")
                .with(header::RETRY_AFTER, HeaderValue::from_static("5"))
        }
        PasswordError::Failed => Refusal::internal("look at the password", &error),
    }
}

fn not_locked(until: Timestamp, now: Timestamp) -> Result<()> {
    if until <= now {
        return Ok(());
    }
    let seconds = until.millis_since(now).div_ceil(1000);
    let refusal = Refusal::new(
        ProblemKind::TooMany,
        "signing in failed too often",
        format!("wait {seconds} s, then try again; or ask for a sign-in link"),
    );
    Err(refusal.with(header::RETRY_AFTER, HeaderValue::from(seconds)))
}
