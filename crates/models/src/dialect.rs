//! What every dialect can do: write a request, and read the events of its reply.

use std::borrow::Cow;

use bytes::Bytes;
use quire_domain::model::{ModelRequest, ToolInputSpec};
use quire_domain::transcript::{Item, Part, Reply, ReplyItem};
use serde_json::{Value, json};

use crate::catalogue::Dialect;
use crate::fault::Fault;
use crate::fold::Fold;
use crate::images::Images;
use crate::resolve::ResolvedModel;
use crate::sse::SseEvent;
use crate::{chat, messages, responses};

/// Where requests go, below the base URL.
pub(crate) fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Responses => "/responses",
        Dialect::Chat => "/chat/completions",
        Dialect::Messages => "/messages",
    }
}

/// The body of a request: it begins with all bytes of the request before it in the same window,
/// up to the end of that one's list of items (where `CacheMarks::Blocks` is set, up to the mark
/// on its last block).
pub(crate) fn body(
    dialect: Dialect,
    model: &ResolvedModel,
    request: &ModelRequest<'_>,
    images: &Images,
) -> Bytes {
    match dialect {
        Dialect::Responses => responses::body(model, request, images),
        Dialect::Chat => chat::body(model, request, images),
        Dialect::Messages => messages::body(model, request, images),
    }
}

/// A fair guess at a body's length, so that it is not moved while it grows.
pub(crate) fn capacity(request: &ModelRequest<'_>, images: &Images) -> usize {
    let part = |part: &Part| match part {
        Part::Text { text } => text.len() + text.len() / 16 + 64,
        Part::Image { .. } => 128,
    };
    let items: usize = request
        .items
        .iter()
        .map(|item| match item {
            Item::Message(message) => message.parts.iter().map(part).sum::<usize>() + 64,
            Item::ToolResults { results } => {
                results.iter().flat_map(|r| &r.parts).map(part).sum::<usize>() + 128
            }
            Item::Reply(reply) => reply.items.len() * 1024,
        })
        .sum();
    items + request.instructions.len() + images.len() + request.tools.len() * 2048 + 4096
}

/// Reads the events of one reply.
pub(crate) enum Reader {
    Responses,
    Chat(chat::Reader),
    Messages(messages::Reader),
}

impl Reader {
    pub(crate) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Responses => Self::Responses,
            Dialect::Chat => Self::Chat(chat::Reader::default()),
            Dialect::Messages => Self::Messages(messages::Reader::default()),
        }
    }

    /// Takes one event of the stream.
    pub(crate) fn event(
        &mut self,
        model: &ResolvedModel,
        event: &SseEvent,
        fold: &mut Fold<'_>,
    ) -> Result<(), Fault> {
        if event.data.trim().is_empty() {
            return Ok(());
        }
        match self {
            Self::Responses => responses::event(model, event, fold),
            Self::Chat(reader) => reader.event(model, event, fold),
            Self::Messages(reader) => reader.event(model, event, fold),
        }
    }

    /// Takes a whole reply, from a server that does not stream.
    pub(crate) fn whole(
        &mut self,
        model: &ResolvedModel,
        text: &str,
        fold: &mut Fold<'_>,
    ) -> Result<(), Fault> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Fault::unreadable(format!("the answer is not JSON: {error}")))?;
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(crate::fault::from_error(model, &value));
        }
        match self {
            Self::Responses => responses::whole(model, value, fold),
            Self::Chat(reader) => reader.whole(model, &value, fold),
            Self::Messages(reader) => reader.whole(model, value, fold),
        }
    }

    /// The stream closed.
    pub(crate) fn closed(&mut self, fold: &mut Fold<'_>) {
        match self {
            Self::Chat(reader) => reader.closed(fold),
            Self::Responses | Self::Messages(_) => {}
        }
    }
}

/// Names what the `raw` fields of a reply are in: they are sent back as they came to the same
/// model at the same provider, and to nobody else, who could not read what it encrypted.
pub(crate) fn tag(dialect: Dialect, model: &ResolvedModel) -> String {
    format!("{}:{}", dialect.as_str(), model.info.name)
}

/// The items of a reply as they go back: raw where they came from here.
pub(crate) fn raw_of<'r>(reply: &Reply, item: &'r ReplyItem, tag: &str) -> Option<&'r Value> {
    let (ReplyItem::Text { raw, .. }
    | ReplyItem::Reasoning { raw, .. }
    | ReplyItem::ToolCall { raw, .. }) = item;
    raw.as_ref().filter(|_| reply.dialect == tag)
}

/// The JSON Schema of a tool's input, where free text cannot be asked for as such.
pub(crate) fn schema(input: &ToolInputSpec) -> Cow<'_, Value> {
    match input {
        ToolInputSpec::Json { schema } => Cow::Borrowed(schema),
        ToolInputSpec::Text { grammar } => Cow::Owned(json!({
            "type": "object",
            "properties": {
                "input": {
                    "type": "string",
                    "description": format!("Text of this Lark grammar:\n{grammar}"),
                },
            },
            "required": ["input"],
            "additionalProperties": false,
        })),
    }
}

/// The text of `parts`, joined by newlines; `None` if a picture is among them.
pub(crate) fn only_text(parts: &[Part]) -> Option<Cow<'_, str>> {
    match parts {
        [] => Some(Cow::Borrowed("")),
        [Part::Text { text }] => Some(Cow::Borrowed(text)),
        _ => {
            let texts: Option<Vec<&str>> = parts
                .iter()
                .map(|part| match part {
                    Part::Text { text } => Some(text.as_str()),
                    Part::Image { .. } => None,
                })
                .collect();
            Some(Cow::Owned(texts?.join("\n")))
        }
    }
}
