//! One call: sent, sent again where that does nothing twice, and its answer read.

use std::time::Duration;

use bytes::Bytes;
use quire_api::Problem;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::connection::Client;
use crate::error::{ClientError, of_transport};
use crate::wire;

/// Whether a request may be sent again after its answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once {
    /// It changes nothing, or the same again changes nothing more.
    Harmless,
    /// The server knows it again by this key.
    Key(Uuid),
    /// It might be done twice: only what surely did not arrive is sent again.
    Never,
}

/// A call to be made.
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<(Bytes, &'static str)>,
    pub(crate) once: Once,
    pub(crate) patience: Duration,
}

/// An answer that is kept whole is at most this long, in bytes.
const MOST_ANSWER: usize = 256 << 20;
/// What is read of an answer that is an error.
const MOST_ERROR: usize = 64 << 10;
/// How often a call is sent, at most.
const TRIES: u32 = 4;
/// The first pause; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(300);
/// The longest that a server may ask to be left alone before it is told instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

impl Call {
    /// Reads something.
    pub fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path, Once::Harmless)
    }

    /// Makes something; each call of it has a key, so that it is made once.
    pub fn post(path: &[&str]) -> Self {
        Self::new(Method::POST, path, Once::Key(Uuid::now_v7()))
    }

    /// Puts something in the place of what is there.
    pub fn put(path: &[&str]) -> Self {
        Self::new(Method::PUT, path, Once::Harmless)
    }

    /// Changes parts of something.
    pub fn patch(path: &[&str]) -> Self {
        Self::new(Method::PATCH, path, Once::Never)
    }

    /// Takes something away.
    pub fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path, Once::Harmless)
    }

    fn new(method: Method, path: &[&str], once: Once) -> Self {
        Self {
            method,
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            once,
            patience: Duration::from_mins(1),
        }
    }

    /// Adds a parameter to the query; one may be given several times.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a number is handed over as it is")]
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a parameter, if there is one.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Gives it a body.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        // What is sent is made of strings, numbers and lists.
        let bytes = serde_json::to_vec(body).unwrap_or_default();
        self.body = Some((bytes.into(), "application/json"));
        self
    }

    /// Gives it a body of another kind.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>, kind: &'static str) -> Self {
        self.body = Some((body.into(), kind));
        self
    }

    /// Gives it the key of an earlier call, which it is the same as.
    #[must_use]
    pub fn key(mut self, key: Uuid) -> Self {
        self.once = Once::Key(key);
        self
    }

    /// How long its answer may take to begin.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Client {
    /// Makes a call and reads its answer. What the answer has and this version does not know is
    /// left out.
    pub async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let response = self.send(call).await?;
        let bytes = self.whole(response, MOST_ANSWER).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.bad(error.to_string()))
    }

    /// Makes a call whose answer says nothing.
    pub async fn tell(&self, call: Call) -> Result<(), ClientError> {
        let response = self.send(call).await?;
        self.whole(response, MOST_ANSWER).await.map(drop)
    }

    /// Makes a call; gives its answer once its head is there and says that it was done.
    pub(crate) async fn send(&self, call: Call) -> Result<Response, ClientError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.try_once(&call).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let pause = match &error.0 {
                ClientError::Problem { retry_after: Some(after), .. } => *after,
                _ => PAUSE * 2_u32.pow(tries - 1),
            };
            let again = error.0.is_for_now() && (call.once != Once::Never || error.1);
            if !again || tries >= TRIES || pause > LONGEST_PAUSE {
                return Err(error.0);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One try; an error with whether the request surely did not arrive.
    async fn try_once(&self, call: &Call) -> Result<Response, (ClientError, bool)> {
        let request = self.build(call);
        let sent = tokio::time::timeout(call.patience, request.send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let timeout = self.inner.config.timeout;
                let told = of_transport(&error, &self.inner.server, timeout);
                return Err((told, error.is_connect()));
            }
            Err(_) => {
                let server = self.inner.server.clone();
                return Err((ClientError::Timeout { server, after: call.patience }, false));
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let error = self.refusal(response).await;
        // Of a request that was too much, nothing was done.
        Err((error, status == StatusCode::TOO_MANY_REQUESTS))
    }

    pub(crate) fn build(&self, call: &Call) -> reqwest::RequestBuilder {
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        let mut url = self.inner.config.address.api(&path);
        if !call.query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &call.query {
                pairs.append_pair(name, value);
            }
        }
        let mut request = self.inner.http.request(call.method.clone(), url);
        if let Some(token) = &self.inner.config.token {
            request = request.bearer_auth(token.reveal());
        }
        if let Once::Key(key) = call.once {
            request = request.header("idempotency-key", key.to_string());
        }
        if !call.headers.iter().any(|(name, _)| name == ACCEPT) {
            request = request.header(ACCEPT, "application/json");
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some((body, kind)) = &call.body {
            request = request.header(CONTENT_TYPE, *kind).body(body.clone());
        }
        request
    }

    /// Reads an answer whole.
    pub(crate) async fn whole(
        &self,
        mut response: Response,
        most: usize,
    ) -> Result<Bytes, ClientError> {
        let mut all = Vec::new();
        loop {
            let piece = response.chunk().await;
            let piece = piece.map_err(|error| {
                of_transport(&error, &self.inner.server, self.inner.config.timeout)
            })?;
            let Some(piece) = piece else { return Ok(all.into()) };
            if all.len() + piece.len() > most {
                return Err(self.bad(format!("it is longer than {most} bytes")));
            }
            all.extend_from_slice(&piece);
        }
    }

    /// What an answer that is an error says.
    pub(crate) async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header(RETRY_AFTER)
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(Duration::from_secs);
        let location = header(reqwest::header::LOCATION).map(str::to_owned);
        let bytes = self.whole(response, MOST_ERROR).await.unwrap_or_default();
        let server = self.inner.server.clone();
        if let Ok(problem) = serde_json::from_slice::<Problem>(&bytes) {
            return ClientError::Problem { problem: wire::plain(problem), retry_after };
        }
        if status.is_redirection() {
            let to = location.unwrap_or_default();
            let to: String = to.chars().filter(|c| !c.is_control()).take(200).collect();
            let why = format!("it sends us on to `{to}`; sign in there instead");
            return ClientError::NotQuire { server, why };
        }
        // A proxy in between speaks for a server that is away.
        if matches!(status.as_u16(), 502..=504) {
            let why = format!("what stands in front of it answers {status}");
            return ClientError::Unreachable { server, why };
        }
        ClientError::NotQuire { server, why: format!("it answers {status}") }
    }

    pub(crate) fn bad(&self, why: impl Into<String>) -> ClientError {
        ClientError::BadAnswer { server: self.inner.server.clone(), why: why.into() }
    }
}
