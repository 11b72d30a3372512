//! The Anthropic Messages dialect.

use bytes::Bytes;
use quire_domain::budget::Usage;
use quire_domain::ids::CallId;
use quire_domain::model::{ModelRequest, ToolSpec};
use quire_domain::transcript::{
    Item, Message, Part, Reply, ReplyItem, Role, StopReason, ToolCall, ToolInput, ToolResult,
};
use serde_json::{Value, json};

use crate::body::Body;
use crate::catalogue::{CacheMarks, Dialect};
use crate::dialect::{capacity, only_text, raw_of, schema, tag};
use crate::fault::{self, Fault};
use crate::fold::{Fold, Form};
use crate::images::{Images, Shown};
use crate::resolve::ResolvedModel;
use crate::sse::SseEvent;

/// The version of the API, sent as a header.
pub(crate) const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// Writes a request.
///
/// With automatic marks the body says once, at its top, that the last block is to be cached; so
/// no byte of the list changes from one request to the next. With marks on blocks the last
/// block carries one, which moves on with every request.
pub(crate) fn body(model: &ResolvedModel, request: &ModelRequest<'_>, images: &Images) -> Bytes {
    let mut body = Body::new(capacity(request, images));
    body.field("model", &model.model);
    body.field("stream", &true);
    // The API refuses a request whose input and this together exceed the window.
    let quarter = model.info.window_tokens / 4;
    body.field("max_tokens", &model.info.max_output_tokens.min(quarter));
    let on_blocks = model.cache_marks == CacheMarks::Blocks;
    if model.cache_marks == CacheMarks::Automatic {
        body.field("cache_control", &mark());
    }
    body.fields(&model.request);
    let mut system = json!([{ "type": "text", "text": request.instructions }]);
    if on_blocks {
        system[0]["cache_control"] = mark();
    }
    body.field("system", &system);
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request.tools.iter().map(tool).collect();
        body.field("tools", &tools);
    }
    let mut list = body.list("messages");
    let tag = tag(Dialect::Messages, model);
    let last = request.items.len().saturating_sub(1);
    for (place, item) in request.items.iter().enumerate() {
        let (role, mut blocks) = match item {
            Item::Message(message) => ("user", said(message, images)),
            Item::Reply(reply) => ("assistant", replied(reply, &tag)),
            Item::ToolResults { results } => {
                ("user", results.iter().map(|r| result_block(r, images)).collect())
            }
        };
        if on_blocks
            && place == last
            && let Some(block) = blocks.last_mut()
        {
            block["cache_control"] = mark();
        }
        list.push(&json!({ "role": role, "content": blocks }));
    }
    list.finish()
}

fn mark() -> Value {
    json!({ "type": "ephemeral" })
}

fn tool(spec: &ToolSpec) -> Value {
    json!({
        "name": spec.name,
        "description": spec.description,
        "input_schema": schema(&spec.input),
    })
}

/// There is no role for the system between messages: its words are marked as such.
fn said(message: &Message, images: &Images) -> Vec<Value> {
    let blocks: Vec<Value> = match message.role {
        Role::User => message.parts.iter().map(|part| block(part, images)).collect(),
        Role::Developer => message
            .parts
            .iter()
            .map(|part| match part {
                Part::Text { text } => text_block(&format!("<system>\n{text}\n</system>")),
                Part::Image { .. } => block(part, images),
            })
            .collect(),
    };
    if blocks.is_empty() { vec![text_block("")] } else { blocks }
}

fn block(part: &Part, images: &Images) -> Value {
    match part {
        Part::Text { text } => text_block(text),
        Part::Image { image } => match images.show(image) {
            Shown::Base64(data) => json!({
                "type": "image",
                "source": { "type": "base64", "media_type": image.media_type, "data": data },
            }),
            Shown::Words(words) => text_block(&words),
        },
    }
}

/// Text of white space alone is refused by the API.
fn text_block(text: &str) -> Value {
    let text = if text.trim().is_empty() { "(nothing)" } else { text };
    json!({ "type": "text", "text": text })
}

fn replied(reply: &Reply, tag: &str) -> Vec<Value> {
    let mut blocks = Vec::with_capacity(reply.items.len());
    for item in &reply.items {
        if let Some(raw) = raw_of(reply, item, tag) {
            blocks.push(raw.clone());
            continue;
        }
        match item {
            ReplyItem::Text { text, .. } if text.trim().is_empty() => {}
            ReplyItem::Text { text, .. } => blocks.push(text_block(text)),
            // Reasoning without its signature is refused.
            ReplyItem::Reasoning { .. } => {}
            ReplyItem::ToolCall { call, .. } => blocks.push(call_block(call)),
        }
    }
    if blocks.is_empty() { vec![text_block("")] } else { blocks }
}

fn call_block(call: &ToolCall) -> Value {
    let input = match &call.input {
        ToolInput::Text(text) => json!({ "input": text }),
        ToolInput::Json(text) => object_of(text),
    };
    json!({ "type": "tool_use", "id": call.id.0, "name": call.name, "input": input })
}

/// The API takes objects only: malformed input goes back as the text that it was.
fn object_of(text: &str) -> Value {
    if text.trim().is_empty() {
        return json!({});
    }
    serde_json::from_str(text)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({ "malformed_input": text }))
}

fn result_block(result: &ToolResult, images: &Images) -> Value {
    let content = match only_text(&result.parts) {
        Some(text) => Value::String(text.into_owned()),
        None => result.parts.iter().map(|part| block(part, images)).collect(),
    };
    let mut block = json!({
        "type": "tool_result",
        "tool_use_id": result.call_id.0,
        "content": content,
    });
    if !result.ok {
        block["is_error"] = true.into();
    }
    block
}

/// Reads a reply.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The blocks that have begun, by index.
    blocks: Vec<(u64, Value)>,
    usage: Usage,
}

impl Reader {
    pub(crate) fn event(
        &mut self,
        model: &ResolvedModel,
        event: &SseEvent,
        fold: &mut Fold<'_>,
    ) -> Result<(), Fault> {
        let value: Value = serde_json::from_str(&event.data)
            .map_err(|error| Fault::unreadable(format!("an event is not JSON: {error}")))?;
        let kind = value.get("type").and_then(Value::as_str).unwrap_or(&event.name);
        let index = value.get("index").and_then(Value::as_u64).unwrap_or(0);
        match kind {
            "message_start" => {
                if let Some(message) = value.get("message") {
                    self.started(message, fold);
                }
                Ok(())
            }
            "content_block_start" => match value.get("content_block") {
                Some(block) => self.begin(index, block, fold),
                None => Ok(()),
            },
            "content_block_delta" => match value.get("delta") {
                Some(delta) => self.delta(index, delta, fold),
                None => Ok(()),
            },
            "content_block_stop" => self.settle(index, fold),
            "message_delta" => {
                if let Some(usage) = value.get("usage") {
                    self.count(usage, fold);
                }
                if let Some(delta) = value.get("delta") {
                    stop(delta, fold);
                }
                Ok(())
            }
            "message_stop" => {
                fold.end();
                Ok(())
            }
            "error" => Err(fault::from_error(model, &value)),
            _ => Ok(()),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "as the other dialects take it")]
    pub(crate) fn whole(
        &mut self,
        _: &ResolvedModel,
        message: Value,
        fold: &mut Fold<'_>,
    ) -> Result<(), Fault> {
        let Some(blocks) = message.get("content").and_then(Value::as_array) else {
            return Err(Fault::unreadable("the answer holds no content"));
        };
        self.started(&message, fold);
        for (index, block) in (0..).zip(blocks) {
            self.begin(index, block, fold)?;
            if let Some(input) = block.get("input") {
                fold.tool_input(index, &input.to_string())?;
            }
            self.settle(index, fold)?;
        }
        stop(&message, fold);
        fold.end();
        Ok(())
    }

    fn started(&mut self, message: &Value, fold: &mut Fold<'_>) {
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        fold.started(text("model"), text("id"));
        if let Some(usage) = message.get("usage") {
            self.count(usage, fold);
        }
    }

    /// Counts are cumulative and come in pieces: each replaces what was told of it before.
    fn count(&mut self, usage: &Value, fold: &mut Fold<'_>) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        let mut told = self.usage;
        // The API counts cached input apart; ours counts all input.
        let plain = told
            .input_tokens
            .saturating_sub(told.cached_input_tokens)
            .saturating_sub(told.cache_write_tokens);
        let plain = count("input_tokens").unwrap_or(plain);
        told.cached_input_tokens =
            count("cache_read_input_tokens").unwrap_or(told.cached_input_tokens);
        told.cache_write_tokens =
            count("cache_creation_input_tokens").unwrap_or(told.cache_write_tokens);
        told.input_tokens =
            plain.saturating_add(told.cached_input_tokens).saturating_add(told.cache_write_tokens);
        told.output_tokens = count("output_tokens").unwrap_or(told.output_tokens);
        told.reasoning_tokens = usage
            .pointer("/output_tokens_details/thinking_tokens")
            .and_then(Value::as_u64)
            .unwrap_or(told.reasoning_tokens);
        self.usage = told;
        fold.usage(told);
    }

    fn begin(&mut self, index: u64, block: &Value, fold: &mut Fold<'_>) -> Result<(), Fault> {
        let text = |name: &str| block.get(name).and_then(Value::as_str);
        let mut kept = block.clone();
        match text("type") {
            Some("text") => fold.text(index, text("text").unwrap_or_default())?,
            Some("thinking") => fold.reasoning(index, text("thinking").unwrap_or_default())?,
            Some("tool_use") => {
                fold.tool(index, text("id"), text("name"), Form::Json)?;
                kept["input"] = json!({});
            }
            // Redacted thinking, and blocks of the server's own: they go back unread.
            _ => fold.reasoning(index, "")?,
        }
        match self.blocks.iter_mut().find(|(known, _)| *known == index) {
            Some((_, known)) => *known = kept,
            None => self.blocks.push((index, kept)),
        }
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: &Value, fold: &mut Fold<'_>) -> Result<(), Fault> {
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        match delta.get("type").and_then(Value::as_str) {
            Some("text_delta") => fold.text(index, text("text")),
            Some("thinking_delta") => fold.reasoning(index, text("thinking")),
            Some("input_json_delta") => fold.tool_input(index, text("partial_json")),
            Some("signature_delta") => {
                if let Some((_, block)) = self.blocks.iter_mut().find(|(known, _)| *known == index)
                {
                    let known = block.get("signature").and_then(Value::as_str).unwrap_or("");
                    block["signature"] = format!("{known}{}", text("signature")).into();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A block is whole: what it goes back as is put together.
    fn settle(&mut self, index: u64, fold: &mut Fold<'_>) -> Result<(), Fault> {
        let Some((_, block)) = self.blocks.iter_mut().find(|(known, _)| *known == index) else {
            return Ok(());
        };
        let whole = fold.text_of(index).to_owned();
        let mut block = std::mem::take(block);
        let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let item = match block.get("type").and_then(Value::as_str) {
            Some("text") => {
                block["text"] = whole.clone().into();
                // An empty block came, but may not go back.
                let raw = (!whole.trim().is_empty()).then_some(block);
                ReplyItem::Text { text: whole, raw }
            }
            Some("thinking") => {
                block["thinking"] = whole.clone().into();
                ReplyItem::Reasoning { summary: whole, raw: Some(block) }
            }
            Some("tool_use") => {
                let call = ToolCall {
                    id: CallId(text("id")),
                    name: text("name"),
                    input: ToolInput::Json(if whole.is_empty() { "{}".to_owned() } else { whole }),
                };
                block["input"] = object_of(call.input.as_str());
                ReplyItem::ToolCall { call, raw: Some(block) }
            }
            _ => ReplyItem::Reasoning { summary: String::new(), raw: Some(block) },
        };
        fold.settle(index, item)
    }
}

fn stop(message: &Value, fold: &mut Fold<'_>) {
    match message.get("stop_reason").and_then(Value::as_str) {
        None => {}
        Some("tool_use") => fold.stop(StopReason::ToolUse),
        Some("max_tokens" | "model_context_window_exceeded") => fold.stop(StopReason::MaxTokens),
        Some("refusal") => {
            let words = message
                .pointer("/stop_details/explanation")
                .and_then(Value::as_str)
                .unwrap_or("the model declined to go on")
                .to_owned();
            fold.stop(StopReason::Refused { words });
        }
        Some(_) => fold.stop(StopReason::EndTurn),
    }
}
