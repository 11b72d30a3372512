//! The provider: where a browser is sent to, and who it says has come back.

use std::sync::Arc;
use std::time::Duration;

use quire_domain::time::Timestamp;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::Refused;
use super::claims::{Claims, Expected, Parts};
use super::keyset::Known;
use super::round::{ROUND_MILLIS, Round, Rounds};
use super::settings::{BadProvider, ProviderSettings};
use super::wire::{ask, client, plain};

/// Sign-ins that are asked about at once.
const AT_ONCE: usize = 16;

/// For everything that is asked to end one sign-in.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What the provider sends back with the browser.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Callback {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

/// The organisation's provider of sign-ins.
pub(crate) struct Oidc {
    pub settings: ProviderSettings,
    client: Client,
    known: Known,
    rounds: Rounds,
    asking: Semaphore,
}

/// Where to send a browser, and what it keeps meanwhile.
pub(crate) struct Begun {
    pub to: Url,
    pub cookie: quire_domain::secret::Secret<String>,
}

/// Who came back, and where they go.
pub(crate) struct Came {
    pub claims: Claims,
    pub return_to: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Oidc {
    /// Asks nobody: what is wrong with the settings is told, not whether the provider is there.
    pub fn new(settings: ProviderSettings) -> Result<Arc<Self>, BadProvider> {
        settings.check()?;
        let client = client(settings.authorities.as_deref())?;
        let known = Known::new(settings.issuer.clone(), client.clone());
        let rounds = Rounds::new().map_err(|error| BadProvider(error.to_string()))?;
        let asking = Semaphore::new(AT_ONCE);
        Ok(Arc::new(Self { settings, client, known, rounds, asking }))
    }

    /// How long a browser keeps the cookie of a sign-in, in seconds.
    pub const fn cookie_seconds() -> u64 {
        ROUND_MILLIS / 1000
    }

    /// Begins a sign-in that goes to `return_to` when it is done.
    pub async fn begin(&self, return_to: &str, now: Timestamp) -> Result<Begun, Refused> {
        let endpoints = self.known.endpoints().await?;
        let round = self.rounds.begin(return_to, now).map_err(|error| Refused::Unreachable {
            doing: "begin a sign-in",
            why: error.to_string(),
        })?;
        let mut to = endpoints.authorization;
        to.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.redirect_uri())
            .append_pair("scope", &self.scopes())
            .append_pair("state", &round.state)
            .append_pair("nonce", &round.nonce)
            .append_pair("code_challenge", &round.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(Begun { to, cookie: round.cookie })
    }

    /// Who came back with this cookie and this answer.
    pub async fn end(
        &self,
        cookie: Option<&str>,
        callback: Callback,
        now: Timestamp,
    ) -> Result<Came, Refused> {
        let state = callback.state.as_deref().unwrap_or_default();
        let round = cookie.and_then(|cookie| self.rounds.end(cookie, state, now));
        let round = round.ok_or(Refused::NotBegun)?;
        if let Some(error) = &callback.error {
            return Err(Refused::Denied(plain(error)));
        }
        let _one = self.asking.try_acquire().map_err(|_| Refused::Busy)?;
        let asked = tokio::time::timeout(TIMEOUT, self.claims(&round, &callback, now)).await;
        let claims = asked.unwrap_or_else(|_| {
            let why = format!("no answers within {} s", TIMEOUT.as_secs());
            Err(Refused::Unreachable { doing: "ask the provider who it is", why })
        })?;
        Ok(Came { claims, return_to: round.return_to })
    }

    async fn claims(
        &self,
        round: &Round,
        callback: &Callback,
        now: Timestamp,
    ) -> Result<Claims, Refused> {
        let endpoints = self.known.endpoints().await?;
        let issuer = &self.settings.issuer;
        // With one provider nothing can be mixed up; an answer of another is none of ours all the same.
        if callback.iss.as_ref().is_some_and(|iss| iss != issuer)
            || (endpoints.names_itself && callback.iss.is_none())
        {
            return Err(Refused::Token("another issuer sent the browser back".to_owned()));
        }
        let code = callback.code.as_deref().unwrap_or_default();
        let tokens = self.redeem(&endpoints.token, endpoints.secret_in_body, round, code).await?;
        let parts = Parts::of(&tokens.id_token).map_err(Refused::Token)?;
        let keys = self.known.keys(&endpoints, |key| parts.fits(key)).await?;
        let client_id = &self.settings.client_id;
        let expected = Expected { issuer, client_id, nonce: &round.nonce, now };
        parts.checked(&keys, &expected).map_err(Refused::Token)
    }

    async fn redeem(
        &self,
        at: &Url,
        secret_in_body: bool,
        round: &Round,
        code: &str,
    ) -> Result<Tokens, Refused> {
        let redirect_uri = self.settings.redirect_uri();
        let id = self.settings.client_id.as_str();
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri.as_str()),
            ("code_verifier", round.verifier.reveal().as_str()),
        ];
        let mut request = self.client.post(at.clone());
        match &self.settings.client_secret {
            Some(secret) if !secret_in_body => {
                let (id, secret) = (encoded(id), encoded(secret.reveal()));
                request = request.basic_auth(id, Some(secret));
            }
            Some(secret) => fields.extend([("client_id", id), ("client_secret", secret.reveal())]),
            None => fields.push(("client_id", id)),
        }
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form(&fields));
        ask("have the provider's code redeemed", request).await
    }

    fn scopes(&self) -> String {
        let mut scopes = vec!["openid"];
        scopes.extend(self.settings.scopes.iter().map(String::as_str).filter(|it| *it != "openid"));
        scopes.join(" ")
    }
}

/// Fields as a form's body.
fn form(fields: &[(&str, &str)]) -> String {
    // A URL's query is written by the same rules, and the crate that does it is here.
    let Ok(mut url) = Url::parse("http://form.invalid/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// A text as a form has it: RFC 6749, section 2.3.1, asks for it in the header too.
fn encoded(text: &str) -> String {
    form(&[("", text)]).trim_start_matches('=').to_owned()
}
