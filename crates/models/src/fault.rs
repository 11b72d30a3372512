//! What a failed try means: asked again, given up with a typed error, or a refusal.

use std::time::Duration;

use quire_domain::model::ModelError;
use serde_json::Value;

use crate::gateway::Shut;
use crate::resolve::ResolvedModel;
use crate::sse::TooLong;

/// Why a try gave no reply.
#[derive(Debug)]
pub(crate) enum Fault {
    /// May get better by itself.
    Again(Again),
    /// Will not.
    Fatal(ModelError),
    /// The provider wants to be left alone for long.
    Shut(Shut),
    /// The provider declined before there was a reply.
    Refused(String),
    /// A reply is not what the dialect promises and asking again would be as large.
    TooLarge(&'static str),
    /// What answers there is no model.
    NotAReply(&'static str),
}

/// Something that may get better by itself.
#[derive(Debug)]
pub(crate) struct Again {
    /// What happened, for the person.
    pub(crate) why: String,
    /// How long the provider asks us to wait.
    pub(crate) after: Option<Duration>,
    /// Whether all attempts should wait, not only this one.
    pub(crate) everyone: bool,
    /// Whether there was a reply and it could not be read.
    pub(crate) unreadable: bool,
}

impl Fault {
    /// The connection failed, or the stream was cut or silent.
    pub(crate) fn broken(why: impl Into<String>) -> Self {
        Self::Again(Again { why: why.into(), after: None, everyone: false, unreadable: false })
    }

    /// The reply is not what the dialect promises.
    pub(crate) fn unreadable(why: impl Into<String>) -> Self {
        Self::Again(Again { why: why.into(), after: None, everyone: false, unreadable: true })
    }
}

impl From<TooLong> for Fault {
    fn from(_: TooLong) -> Self {
        Self::TooLarge("one event is larger than 64 MiB")
    }
}

/// What an HTTP answer other than success means.
pub(crate) fn from_status(
    model: &ResolvedModel,
    status: u16,
    after: Option<Duration>,
    body: &[u8],
) -> Fault {
    let facts = match serde_json::from_slice::<Value>(body) {
        Ok(value) => Facts::of(&value),
        Err(_) => Facts { message: plain_text(body), ..Facts::default() },
    };
    judge(model, Some(status), after, facts)
}

/// What an error object inside a stream or a successful answer means.
pub(crate) fn from_error(model: &ResolvedModel, error: &Value) -> Fault {
    let status = [error.get("code"), error.get("status"), error.pointer("/error/code")]
        .into_iter()
        .flatten()
        .find_map(Value::as_u64)
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| (400..600).contains(code));
    judge(model, status, None, Facts::of(error))
}

/// What a provider says about an error, in whatever form.
#[derive(Debug, Default)]
struct Facts {
    message: String,
    /// `code` and `type`, lower case, separated by a space.
    kind: String,
    /// Whether a moderation says why it flagged the input.
    flagged: bool,
}

impl Facts {
    fn of(value: &Value) -> Self {
        let inner = match value.get("error") {
            Some(inner @ Value::Object(_)) => inner,
            Some(Value::String(text)) => {
                return Self { message: bounded(text), ..Self::default() };
            }
            _ => value,
        };
        let text = |name: &str| inner.get(name).and_then(Value::as_str);
        let message = text("message")
            .or_else(|| text("detail"))
            .or_else(|| text("error"))
            .map_or_else(|| inner.to_string(), str::to_owned);
        let kind = format!("{} {}", text("code").unwrap_or(""), text("type").unwrap_or(""));
        let flagged = inner.pointer("/metadata/reasons").is_some_and(Value::is_array);
        Self { message: bounded(&message), kind: kind.to_ascii_lowercase(), flagged }
    }
}

fn judge(
    model: &ResolvedModel,
    status: Option<u16>,
    after: Option<Duration>,
    facts: Facts,
) -> Fault {
    let provider = model.provider_title.clone();
    let Facts { message, kind, flagged } = facts;
    let words = message.to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|n| words.contains(n) || kind.contains(n));

    if flagged || says(REFUSAL) {
        return Fault::Refused(message);
    }
    if says(QUOTA) || status == Some(402) {
        return Fault::Fatal(ModelError::QuotaExceeded { provider, message });
    }
    // A busy server's 429 may speak of tokens; its message is never about the window.
    if status != Some(429) && (says(TOO_LONG) || status == Some(413)) {
        return Fault::Fatal(ModelError::ContextTooLong {
            model: model.info.name.clone(),
            message,
        });
    }
    if says(NO_MODEL)
        || (status == Some(404) && words.contains("model"))
        || (status == Some(400) && words.contains("model") && words.contains("does not exist"))
    {
        let name = model.model.clone();
        return Fault::Fatal(ModelError::NoSuchModel { provider, model: name, message });
    }
    match status {
        Some(401 | 403) => Fault::Fatal(ModelError::BadKey { provider, message }),
        Some(status @ (408 | 409 | 425 | 429 | 500 | 502..=599)) => Fault::Again(Again {
            why: format!("HTTP {status}: {message}"),
            after,
            everyone: matches!(status, 429 | 503 | 529),
            unreadable: false,
        }),
        Some(status @ 300..=399) => Fault::Fatal(ModelError::Rejected {
            provider,
            status,
            message: format!(
                "{} answers with a redirect, which is not followed: set the final address",
                model.base_url
            ),
        }),
        Some(status) => Fault::Fatal(ModelError::Rejected { provider, status, message }),
        None if says(&["authentication", "invalid_api_key", "permission_error"]) => {
            Fault::Fatal(ModelError::BadKey { provider, message })
        }
        None if says(&["invalid_request"]) => {
            Fault::Fatal(ModelError::Rejected { provider, status: 400, message })
        }
        None => Fault::Again(Again {
            everyone: says(&["rate_limit", "overloaded"]),
            why: message,
            after,
            unreadable: false,
        }),
    }
}

// Lower-case parts of codes, types and messages, as the providers document or send them.
const REFUSAL: &[&str] = &[
    "content_filter",
    "content_policy_violation",
    "cyber_policy_violation",
    "responsibleaipolicyviolation",
    "flagged as potentially violating",
];
const QUOTA: &[&str] = &[
    "insufficient_quota",
    "exceeded your current quota",
    "billing_hard_limit",
    "billing_not_active",
    "credit balance is too low",
    "insufficient balance",
    "insufficient credits",
];
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
    "exceeds the context window",
    "context window of this model",
    "exceed context limit",
    "exceeds the available context size",
    "maximum prompt length",
    "prompt is too long",
    "input is too long",
    "request_too_large",
];
const NO_MODEL: &[&str] =
    &["model_not_found", "model_not_available", "is not a valid model", "unknown_model"];

/// At most this many bytes of a provider's words are kept.
const MESSAGE_LIMIT: usize = 2_000;

fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') {
        return "a web page instead of an answer".to_owned();
    }
    if text.trim().is_empty() { "no words".to_owned() } else { bounded(text.trim()) }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end == text.len() { text.to_owned() } else { format!("{} …", &text[..end]) }
}
