//! A model as one attempt is given it: what it may ask, and what answers in its place.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::ids::Sha256;
use quire_domain::model::{Model, ModelError, ModelInfo, ModelRequest, ReplyDelta};
use quire_domain::time::Timestamp;
use quire_domain::transcript::{Item, Message, Part, Reply, Role};
use sha2::Digest as _;
use tokio::sync::OnceCell;

use super::account::Account;
use super::policy::Question;
use super::{Caller, Gateway, words};

/// How long another model answers before the one that was asked for is tried again, where its
/// provider does not say how long.
const STAND_IN_MS: u64 = 5 * 60_000;

/// Pauses before a provider that does not answer is tried again, in minutes; after the last the
/// attempt fails.
const PATIENCE_MIN: [u64; 8] = [1, 2, 5, 10, 20, 30, 60, 60];

/// A model of one attempt.
pub(super) struct GatewayModel {
    gateway: Gateway,
    caller: Caller,
    primary: Arc<dyn Model>,
    second: OnceCell<Option<Arc<dyn Model>>>,
    account: Arc<Account>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why the second model answers, and until when.
    stands_in: Option<(String, Timestamp)>,
    /// What people said that the policy let through.
    allowed: HashSet<Sha256>,
    /// How often it stood still for want of an answer, since there was one.
    waited: u32,
}

impl GatewayModel {
    pub(super) fn new(
        gateway: Gateway,
        caller: Caller,
        primary: Arc<dyn Model>,
        account: Arc<Account>,
    ) -> Self {
        let state = State { waited: caller.waited, ..State::default() };
        Self {
            gateway,
            caller,
            primary,
            second: OnceCell::new(),
            account,
            state: Mutex::new(state),
        }
    }

    fn active(&self) -> &Arc<dyn Model> {
        match self.second.get() {
            Some(Some(second)) if self.state().stands_in.is_some() => second,
            _ => &self.primary,
        }
    }

    /// The limits of the month.
    async fn within_quota(&self) -> Result<(), ModelError> {
        let checked = self.gateway.inner.ledger.check(self.account.owner).await;
        match checked {
            Ok(None) => Ok(()),
            Ok(Some(reached)) => Err(ModelError::Held {
                words: words::reached(&reached, self.gateway.inner.rules.patient),
                until: Some(reached.month.next().first_day().begins()),
            }),
            Err(error) => Err(self.held(60_000, &format!("its quotas cannot be read ({error})"))),
        }
    }

    /// Asks the policy about what people said that it has not seen.
    async fn permitted(&self, request: &ModelRequest<'_>) -> Result<(), ModelError> {
        let inner = &self.gateway.inner;
        if inner.rules.policy.allows_all() {
            return Ok(());
        }
        let said: Vec<(Sha256, String)> = request.items.iter().filter_map(said).collect();
        let new: Vec<(Sha256, String)> = {
            let state = self.state();
            said.into_iter().filter(|(digest, _)| !state.allowed.contains(digest)).collect()
        };
        if new.is_empty() {
            return Ok(());
        }
        request.live.delta(ReplyDelta::Waiting { what: "asks the installation's policy" });
        let (digests, texts): (Vec<_>, Vec<_>) = new.into_iter().unzip();
        let question = Question { caller: &self.caller, owner: self.account.owner, said: texts };
        match question.ask(inner).await {
            Ok(None) => {
                self.state().allowed.extend(digests);
                Ok(())
            }
            Ok(Some(words)) => Err(ModelError::Declined { words }),
            Err(error) => {
                Err(self
                    .held(60_000, &format!("the installation's policy gave no answer ({error})")))
            }
        }
    }

    /// Whether another model may answer a request that failed so: then it does from here on.
    async fn falls_back(&self, error: &ModelError, request: Option<&ModelRequest<'_>>) -> bool {
        let for_ms = match error {
            ModelError::ComeBack { after, .. } => millis(*after),
            ModelError::Unavailable { .. } | ModelError::QuotaExceeded { .. } => STAND_IN_MS,
            _ => return false,
        };
        if self.state().stands_in.is_some() {
            return false;
        }
        let Some(second) = self.second().await else { return false };
        if request.is_some_and(|request| !fits(second.info(), request)) {
            return false;
        }
        if second.ready().await.is_err() {
            return false;
        }
        let until = self.gateway.inner.clock.now().plus_millis(for_ms);
        self.state().stands_in = Some((error.to_string(), until));
        true
    }

    async fn second(&self) -> Option<&Arc<dyn Model>> {
        let inner = &self.gateway.inner;
        let name = inner.rules.fallback.as_ref().filter(|name| **name != self.caller.model)?;
        let open = async {
            // One that cannot be opened is none; the first one's own error is the one to tell.
            let second = inner.models.open_for(name, self.account.owner.author).await.ok()?;
            (second.info().name != self.primary.info().name).then_some(second)
        };
        self.second.get_or_init(|| open).await.as_ref()
    }

    /// What a failure means to an attempt that has time.
    fn waits(&self, error: ModelError) -> ModelError {
        match error {
            ModelError::ComeBack { ref provider, after, ref message } => {
                let words = format!("{provider} asks to be left alone ({message})");
                self.held(millis(after), &words)
            }
            ModelError::Unavailable { .. } if self.gateway.inner.rules.patient => {
                let waited = self.state().waited;
                match PATIENCE_MIN.get(waited as usize) {
                    Some(minutes) => self.held(minutes * 60_000, &error.to_string()),
                    None => error,
                }
            }
            error => error,
        }
    }

    fn held(&self, ms: u64, why: &str) -> ModelError {
        let until = self.gateway.inner.clock.now().plus_millis(ms);
        let again = if self.gateway.inner.rules.patient { "it is tried" } else { "try" };
        let words = format!("{why}; {again} again in {}", words::pause(ms));
        ModelError::Held { words, until: Some(until) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Model for GatewayModel {
    fn info(&self) -> &ModelInfo {
        self.active().info()
    }

    async fn ready(&self) -> Result<(), ModelError> {
        self.within_quota().await?;
        let now = self.gateway.inner.clock.now();
        {
            let mut state = self.state();
            if state.stands_in.as_ref().is_some_and(|(_, until)| *until <= now) {
                state.stands_in = None;
            }
        }
        let Err(error) = self.active().ready().await else { return Ok(()) };
        if self.falls_back(&error, None).await { Ok(()) } else { Err(self.waits(error)) }
    }

    fn stands_in(&self) -> Option<String> {
        self.state().stands_in.as_ref().map(|(why, _)| why.clone())
    }

    async fn reply(&self, request: ModelRequest<'_>) -> Result<Reply, ModelError> {
        self.permitted(&request).await?;
        let mut replied = self.active().reply(request).await;
        if let Err(error) = &replied
            && self.falls_back(error, Some(&request)).await
        {
            let why = format!("{error}; asks {} instead", self.info().name);
            request.live.delta(ReplyDelta::Retry { why: &why, after: Duration::ZERO });
            replied = self.active().reply(request).await;
        }
        if matches!(replied, Err(ModelError::ComeBack { .. })) {
            // So that others do not ask to be told the same; they hear it later otherwise.
            let _ = self.gateway.inner.ledger.exchange_pauses().await;
        }
        let reply = replied.map_err(|error| self.waits(error))?;
        self.state().waited = 0;
        let info = self.info();
        let cost = info.price.as_ref().map(|price| price.cost(reply.usage));
        let now = self.gateway.inner.clock.now();
        self.account.add(&info.name, now, reply.usage, cost);
        Ok(reply)
    }
}

/// What a person said, and its digest.
fn said(item: &Item) -> Option<(Sha256, String)> {
    let Item::Message(Message { role: Role::User, parts }) = item else { return None };
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        Part::Image { .. } => None,
    });
    let text = texts.collect::<Vec<_>>().join("\n");
    Some((Sha256::from_bytes(&sha2::Sha256::digest(text.as_bytes()).into()), text))
}

/// Whether a model can take a request that was made for another: four bytes are about a token, and
/// what is left has to hold its reply.
fn fits(info: &ModelInfo, request: &ModelRequest<'_>) -> bool {
    let pictures = request.items.iter().any(|item| {
        let parts: &[Part] = match item {
            Item::Message(message) => &message.parts,
            Item::ToolResults { results } => {
                return results.iter().any(|result| pictured(&result.parts)) && !info.images;
            }
            Item::Reply(_) => &[],
        };
        pictured(parts) && !info.images
    });
    let bytes = serde_json::to_vec(request.items).map_or(0, |bytes| bytes.len());
    let bytes = bytes + request.instructions.len();
    let room =
        info.window_tokens.saturating_sub(info.max_output_tokens.min(info.window_tokens / 4));
    !pictures && (bytes as u64) / 4 < room
}

fn pictured(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Image { .. }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
