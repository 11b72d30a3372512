//! Who sent a request: by a bearer token, or by a browser's cookie.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, Method, header, request};
use quire_api::ProblemKind;
use quire_store::{Known, Means};

use crate::access::cookie;
use crate::access::oidc::{BadProvider, Oidc, ProviderSettings};
use crate::access::password::Passwords;
use crate::access::proxy::{Encrypted, Network};
use crate::access::secrets::{hash, same};
use crate::access::who::Who;
use crate::guard::Peer;
use crate::refusal::{Refusal, Result};
use crate::state::State;

/// The header with which a page that signed in says that a change is its own.
pub const CSRF_HEADER: &str = "x-quire-csrf";

/// Who may come in, and how they sign in. Cheap to clone.
#[derive(Clone, Default)]
pub struct Access {
    inner: Arc<Inner>,
}

#[derive(Clone, Default)]
struct Inner {
    /// The hash of the token that this process knows itself.
    machine: Option<[u8; 32]>,
    proxies: Vec<Network>,
    passwords: Passwords,
    provider: Option<Arc<Oidc>>,
}

impl Access {
    /// Whoever is in the store may come in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Who has this token is the one user of the machine.
    pub fn alone(token: &str) -> Self {
        Self::new().with_machine_token(token)
    }

    /// Takes one more token, of who runs the server. It is kept nowhere and ends with the process.
    #[must_use]
    pub fn with_machine_token(self, token: &str) -> Self {
        let inner = Inner { machine: Some(hash(token)), ..(*self.inner).clone() };
        Self { inner: Arc::new(inner) }
    }

    /// Takes the word of these for where a request came from.
    #[must_use]
    pub fn with_proxies(self, proxies: Vec<Network>) -> Self {
        let inner = Inner { proxies, ..(*self.inner).clone() };
        Self { inner: Arc::new(inner) }
    }

    /// Lets the organisation's provider sign people in. It is not asked anything yet.
    ///
    /// # Errors
    ///
    /// [`BadProvider`] if the settings cannot be right.
    pub fn with_provider(
        self,
        settings: ProviderSettings,
    ) -> std::result::Result<Self, BadProvider> {
        let inner = Inner { provider: Some(Oidc::new(settings)?), ..(*self.inner).clone() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The organisation's provider of sign-ins.
    pub(crate) fn provider(&self) -> Option<Arc<Oidc>> {
        self.inner.provider.clone()
    }

    /// Whether an address is a proxy whose word counts.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.inner.proxies.iter().any(|network| network.holds(address))
    }

    /// Hashes and compares passwords.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    /// Who sent a request.
    ///
    /// A request with an `Authorization` header is judged by that alone. One with a cookie that
    /// changes something has to come from a page of ours: with its [`CSRF_HEADER`], and no other
    /// origin.
    pub async fn who(&self, parts: &request::Parts, state: &State) -> Result<Who> {
        let now = state.clock.now();
        let known = if parts.headers.contains_key(header::AUTHORIZATION) {
            match bearer(&parts.headers).map(hash) {
                None => None,
                Some(sent) if self.inner.machine == Some(sent) => {
                    Some(state.store.who_runs_the_machine().await?)
                }
                Some(sent) => state.store.who_has_token(&sent, now).await?,
            }
        } else {
            match cookie::read(&parts.headers, encrypted(parts)).map(hash) {
                None => None,
                Some(sent) => state.store.who_has_session(&sent, now).await?,
            }
        };
        let known = known.ok_or_else(not_signed_in)?;
        if let Means::Session(session) = &known.by
            && !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
        {
            let sent = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
            if !sent.is_some_and(|sent| same(sent, &session.csrf)) {
                return Err(not_of_ours(&format!("the header `{CSRF_HEADER}` is missing or old")));
            }
            same_origin(parts)?;
        }
        Ok(who(known, address(parts)))
    }
}

fn who(known: Known, address: Option<IpAddr>) -> Who {
    let (token, session) = match known.by {
        Means::Token(token) => (Some(token.id), None),
        Means::Session(session) => (None, Some(session)),
        Means::Machine => (None, None),
    };
    Who::new(&known.user, known.teams, known.grants, token, session, address)
}

/// Where a request came from.
pub(crate) fn address(parts: &request::Parts) -> Option<IpAddr> {
    parts.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical())
}

/// Whether the browser speaks TLS.
pub(crate) fn encrypted(parts: &request::Parts) -> bool {
    parts.extensions.get::<Encrypted>().is_some_and(|it| it.0)
}

/// What was sent as a bearer token.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Refuses what a browser says comes from a page of another origin.
pub(crate) fn same_origin(parts: &request::Parts) -> Result<()> {
    let text = |name: &str| Some(parts.headers.get(name)?.to_str().unwrap_or("?"));
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(not_of_ours("the request comes from another site"));
    }
    let Some(origin) = text("origin") else { return Ok(()) };
    let host = parts.uri.authority().map(axum::http::uri::Authority::as_str);
    let host = host.or_else(|| text("host")).unwrap_or_default();
    let of_origin = origin.split_once("://").map(|(_, host)| host);
    if of_origin.is_some_and(|of_origin| of_origin.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    Err(not_of_ours("the request comes from a page of another origin"))
}

fn not_of_ours(detail: &str) -> Refusal {
    let advice = "send changes from a page of this server, with the value `csrf` of /api/v1/me";
    Refusal::new(ProblemKind::NotAllowed, detail, advice)
}

pub(crate) fn not_signed_in() -> Refusal {
    Refusal::new(
        ProblemKind::NotSignedIn,
        "the request has no valid token or session",
        "sign in, or send a token as `Authorization: Bearer …`",
    )
}
