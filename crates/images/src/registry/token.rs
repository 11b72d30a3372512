//! Tokens of a registry's token service, and the headers that prove who we are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::Registries;
use super::fault::{self, Trouble};
use crate::error::ImageError;
use crate::reference::Reference;
use crate::settings::Credential;

/// The longest answer of a token service.
const MAX_ANSWER: usize = 1 << 20;

/// What the registry said to ask.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) realm: &'a str,
    pub(crate) service: Option<&'a str>,
    pub(crate) scope: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registries {
    /// Asks the token service for a token to read the repository.
    pub(crate) async fn token(
        &self,
        reference: &Reference,
        asked: Asked<'_>,
        credential: Option<&Credential>,
    ) -> Result<Option<HeaderValue>, Trouble> {
        let registry = &reference.registry;
        let wrong = |why: &str| {
            let what = format!("the token service that `{registry}` names");
            Trouble::Stop(ImageError::Malformed { what, why: why.to_owned() })
        };
        let mut url: Url = asked.realm.parse().map_err(|_| wrong("its address is no URL"))?;
        self.hosts.check(&url).map_err(|refused| fault::refused_by(reference, refused))?;
        let wanted = format!("repository:{}:pull", reference.repository);
        let scope = asked.scope.unwrap_or(&wanted);
        let client = self.client().await.map_err(Trouble::Stop)?;
        let request = if let Some(Credential::Identity(refresh)) = credential {
            let mut form: Url = "http://form.invalid/".parse().map_err(|_| wrong("a form"))?;
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", refresh.reveal())
                .append_pair("client_id", "quire")
                .append_pair("service", asked.service.unwrap_or(registry))
                .append_pair("scope", scope);
            client
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned())
        } else {
            if let Some(service) = asked.service {
                url.query_pairs_mut().append_pair("service", service);
            }
            url.query_pairs_mut().append_pair("scope", scope);
            let basic = match credential {
                Some(Credential::Basic { user, password }) => basic(user, password.reveal()),
                _ => None,
            };
            let request = client.get(url);
            basic.into_iter().fold(request, |request, basic| request.header(AUTHORIZATION, basic))
        };
        let mut response = request.send().await.map_err(|error| self.cut(reference, &error))?;
        match response.status() {
            StatusCode::OK => {}
            // It says no to these credentials; also some say so by a bad request.
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                return Err(Trouble::Stop(self.denied(reference)));
            }
            _ => {
                self.judge(reference, "a token", response)?;
                return Err(wrong("it answered with another status than 200"));
            }
        }
        let mut text = Vec::new();
        while let Some(bytes) =
            response.chunk().await.map_err(|error| self.cut(reference, &error))?
        {
            if text.len() + bytes.len() > MAX_ANSWER {
                return Err(wrong("its answer is too long"));
            }
            text.extend_from_slice(&bytes);
        }
        let answer: Answer = serde_json::from_slice(&text)
            .map_err(|_| wrong("its answer is no JSON with a token"))?;
        let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| wrong("its answer holds no token"))?;
        bearer(&token).map(Some).ok_or_else(|| wrong("its token cannot be sent"))
    }
}

/// `Bearer …`.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

/// `Basic …`.
pub(crate) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
