//! One call of the model: what people said meanwhile, the request, the reply.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::attempt::{FailureKind, SuspendReason};
use quire_domain::budget::MicroDollars;
use quire_domain::event::{
    CommandPurpose, CommandStarted, EventBody, ModelReplied, ModelRequested, StandIn, Suspended,
};
use quire_domain::journal::{Journal, Live};
use quire_domain::model::{ImageSource, LiveReply, ModelError, ModelRequest, ReplyDelta};
use quire_domain::sandbox::Sandbox;
use quire_domain::task::Image;
use quire_domain::transcript::{Item, Reply, StopReason, ToolCall};

use super::{Driver, Halt, Ready, in_words};
use crate::run::End;
use crate::tools::Declined;

/// Calls of one reply that are run; the rest are declined.
const MAX_CALLS: usize = 64;

/// For what comes behind a question in its reply.
pub(super) const AFTER_A_QUESTION: &str = "Not run: it came behind a question in the same reply. \
     Make it again, if it is still right with what the person says.";

/// Opens pictures from the record, and shows what arrives.
struct Line<'a>(&'a Arc<dyn Journal>);

#[async_trait]
impl ImageSource for Line<'_> {
    async fn open(&self, image: &Image) -> Option<Bytes> {
        self.0.blob(&image.blob).await.ok()
    }
}

impl LiveReply for Line<'_> {
    fn delta(&self, delta: ReplyDelta<'_>) {
        self.0.live(match delta {
            ReplyDelta::Text(text) => Live::Text { text: text.to_owned() },
            ReplyDelta::Reasoning(text) => Live::Reasoning { text: text.to_owned() },
            // The whole input is shown with the reply.
            ReplyDelta::ToolInput(_) => return,
            ReplyDelta::Retry { why, after } => Live::Retry {
                why: why.to_owned(),
                after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            },
            ReplyDelta::Waiting { what } => Live::Preparing { text: what.to_owned() },
        });
    }
}

/// A complete reply, and what it took.
pub(super) struct Heard {
    pub reply: Reply,
    pub ms: u64,
    pub cost: Option<MicroDollars>,
}

impl Driver {
    /// Asks the model and records its reply with the commands it is about to start.
    pub(super) async fn ask_model(&mut self) -> Result<(), Halt> {
        self.take_steers().await?;
        self.ready().await?;
        let requested = ModelRequested {
            model: self.attempt.model.info().name.clone(),
            window: self.transcript.window(),
            items: u32::try_from(self.transcript.items().len()).unwrap_or(u32::MAX),
            preamble: self.preamble.clone(),
        };
        self.record(EventBody::ModelRequested(requested));
        self.flush().await?;
        let heard = match self.reply_to(self.transcript.items()).await {
            Ok(heard) => heard,
            Err(Unheard::Cancelled) => return Err(Halt::End(End::Cancelled)),
            Err(Unheard::Model(ModelError::ContextTooLong { .. }))
                if self.transcript.replies_in_window() > 0 =>
            {
                // Our estimate was too low.
                return self.compact().await;
            }
            Err(Unheard::Model(error)) => return Err(self.unheard(error)),
        };
        let Heard { reply, ms, cost } = heard;
        let stand_in = self.stand_in();
        let (usage, cut) = (reply.usage, reply.stop == StopReason::MaxTokens);
        self.record(EventBody::ModelReplied(ModelReplied { reply, ms, cost, stand_in }));
        self.make_ready(cut).await?;
        self.flush().await?;
        self.attempt.purse.add(usage, cost);
        Ok(())
    }

    /// Waits until a request may be made, or ends where none may.
    pub(super) async fn ready(&mut self) -> Result<(), Halt> {
        let ready = tokio::select! {
            biased;
            () = self.attempt.cancel.cancelled() => return Err(Halt::End(End::Cancelled)),
            ready = self.attempt.model.ready() => ready,
        };
        ready.map_err(|error| self.unheard(error))
    }

    /// How the attempt goes on where the model gave no reply.
    pub(super) fn unheard(&mut self, error: ModelError) -> Halt {
        match error {
            ModelError::Held { words, until } => {
                let reason = SuspendReason::Quota;
                self.stands = Some(Suspended { reason, detail: Some(words), until });
                Halt::End(End::Suspended(reason))
            }
            ModelError::Declined { words } => Halt::End(End::Refused(words)),
            error => Halt::End(failed(&error)),
        }
    }

    /// The model that answered in place of the one that was asked for.
    fn stand_in(&self) -> Option<StandIn> {
        let why = self.attempt.model.stands_in()?;
        Some(StandIn { model: self.attempt.model.info().name.clone(), why })
    }

    /// What people said for the next model call. Whether there was anything.
    pub(super) async fn take_steers(&mut self) -> Result<bool, Halt> {
        let last = self.transcript.last_steer();
        let mut any = false;
        for said in self.attempt.inputs.steers(last).await? {
            if said.input > self.transcript.last_steer() {
                self.record(EventBody::Steered(said));
                any = true;
            }
        }
        Ok(any)
    }

    /// Reads the calls of the reply and names the commands they start.
    async fn make_ready(&mut self, cut: bool) -> Result<(), Halt> {
        let calls: Vec<ToolCall> = self.transcript.open_calls().cloned().collect();
        let last = calls.len().saturating_sub(1);
        let mut asks = false;
        self.ready.clear();
        for (at, call) in calls.iter().enumerate() {
            let prepared = if cut && at == last {
                Err(Declined(
                    "Your reply reached the output limit, so this call may be cut and was not \
                     run. Make it again, in smaller pieces."
                        .to_owned(),
                ))
            } else if at >= MAX_CALLS {
                Err(Declined(format!(
                    "Not run: this is call {} of a reply that may make {MAX_CALLS}. Make it \
                     again if it is still needed.",
                    at + 1
                )))
            } else if asks {
                Err(Declined(AFTER_A_QUESTION.to_owned()))
            } else {
                self.toolbox.prepare(call, &self.place)
            };
            asks |= prepared.as_ref().is_ok_and(|prepared| prepared.question().is_some());
            let command = prepared.as_ref().ok().and_then(|prepared| prepared.command());
            let chunk = match command {
                None => None,
                Some(command) => {
                    let chunk = self.attempt.journal.open_chunk().await?;
                    self.record(EventBody::CommandStarted(CommandStarted {
                        chunk: chunk.id().clone(),
                        purpose: CommandPurpose::Call(call.id.clone()),
                        command: command.command,
                        workdir: command.workdir,
                        terminal: command.terminal,
                    }));
                    Some(chunk)
                }
            };
            self.ready.push(Ready { prepared, chunk });
        }
        Ok(())
    }

    /// Asks, waits, and counts. An idle sandbox is folded meanwhile.
    pub(super) async fn reply_to(&self, items: &[Item]) -> Result<Heard, Unheard> {
        let line = Line(&self.attempt.journal);
        let request = ModelRequest {
            instructions: &self.system,
            tools: &self.specs,
            items,
            images: &line,
            cache_key: &self.attempt.cache_key,
            live: &line,
        };
        let from = self.attempt.clock.now();
        self.attempt.sandbox.begin();
        let idle = self.used_sandbox.as_ref().filter(|_| self.sessions.running().is_empty());
        let reply = tokio::select! {
            biased;
            () = self.attempt.cancel.cancelled() => return Err(Unheard::Cancelled),
            reply = self.attempt.model.reply(request) => reply.map_err(Unheard::Model)?,
            never = fold_later(idle, self.attempt.settings.fold_after) => match never {},
        };
        let ms = self.attempt.clock.now().millis_since(from);
        let price = self.attempt.model.info().price.as_ref();
        let cost = price.map(|price| price.cost(reply.usage));
        Ok(Heard { reply, ms, cost })
    }
}

/// Why there is no reply.
pub(super) enum Unheard {
    Cancelled,
    Model(ModelError),
}

/// How the attempt ends where the model gives no reply.
fn failed(error: &ModelError) -> End {
    let kind = match error {
        ModelError::Unavailable { .. }
        | ModelError::ComeBack { .. }
        | ModelError::Held { .. }
        | ModelError::Unreadable { .. } => FailureKind::ModelUnavailable,
        ModelError::ContextTooLong { .. } => FailureKind::ContextTooLong,
        ModelError::BadKey { .. }
        | ModelError::NoSuchModel { .. }
        | ModelError::QuotaExceeded { .. }
        | ModelError::Declined { .. }
        | ModelError::Rejected { .. } => FailureKind::ModelRejected,
    };
    End::Failed { kind, detail: in_words(error) }
}

/// Folds a sandbox in which nothing runs after a while. Never ends: the reply does.
async fn fold_later(
    sandbox: Option<&Arc<dyn Sandbox>>,
    after: Option<Duration>,
) -> std::convert::Infallible {
    if let (Some(sandbox), Some(after)) = (sandbox, after) {
        tokio::time::sleep(after).await;
        let sandbox = sandbox.clone();
        // A task of its own, as a reply must not cut it short. What fails shows at the next use.
        tokio::spawn(async move {
            let _ = sandbox.fold().await;
        });
    }
    std::future::pending().await
}
