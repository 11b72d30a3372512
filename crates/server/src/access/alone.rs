//! The one user of a machine alone, known by one token.

use axum::http::{header, request};
use quire_api::ProblemKind;
use quire_domain::access::{LOCAL_TEAM, LOCAL_USER, Role};
use quire_evidence::digest::sha256;

use crate::access::who::{In, Who};
use crate::guard::Peer;
use crate::refusal::{Refusal, Result};
use crate::state::State;

/// The name of the cookie that may hold the token as well.
const COOKIE: &str = "quire_session";

/// Who may come in.
#[derive(Clone)]
pub struct Access {
    /// SHA-256 of the token: comparing digests tells nothing of the token by its time.
    token: quire_domain::ids::Sha256,
}

impl Access {
    /// Whoever has this token is the one user.
    pub fn alone(token: &str) -> Self {
        Self { token: sha256(token.as_bytes()) }
    }

    /// Who sent a request.
    #[expect(clippy::unused_async, reason = "tokens of several users are looked up in the store")]
    pub async fn who(&self, parts: &request::Parts, _: &State) -> Result<Who> {
        let sent = bearer(parts).or_else(|| cookie(parts));
        let known = sent.is_some_and(|sent| sha256(sent.as_bytes()) == self.token);
        if !known {
            return Err(Refusal::new(
                ProblemKind::NotSignedIn,
                "the request has no valid token or session",
                "sign in, or send a token as `Authorization: Bearer …`",
            ));
        }
        Ok(Who {
            user: LOCAL_USER,
            name: "local".to_owned(),
            admin: true,
            teams: vec![In { team: LOCAL_TEAM, name: "local".to_owned(), role: Role::Admin }],
            token: None,
            scopes: None,
            address: parts.extensions.get::<Peer>().map(|peer| peer.0.ip()),
        })
    }
}

fn bearer(parts: &request::Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(parts: &request::Parts) -> Option<&str> {
    let values = parts.headers.get_all(header::COOKIE).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}
