//! Speaks to registries: who we are, what is tried again, what came and whether it is true.

mod challenge;
mod client;
mod download;
mod fault;
mod hosts;
mod token;
mod tries;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

use self::challenge::Challenge;
use self::fault::Trouble;
use self::hosts::Hosts;
use self::tries::Tries;
use crate::digest::Digest;
use crate::error::{ImageError, TooLarge};
use crate::manifest::{self, Descriptor};
use crate::progress::Teller;
use crate::reference::Reference;
use crate::settings::{Credential, Settings};

/// Registries, as the settings reach them.
#[derive(Debug)]
pub(crate) struct Registries {
    settings: Arc<Settings>,
    hosts: Hosts,
    client: OnceCell<Client>,
    /// What the last challenge of a repository was answered with.
    authorizations: Mutex<HashMap<String, HeaderValue>>,
    /// `http` or `https`, of registries on this machine.
    schemes: Mutex<HashMap<String, &'static str>>,
}

/// Who is told and who calls off.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) teller: &'a Teller<'a>,
    pub(crate) cancel: &'a CancellationToken,
}

impl Registries {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        let hosts = Hosts::new(&settings);
        Self {
            settings,
            hosts,
            client: OnceCell::new(),
            authorizations: Mutex::default(),
            schemes: Mutex::default(),
        }
    }

    /// What stands behind a tag or digest, and the digest of what came.
    pub(crate) async fn manifest(
        &self,
        reference: &Reference,
        asked: &str,
        call: Call<'_>,
    ) -> Result<(Vec<u8>, Digest), ImageError> {
        let path = format!("manifests/{asked}");
        let what = if asked.starts_with("sha256:") {
            format!("{}@{asked}", reference.repository)
        } else {
            format!("{}:{asked}", reference.repository)
        };
        let (text, found) = self.small(reference, &path, &what, manifest::ACCEPT, call).await?;
        match asked.parse::<Digest>() {
            Ok(expected) if expected != found => {
                Err(ImageError::lied(&reference.registry, "the manifest", &expected, &found))
            }
            _ => Ok((text, found)),
        }
    }

    /// A small blob: an image's configuration.
    pub(crate) async fn config(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        call: Call<'_>,
    ) -> Result<Vec<u8>, ImageError> {
        let path = format!("blobs/{}", blob.digest);
        let what = format!("{}, configuration {}", reference.repository, blob.digest.short());
        let (text, found) = self.small(reference, &path, &what, "*/*", call).await?;
        if found != blob.digest {
            let what = "the configuration";
            return Err(ImageError::lied(&reference.registry, what, &blob.digest, &found));
        }
        Ok(text)
    }

    async fn small(
        &self,
        reference: &Reference,
        path: &str,
        what: &str,
        accept: &'static str,
        call: Call<'_>,
    ) -> Result<(Vec<u8>, Digest), ImageError> {
        let mut tries = Tries::new(&self.settings, reference, call);
        loop {
            match tries.called_off(self.small_once(reference, path, what, accept)).await? {
                Ok(text) => {
                    let found = Digest::of(&text);
                    return Ok((text, found));
                }
                Err(trouble) => tries.pause(trouble).await?,
            }
        }
    }

    async fn small_once(
        &self,
        reference: &Reference,
        path: &str,
        what: &str,
        accept: &'static str,
    ) -> Result<Vec<u8>, Trouble> {
        let limit = self.settings.limits.manifest_bytes;
        let mut response = self.ask(reference, path, what, accept, None).await?;
        let mut text = Vec::new();
        loop {
            let bytes = response.chunk().await.map_err(|error| self.cut(reference, &error))?;
            let Some(bytes) = bytes else { return Ok(text) };
            if (text.len() + bytes.len()) as u64 > limit {
                let limit = TooLarge::Bytes { limit };
                return Err(Trouble::Stop(ImageError::TooLarge { what: what.to_owned(), limit }));
            }
            text.extend_from_slice(&bytes);
        }
    }

    /// One request, with the answer to one challenge. Gives an answer that is a success.
    async fn ask(
        &self,
        reference: &Reference,
        path: &str,
        what: &str,
        accept: &'static str,
        from: Option<u64>,
    ) -> Result<Response, Trouble> {
        let client = self.client().await.map_err(Trouble::Stop)?;
        let scheme = self.scheme(client, reference).await?;
        let registry = &reference.registry;
        let url = format!("{scheme}://{registry}/v2/{}/{path}", reference.repository);
        let url: Url = url.parse().map_err(|error| {
            Trouble::Stop(ImageError::Settings(format!("`{registry}`: {error}")))
        })?;
        self.hosts.check(&url).map_err(|refused| fault::refused_by(reference, refused))?;
        let key = format!("{registry}/{}", reference.repository);
        let mut authorization = self.authorizations.lock().await.get(&key).cloned();
        let mut answered = false;
        loop {
            let mut request = client.get(url.clone()).header(ACCEPT, accept);
            if let Some(authorization) = &authorization {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if let Some(from) = from.filter(|from| *from > 0) {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let response = request.send().await.map_err(|error| self.cut(reference, &error))?;
            if response.status() == StatusCode::UNAUTHORIZED && !answered {
                answered = true;
                let header = response.headers().get(WWW_AUTHENTICATE);
                let asked = header.and_then(|header| challenge::read(header.to_str().ok()?));
                if let Some(challenge) = asked
                    && let Some(answer) = self.answer(reference, &challenge).await?
                {
                    self.authorizations.lock().await.insert(key.clone(), answer.clone());
                    authorization = Some(answer);
                    continue;
                }
            }
            return self.judge(reference, what, response);
        }
    }

    /// What a status means.
    fn judge(
        &self,
        reference: &Reference,
        what: &str,
        response: Response,
    ) -> Result<Response, Trouble> {
        let registry = reference.registry.clone();
        let status = response.status();
        let after = retry_after(&response);
        match status.as_u16() {
            200 | 206 | 416 => Ok(response),
            401 | 403 => Err(Trouble::Stop(self.denied(reference))),
            404 => Err(Trouble::Stop(ImageError::NotFound { registry, what: what.to_owned() })),
            429 => Err(Trouble::Passing {
                error: ImageError::RateLimited { registry, retry_after: after },
                after,
                moved: false,
            }),
            408 | 500.. => Err(Trouble::Passing {
                error: ImageError::Server { registry, status: status.as_u16(), tries: 1 },
                after,
                moved: false,
            }),
            other => Err(Trouble::Stop(ImageError::Malformed {
                what: format!("the answer of `{registry}` for {what}"),
                why: format!("status {other}"),
            })),
        }
    }

    fn denied(&self, reference: &Reference) -> ImageError {
        let user = match self.settings.credentials.get(&reference.registry) {
            Some(Credential::Basic { user, .. }) => Some(format!("`{user}`")),
            Some(_) => Some("the token".to_owned()),
            None => None,
        };
        ImageError::Denied {
            registry: reference.registry.clone(),
            repository: reference.repository.clone(),
            user,
        }
    }

    async fn client(&self) -> Result<&Client, ImageError> {
        self.client
            .get_or_try_init(|| async {
                let (settings, hosts) = (Arc::clone(&self.settings), self.hosts.clone());
                tokio::task::spawn_blocking(move || client::build(&settings, &hosts))
                    .await
                    .map_err(|error| ImageError::Settings(error.to_string()))?
            })
            .await
    }

    /// TLS, but where an administrator says otherwise; on this machine, what is spoken there.
    async fn scheme(
        &self,
        client: &Client,
        reference: &Reference,
    ) -> Result<&'static str, Trouble> {
        let registry = &reference.registry;
        if self.hosts.is_plain(registry) {
            return Ok("http");
        }
        if !Hosts::is_loopback(registry) {
            return Ok("https");
        }
        if let Some(known) = self.schemes.lock().await.get(registry) {
            return Ok(known);
        }
        let url: Url = format!("https://{registry}/v2/")
            .parse()
            .map_err(|_| Trouble::Stop(ImageError::Settings(format!("`{registry}` is no host"))))?;
        self.hosts.check(&url).map_err(|refused| fault::refused_by(reference, refused))?;
        let scheme = match client.get(url).send().await {
            Ok(_) => "https",
            Err(error) if fault::is_certificate(&error) => return Err(self.cut(reference, &error)),
            Err(error) if fault::is_not_tls(&error) => "http",
            Err(error) => return Err(self.cut(reference, &error)),
        };
        self.schemes.lock().await.insert(registry.clone(), scheme);
        Ok(scheme)
    }

    async fn answer(
        &self,
        reference: &Reference,
        challenge: &Challenge,
    ) -> Result<Option<HeaderValue>, Trouble> {
        let credential = self.settings.credentials.get(&reference.registry);
        match (challenge, credential) {
            (_, Some(Credential::Bearer(token))) => Ok(token::bearer(token.reveal())),
            (Challenge::Basic, Some(Credential::Basic { user, password })) => {
                Ok(token::basic(user, password.reveal()))
            }
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service, scope }, credential) => {
                let asked =
                    token::Asked { realm, service: service.as_deref(), scope: scope.as_deref() };
                self.token(reference, asked, credential).await
            }
        }
    }
}

/// Seconds or a date; in the past it is now.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(std::time::SystemTime::now()).unwrap_or_default())
}
