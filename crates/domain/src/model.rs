//! The contract of a language model.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::budget::Price;
use crate::time::Timestamp;
use crate::transcript::{Item, Reply};

/// A language model, reached however it may be.
#[async_trait]
pub trait Model: Send + Sync {
    /// What is known about it.
    fn info(&self) -> &ModelInfo;

    /// Whether a request may be made now: asked before each is written down. What says no says for
    /// how long, or for good.
    async fn ready(&self) -> Result<(), ModelError> {
        Ok(())
    }

    /// Why another model answers than the one that was asked for, where that is so:
    /// [`Model::info`] is the other's then. Looked at after each reply.
    fn stands_in(&self) -> Option<String> {
        None
    }

    /// Asks for one reply and waits until it is complete. Retries what may get better by itself;
    /// dropping the future cancels the request.
    async fn reply(&self, request: ModelRequest<'_>) -> Result<Reply, ModelError>;
}

/// One question to a model. The serialised list of items comes last in the body, so that a
/// request begins with the bytes of the one before.
#[derive(Clone, Copy)]
pub struct ModelRequest<'a> {
    /// The system's instructions: the same for all requests of a window.
    pub instructions: &'a str,
    /// The tools on offer: the same for all requests of a window.
    pub tools: &'a [ToolSpec],
    /// What was said, oldest first.
    pub items: &'a [Item],
    /// Pictures named by `items`, opened by the caller's journal.
    pub images: &'a dyn ImageSource,
    /// A word that all requests of one attempt share, for the provider's cache.
    pub cache_key: &'a str,
    /// Takes what arrives, as it arrives. For showing only.
    pub live: &'a dyn LiveReply,
}

/// Opens pictures by their blob.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// The bytes, at most 20 MiB; `None` if they are gone.
    async fn open(&self, image: &crate::task::Image) -> Option<bytes::Bytes>;
}

/// Takes what arrives of a reply before it is complete.
pub trait LiveReply: Send + Sync {
    /// A piece of something. Must not block.
    fn delta(&self, delta: ReplyDelta<'_>);
}

/// A piece of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyDelta<'a> {
    /// Words for the person.
    Text(&'a str),
    /// A summary of reasoning.
    Reasoning(&'a str),
    /// The input of a tool call.
    ToolInput(&'a str),
    /// The request is asked again: what came before is void.
    Retry {
        /// Why, for the person.
        why: &'a str,
        /// How long until then.
        after: Duration,
    },
    /// The request has not left yet.
    Waiting {
        /// What for, for the person.
        what: &'a str,
    },
}

/// A tool as a model is told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does, in Markdown.
    pub description: String,
    /// What it takes.
    pub input: ToolInputSpec,
}

/// What a tool takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolInputSpec {
    /// A JSON object of this schema.
    Json {
        /// JSON Schema.
        schema: serde_json::Value,
    },
    /// Free text that follows a grammar where the dialect can say so; else a JSON object with
    /// the one string `input`.
    Text {
        /// A Lark grammar.
        grammar: String,
    },
}

/// What is known about a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// `provider/model`.
    pub name: String,
    /// Tokens its window holds, output included.
    pub window_tokens: u64,
    /// Tokens it may write in one reply.
    pub max_output_tokens: u64,
    /// Whether it sees pictures.
    pub images: bool,
    /// What it costs, where known.
    pub price: Option<Price>,
    /// Whether the replies are played from a script: said on every screen.
    pub scripted: bool,
}

/// Why a model gave no reply. All but the first three kinds will not get better by asking again.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No reply after all retries.
    #[error("{provider} did not answer after {tries} tries: {last}")]
    Unavailable {
        /// Who was asked.
        provider: String,
        /// How often.
        tries: u32,
        /// What the last try met.
        last: String,
    },
    /// The provider wants to be left alone for longer than a request waits.
    #[error("{provider} asks to wait {} s: {message}", .after.as_secs())]
    ComeBack {
        /// Who was asked.
        provider: String,
        /// For how long.
        after: Duration,
        /// Its words.
        message: String,
    },
    /// No request may be made for now; the attempt stands still until one may.
    #[error("{words}")]
    Held {
        /// Why, and when it goes on, for the person.
        words: String,
        /// When to look again; `None` where a person has to do something.
        until: Option<Timestamp>,
    },
    /// A policy of the installation refuses the task.
    #[error("{words}")]
    Declined {
        /// Its words, for the person.
        words: String,
    },
    /// The key is missing or wrong.
    #[error("{provider} does not accept the key: {message}")]
    BadKey {
        /// Who was asked.
        provider: String,
        /// Its words.
        message: String,
    },
    /// There is no such model there.
    #[error("{provider} has no model `{model}`: {message}")]
    NoSuchModel {
        /// Who was asked.
        provider: String,
        /// What for.
        model: String,
        /// Its words.
        message: String,
    },
    /// What was sent does not fit the model's window.
    #[error("the conversation no longer fits the window of {model}: {message}")]
    ContextTooLong {
        /// The model.
        model: String,
        /// The provider's words.
        message: String,
    },
    /// The account has no credit or quota left.
    #[error("{provider} says that the account's quota is used up: {message}")]
    QuotaExceeded {
        /// Who was asked.
        provider: String,
        /// Its words.
        message: String,
    },
    /// The provider will not take the request.
    #[error("{provider} rejected the request (HTTP {status}): {message}")]
    Rejected {
        /// Who was asked.
        provider: String,
        /// The status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The reply is not what the dialect promises, after all retries.
    #[error("{provider} sent a reply that cannot be read: {message}")]
    Unreadable {
        /// Who was asked.
        provider: String,
        /// What was wrong.
        message: String,
    },
}
