//! Asks a model: one try after another until there is a whole reply or a reason why not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::access::LOCAL_USER;
use quire_domain::budget::Usage;
use quire_domain::ids::UserId;
use quire_domain::model::{Model, ModelError, ModelInfo, ModelRequest, ReplyDelta};
use quire_domain::transcript::{Reply, StopReason};
use reqwest::Response;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Map;

use crate::arrival::Arrival;
use crate::catalogue::Dialect;
use crate::dialect;
use crate::fault::{self, Again, Fault};
use crate::fold::{self, Fold};
use crate::gateway::{Delay, Gateway, Shut};
use crate::http::HttpClients;
use crate::images::Images;
use crate::messages;
use crate::resolve::ResolvedModel;
use crate::retry_after::retry_after;
use crate::settings::Settings;

/// What is read of an answer that is an error.
const ERROR_LIMIT: usize = 64 * 1024;
/// How long an answer that is complete may take to close before it is left to the background.
const DRAIN_AT_ONCE: Duration = Duration::from_millis(2);
/// How long it may take there; its connection is thrown away then.
const DRAIN: Duration = Duration::from_secs(2);

/// What all models of a process share: connections, and one gateway for each provider's address.
pub struct Client {
    settings: Settings,
    http: HttpClients,
    gateways: Mutex<HashMap<String, Door>>,
}

/// A provider's door.
#[derive(Clone)]
struct Door {
    provider: String,
    gateway: Arc<Gateway>,
}

/// For how long a provider wants to be left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Its id.
    pub provider: String,
    /// For how long.
    pub wait: Duration,
    /// Its words, where it is for long.
    pub message: String,
}

/// Connects to `model` with a client of its own. Where there are several models, share a
/// [`Client`].
pub fn connect(model: ResolvedModel, settings: &Settings) -> Arc<dyn Model> {
    Arc::new(Client::new(settings.clone())).connect(model)
}

impl Client {
    /// A client; nothing is opened or loaded yet.
    pub fn new(settings: Settings) -> Self {
        let http = HttpClients::new(settings.connect_timeout);
        Self { settings, http, gateways: Mutex::default() }
    }

    /// A model that is asked through this client, by who uses the machine alone.
    pub fn connect(self: &Arc<Self>, model: ResolvedModel) -> Arc<dyn Model> {
        self.connect_for(LOCAL_USER, model)
    }

    /// A model that `person` asks through this client: where requests wait, people take turns.
    pub fn connect_for(self: &Arc<Self>, person: UserId, model: ResolvedModel) -> Arc<dyn Model> {
        let gateway = self.gateway(&model);
        self.http.prepare(&model.base_url);
        Arc::new(RemoteModel {
            client: Arc::clone(self),
            gateway,
            person,
            model,
            speaks_chat_only: AtomicBool::new(false),
            plainer: OnceLock::new(),
        })
    }

    /// The gateway that all models at the same address share.
    fn gateway(&self, model: &ResolvedModel) -> Arc<Gateway> {
        let mut gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        let gateway = gateways.entry(model.base_url.clone()).or_insert_with(|| {
            let limits = self.settings.limits.get(&model.provider).copied().unwrap_or_default();
            let gateway = Arc::new(Gateway::new(limits, Arc::clone(&self.settings.pace)));
            Door { provider: model.provider.clone(), gateway }
        });
        Arc::clone(&gateway.gateway)
    }

    /// The providers that nobody may ask now, as far as this process knows.
    pub fn closed(&self) -> Vec<Closed> {
        let doors = self.doors();
        let closed = doors.iter().filter_map(|door| {
            let wait = door.gateway.closed_for()?;
            let message = door.gateway.shut().map(|shut| shut.message).unwrap_or_default();
            Some(Closed { provider: door.provider.clone(), wait, message })
        });
        closed.collect()
    }

    /// Asks a provider nothing for a while, as another process was told to.
    pub fn close(&self, closed: &Closed) {
        for door in self.doors().iter().filter(|door| door.provider == closed.provider) {
            // The same news again is no further pause.
            if door.gateway.closed_for().is_some_and(|known| known >= closed.wait) {
                continue;
            }
            if closed.wait > self.settings.longest_wait {
                door.gateway.shut_for(closed.wait, &closed.message);
            } else {
                door.gateway.close_for(closed.wait);
            }
        }
    }

    fn doors(&self) -> Vec<Door> {
        let gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        gateways.values().cloned().collect()
    }
}

struct RemoteModel {
    client: Arc<Client>,
    gateway: Arc<Gateway>,
    /// Who asks.
    person: UserId,
    model: ResolvedModel,
    /// The server at an address of the person's own turned out not to know Responses.
    speaks_chat_only: AtomicBool,
    /// The same without the catalogue's further fields, once the provider refused one of them.
    plainer: OnceLock<ResolvedModel>,
}

#[async_trait]
impl Model for RemoteModel {
    fn info(&self) -> &ModelInfo {
        &self.model.info
    }

    async fn ready(&self) -> Result<(), ModelError> {
        match self.gateway.shut() {
            Some(shut) => Err(self.come_back(shut)),
            None => Ok(()),
        }
    }

    async fn reply(&self, request: ModelRequest<'_>) -> Result<Reply, ModelError> {
        let images = Images::open(&request, self.model.info.images).await;
        let mut dialect = self.dialect();
        let mut body = dialect::body(dialect, self.model(), &request, &images);
        let mut tries = 0;
        loop {
            tries += 1;
            let fault = match self.one_try(dialect, &request, body.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            let again = match fault {
                Fault::Again(again) => again,
                Fault::Fatal(error) if dialect == Dialect::Responses && self.lacks_path(&error) => {
                    self.speaks_chat_only.store(true, Ordering::Relaxed);
                    dialect = Dialect::Chat;
                    body = dialect::body(dialect, self.model(), &request, &images);
                    continue;
                }
                Fault::Fatal(error) if self.refuses_fields(&error) => {
                    let plain = ResolvedModel { request: Map::new(), ..self.model.clone() };
                    // Another request may have come to the same end meanwhile.
                    let _ = self.plainer.set(plain);
                    body = dialect::body(dialect, self.model(), &request, &images);
                    continue;
                }
                Fault::Fatal(error) => return Err(error),
                Fault::Shut(shut) => return Err(self.come_back(shut)),
                Fault::Refused(words) => return Ok(self.refused(words)),
                Fault::TooLarge(what) | Fault::NotAReply(what) => {
                    return Err(self.unreadable(what.to_owned()));
                }
            };
            let wait = self.wait(tries, &again);
            if wait > self.client.settings.longest_wait {
                let shut = Shut { after: wait, message: again.why };
                if again.everyone {
                    self.gateway.shut_for(shut.after, &shut.message);
                }
                return Err(self.come_back(shut));
            }
            if again.everyone {
                self.gateway.close_for(wait);
            }
            if tries >= self.client.settings.tries {
                return Err(self.gave_up(tries, again));
            }
            request.live.delta(ReplyDelta::Retry { why: &again.why, after: wait });
            // The door is closed for as long, and opens for one after the other.
            if !again.everyone {
                self.client.settings.pace.sleep(wait).await;
            }
        }
    }
}

impl RemoteModel {
    fn dialect(&self) -> Dialect {
        if self.speaks_chat_only.load(Ordering::Relaxed) {
            Dialect::Chat
        } else {
            self.model.dialect
        }
    }

    /// Whether the server at a person's own address has nothing where Responses should be: most
    /// compatible servers began with Chat Completions.
    fn lacks_path(&self, error: &ModelError) -> bool {
        self.model.custom_base_url
            && matches!(error, ModelError::Rejected { status: 404 | 405 | 501, .. })
    }

    fn model(&self) -> &ResolvedModel {
        self.plainer.get().unwrap_or(&self.model)
    }

    /// Whether the provider refused one of the fields that the catalogue adds and that it can do
    /// without: some are for verified accounts only, and some are given up with a new model.
    fn refuses_fields(&self, error: &ModelError) -> bool {
        let ModelError::Rejected { status: 400 | 403 | 422, message, .. } = error else {
            return false;
        };
        let message = message.to_lowercase();
        self.model().request.keys().any(|field| message.contains(field.as_str()))
    }

    async fn one_try(
        &self,
        dialect: Dialect,
        request: &ModelRequest<'_>,
        body: Bytes,
    ) -> Result<Reply, Fault> {
        let settings = &self.client.settings;
        let request_bytes = body.len();
        let estimate = fold::tokens(request_bytes);
        let delayed = |delay: Delay| {
            let what = format!("waits for {}: {delay}", self.model.provider_title);
            request.live.delta(ReplyDelta::Waiting { what: &what });
        };
        let entered = self.gateway.enter(self.person, estimate, delayed).await;
        let mut pass = entered.map_err(Fault::Shut)?;
        let deadline = Instant::now() + settings.reply_timeout;

        let mut response = self.send(dialect, body).await?;
        pass.let_in();
        let fold = Fold::new(request.live, request.items.len());
        let mut arrival = Arrival::new(self.model(), dialect, fold);
        while !arrival.has_ended() {
            let idle =
                if arrival.has_begun() { settings.idle_timeout } else { self.model.first_wait };
            match self.piece(&mut response, idle, deadline).await {
                Ok(Some(piece)) => arrival.take(&piece)?,
                Ok(None) => break,
                Err(_) if arrival.has_stopped() => break,
                Err(fault) => return Err(fault),
            }
        }
        if arrival.has_ended() {
            drain(response).await;
        }
        let reply = arrival.finish(request_bytes)?;
        self.gateway.correct(estimate, reply.usage.total_tokens());
        Ok(reply)
    }

    /// Sends the request and gives the answer, if it is a success.
    async fn send(&self, dialect: Dialect, body: Bytes) -> Result<Response, Fault> {
        let settings = &self.client.settings;
        let http = self.client.http.for_url(&self.model.base_url).await.map_err(Fault::broken)?;
        let url = format!("{}{}", self.model.base_url, dialect::path(dialect));
        let sending = http.post(url).headers(self.headers(dialect)?).body(body).send();
        let response = tokio::time::timeout(self.model.first_wait, sending)
            .await
            .map_err(|_| silent(self.model.first_wait))?
            .map_err(|error| Fault::broken(told(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after = retry_after(response.headers(), settings.pace.wall());
        let body = error_body(response, settings.idle_timeout).await;
        Err(fault::from_status(&self.model, status.as_u16(), after, &body))
    }

    async fn piece(
        &self,
        response: &mut Response,
        idle: Duration,
        deadline: Instant,
    ) -> Result<Option<Bytes>, Fault> {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = idle.min(left);
        match tokio::time::timeout(limit, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(Fault::broken(format!("the stream was cut: {}", told(&error)))),
            Err(_) if limit == left => {
                let limit = self.client.settings.reply_timeout;
                Err(Fault::broken(format!("no whole reply within {limit:?}")))
            }
            Err(_) => Err(silent(idle)),
        }
    }

    fn headers(&self, dialect: Dialect) -> Result<HeaderMap, Fault> {
        let bad = |what: &str| {
            Fault::Fatal(ModelError::BadKey {
                provider: self.model.provider_title.clone(),
                message: format!("{what} holds characters that a header cannot"),
            })
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let (name, prefix) = match dialect {
            Dialect::Messages => {
                let (name, value) = messages::VERSION;
                headers.insert(name, HeaderValue::from_static(value));
                (HeaderName::from_static("x-api-key"), "")
            }
            Dialect::Responses | Dialect::Chat => (AUTHORIZATION, "Bearer "),
        };
        if let Some(key) = &self.model.key {
            let mut value = HeaderValue::from_str(&format!("{prefix}{}", key.reveal()))
                .map_err(|_| bad("the key"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        for (name, value) in &self.model.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| bad("a header"))?);
        }
        Ok(headers)
    }

    /// How long to wait before the next try: what the provider asks for, else half a second (two
    /// where it is busy) doubled each time up to 30 s, of which chance takes off up to a half.
    fn wait(&self, tries: u32, again: &Again) -> Duration {
        let chance = self.client.settings.pace.chance();
        if let Some(after) = again.after {
            // Not all at the same moment.
            return after.saturating_add(Duration::from_millis(250).mul_f64(chance));
        }
        let first = if again.everyone { 2_000 } else { 500 };
        let doubled = Duration::from_millis(first) * 2_u32.saturating_pow(tries.min(10) - 1);
        doubled.min(Duration::from_secs(30)).mul_f64(0.5 + chance / 2.0)
    }

    fn gave_up(&self, tries: u32, again: Again) -> ModelError {
        if again.unreadable {
            return self.unreadable(again.why);
        }
        let provider = self.model.provider_title.clone();
        ModelError::Unavailable { provider, tries, last: again.why }
    }

    fn come_back(&self, shut: Shut) -> ModelError {
        let Shut { after, message } = shut;
        ModelError::ComeBack { provider: self.model.provider_title.clone(), after, message }
    }

    fn unreadable(&self, message: String) -> ModelError {
        ModelError::Unreadable { provider: self.model.provider_title.clone(), message }
    }

    /// A refusal that came in place of a reply.
    fn refused(&self, words: String) -> Reply {
        Reply {
            items: Vec::new(),
            stop: StopReason::Refused { words },
            usage: Usage::default(),
            model: self.model.model.clone(),
            dialect: dialect::tag(self.dialect(), &self.model),
            provider_id: None,
        }
    }
}

fn silent(limit: Duration) -> Fault {
    Fault::broken(format!("nothing came for {limit:?}"))
}

/// The words of an error and of its causes, without the address, which may be long.
fn told(error: &reqwest::Error) -> String {
    let what = if error.is_connect() { "cannot connect" } else { "the connection failed" };
    let mut text = what.to_owned();
    let mut cause = std::error::Error::source(error);
    let mut deepest = None;
    while let Some(inner) = cause {
        deepest = Some(inner.to_string());
        cause = inner.source();
    }
    if let Some(deepest) = deepest {
        text = format!("{text}: {deepest}");
    }
    text
}

async fn error_body(mut response: Response, limit: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > ERROR_LIMIT {
                body.truncate(ERROR_LIMIT);
                break;
            }
        }
    };
    // What came until then has to do.
    let _ = tokio::time::timeout(limit, read).await;
    body
}

/// Reads an answer to its close, so that its connection can be used again.
async fn drain(mut response: Response) {
    async fn read(response: &mut Response) {
        while let Ok(Some(_)) = response.chunk().await {}
    }
    if tokio::time::timeout(DRAIN_AT_ONCE, read(&mut response)).await.is_err() {
        tokio::spawn(async move {
            let _ = tokio::time::timeout(DRAIN, read(&mut response)).await;
        });
    }
}
