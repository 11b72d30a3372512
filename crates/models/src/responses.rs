//! The OpenAI Responses dialect.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use quire_domain::budget::Usage;
use quire_domain::ids::CallId;
use quire_domain::model::{ModelRequest, ToolInputSpec, ToolSpec};
use quire_domain::transcript::{
    Item, Message, Part, Reply, ReplyItem, Role, StopReason, ToolCall, ToolInput, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::body::{Body, LastList};
use crate::catalogue::Dialect;
use crate::dialect::{capacity, raw_of, tag};
use crate::fault::{self, Fault};
use crate::fold::{Fold, Form};
use crate::images::{Images, Shown};
use crate::resolve::ResolvedModel;
use crate::sse::SseEvent;

/// Writes a request.
pub(crate) fn body(model: &ResolvedModel, request: &ModelRequest<'_>, images: &Images) -> Bytes {
    let mut body = Body::new(capacity(request, images));
    body.field("model", &model.model);
    body.field("stream", &true);
    // The record is ours; the provider keeps nothing.
    body.field("store", &false);
    if model.abilities.reasoning {
        body.field("include", &["reasoning.encrypted_content"]);
    }
    body.field("prompt_cache_key", request.cache_key);
    body.fields(&model.request);
    body.field("instructions", request.instructions);
    if !request.tools.is_empty() {
        body.field("parallel_tool_calls", &true);
        let tools: Vec<Value> = request.tools.iter().map(|spec| tool(model, spec)).collect();
        body.field("tools", &tools);
    }
    let mut list = body.list("input");
    let tag = tag(Dialect::Responses, model);
    let mut custom_calls = HashSet::new();
    for item in request.items {
        match item {
            Item::Message(message) => list.push(&said(message, images)),
            Item::Reply(reply) => replied(model, reply, &tag, &mut custom_calls, &mut list),
            Item::ToolResults { results } => {
                for result in results {
                    list.push(&output(result, &custom_calls, images));
                }
            }
        }
    }
    list.finish()
}

fn tool(model: &ResolvedModel, spec: &ToolSpec) -> Value {
    match &spec.input {
        ToolInputSpec::Text { grammar } if model.abilities.custom_tools => json!({
            "type": "custom",
            "name": spec.name,
            "description": spec.description,
            "format": { "type": "grammar", "syntax": "lark", "definition": grammar },
        }),
        input => json!({
            "type": "function",
            "name": spec.name,
            "description": spec.description,
            "strict": false,
            "parameters": crate::dialect::schema(input),
        }),
    }
}

fn said(message: &Message, images: &Images) -> Value {
    let role = match message.role {
        Role::Developer => "developer",
        Role::User => "user",
    };
    let content: Vec<Value> = message.parts.iter().map(|part| input_part(part, images)).collect();
    json!({ "type": "message", "role": role, "content": content })
}

fn input_part(part: &Part, images: &Images) -> Value {
    match part {
        Part::Text { text } => json!({ "type": "input_text", "text": text }),
        Part::Image { image } => match images.show(image) {
            Shown::Base64(data) => json!({
                "type": "input_image",
                "image_url": format!("data:{};base64,{data}", image.media_type),
            }),
            Shown::Words(words) => json!({ "type": "input_text", "text": words }),
        },
    }
}

fn replied<'r>(
    model: &ResolvedModel,
    reply: &'r Reply,
    tag: &str,
    custom_calls: &mut HashSet<&'r CallId>,
    list: &mut LastList,
) {
    for item in &reply.items {
        let raw = raw_of(reply, item, tag);
        if let ReplyItem::ToolCall { call, .. } = item
            && matches!(call.input, ToolInput::Text(_))
            && (raw.is_some() || model.abilities.custom_tools)
        {
            custom_calls.insert(&call.id);
        }
        if let Some(raw) = raw {
            list.push(raw);
            continue;
        }
        match item {
            ReplyItem::Text { text, .. } => list.push(&json!({
                "type": "message",
                "role": "assistant",
                "content": [{ "type": "output_text", "text": text }],
            })),
            // Another model's reasoning is of no use to this one.
            ReplyItem::Reasoning { .. } => {}
            ReplyItem::ToolCall { call, .. } => list.push(&call_item(model, call)),
        }
    }
}

fn call_item(model: &ResolvedModel, call: &ToolCall) -> Value {
    match &call.input {
        ToolInput::Text(text) if model.abilities.custom_tools => json!({
            "type": "custom_tool_call",
            "call_id": call.id.0,
            "name": call.name,
            "input": text,
        }),
        ToolInput::Text(text) => json!({
            "type": "function_call",
            "call_id": call.id.0,
            "name": call.name,
            "arguments": json!({ "input": text }).to_string(),
        }),
        ToolInput::Json(text) => json!({
            "type": "function_call",
            "call_id": call.id.0,
            "name": call.name,
            "arguments": text,
        }),
    }
}

fn output(result: &ToolResult, custom_calls: &HashSet<&CallId>, images: &Images) -> Value {
    let kind = if custom_calls.contains(&result.call_id) {
        "custom_tool_call_output"
    } else {
        "function_call_output"
    };
    let output = match crate::dialect::only_text(&result.parts) {
        Some(text) => Value::String(text.into_owned()),
        None => result.parts.iter().map(|part| input_part(part, images)).collect(),
    };
    json!({ "type": kind, "call_id": result.call_id.0, "output": output })
}

/// The fields of all events that matter. The others, some of which repeat the whole request, are
/// skipped without being built.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
}

/// The end of a reply.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    incomplete_details: Option<Value>,
    #[serde(borrow, default)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    usage: Option<Value>,
}

/// Takes one event of the stream.
pub(crate) fn event(
    model: &ResolvedModel,
    event: &SseEvent,
    fold: &mut Fold<'_>,
) -> Result<(), Fault> {
    if event.data == "[DONE]" {
        return Ok(());
    }
    let parsed: Event<'_> = serde_json::from_str(&event.data).map_err(not_json)?;
    let slot = parsed.output_index.unwrap_or(0);
    let delta = || -> Cow<'_, str> { parsed.delta.map(text_of).unwrap_or_default() };
    match parsed.kind.as_deref().unwrap_or(&event.name) {
        "response.output_text.delta" => fold.text(slot, &delta()),
        "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
            fold.reasoning(slot, &delta())
        }
        "response.function_call_arguments.delta" => {
            fold.tool(slot, None, None, Form::Json)?;
            fold.tool_input(slot, &delta())
        }
        "response.custom_tool_call_input.delta" => {
            fold.tool(slot, None, None, Form::Text)?;
            fold.tool_input(slot, &delta())
        }
        "response.refusal.delta" => fold.refusal(&delta()),
        "response.refusal.done" => {
            if let Some(refusal) = parsed.refusal {
                fold.settle_refusal(&text_of(refusal));
            }
            Ok(())
        }
        "response.output_item.added" => match parsed.item {
            Some(item) => announce(slot, item, fold),
            None => Ok(()),
        },
        "response.output_item.done" => match parsed.item {
            Some(item) => settle(slot, item, fold),
            None => Ok(()),
        },
        "response.completed" | "response.incomplete" | "response.failed" | "response.done" => {
            let response = parsed
                .response
                .ok_or_else(|| Fault::unreadable("the last event holds no response"))?;
            finish(model, response.get(), fold)
        }
        "error" => {
            let value: Value = serde_json::from_str(&event.data).map_err(not_json)?;
            Err(fault::from_error(model, &value))
        }
        // What we do not know, and what is told again by what we do.
        _ => Ok(()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as the other dialects take it")]
/// Takes a whole reply.
pub(crate) fn whole(model: &ResolvedModel, value: Value, fold: &mut Fold<'_>) -> Result<(), Fault> {
    finish(model, &value.to_string(), fold)
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn not_json(error: serde_json::Error) -> Fault {
    Fault::unreadable(format!("an event is not JSON: {error}"))
}

/// The text of a raw JSON string; nothing for anything else.
fn text_of(raw: &RawValue) -> Cow<'_, str> {
    // A string without escapes is borrowed as it stands.
    serde_json::from_str::<&str>(raw.get())
        .map(Cow::Borrowed)
        .or_else(|_| serde_json::from_str::<String>(raw.get()).map(Cow::Owned))
        .unwrap_or_default()
}

/// An item begins: of a call, its name and id are known.
fn announce(slot: u64, item: &RawValue, fold: &mut Fold<'_>) -> Result<(), Fault> {
    let value: Value = serde_json::from_str(item.get()).map_err(not_json)?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    match text("type") {
        Some("function_call") => fold.tool(slot, text("call_id"), text("name"), Form::Json),
        Some("custom_tool_call") => fold.tool(slot, text("call_id"), text("name"), Form::Text),
        _ => Ok(()),
    }
}

/// An item is whole: it counts, and what came of it before is void.
fn settle(slot: u64, item: &RawValue, fold: &mut Fold<'_>) -> Result<(), Fault> {
    let raw: Value = serde_json::from_str(item.get()).map_err(not_json)?;
    let text = |name: &str| raw.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let item = match raw.get("type").and_then(Value::as_str) {
        Some("message") => {
            let parts = raw.get("content").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let part = |kind: &str, field: &str| -> String {
                parts
                    .iter()
                    .filter(|part| part.get("type").and_then(Value::as_str) == Some(kind))
                    .filter_map(|part| part.get(field).and_then(Value::as_str))
                    .collect()
            };
            let refusal = part("refusal", "refusal");
            if !refusal.is_empty() {
                fold.settle_refusal(&refusal);
            }
            ReplyItem::Text { text: part("output_text", "text"), raw: Some(raw) }
        }
        Some("function_call") => ReplyItem::ToolCall {
            call: ToolCall {
                id: CallId(text("call_id")),
                name: text("name"),
                input: ToolInput::Json(text("arguments")),
            },
            raw: Some(raw),
        },
        Some("custom_tool_call") => ReplyItem::ToolCall {
            call: ToolCall {
                id: CallId(text("call_id")),
                name: text("name"),
                input: ToolInput::Text(text("input")),
            },
            raw: Some(raw),
        },
        Some("reasoning") => ReplyItem::Reasoning { summary: summary(&raw), raw: Some(raw) },
        // What the provider adds of its own goes back to it unread.
        _ => ReplyItem::Reasoning { summary: String::new(), raw: Some(raw) },
    };
    fold.settle(slot, item)
}

fn summary(raw: &Value) -> String {
    let texts = |name: &str| -> Vec<&str> {
        raw.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .collect()
    };
    let summary = texts("summary");
    if summary.is_empty() { texts("content").join("\n\n") } else { summary.join("\n\n") }
}

fn finish(model: &ResolvedModel, response: &str, fold: &mut Fold<'_>) -> Result<(), Fault> {
    let response: Response<'_> = serde_json::from_str(response).map_err(not_json)?;
    fold.started(response.model.as_deref(), response.id.as_deref());
    if let Some(usage) = &response.usage {
        fold.usage(usage_of(usage));
    }
    if let Some(error) = response.error.filter(|error| !error.is_null()) {
        return Err(fault::from_error(model, &error));
    }
    if fold.is_empty() {
        for (slot, item) in (0..).zip(response.output.unwrap_or_default()) {
            settle(slot, item, fold)?;
        }
    }
    let reason = response
        .incomplete_details
        .as_ref()
        .and_then(|details| details.get("reason"))
        .and_then(Value::as_str);
    match (response.status.as_deref(), reason) {
        (_, Some("content_filter")) => fold.stop(StopReason::Refused {
            words: "the provider's content filter stopped the reply".to_owned(),
        }),
        (Some("incomplete"), _) | (_, Some(_)) => fold.stop(StopReason::MaxTokens),
        (Some("failed"), _) => return Err(Fault::broken("the provider says that it failed")),
        (Some("cancelled"), _) => return Err(Fault::broken("the provider cancelled the reply")),
        _ => fold.stop(StopReason::EndTurn),
    }
    fold.end();
    Ok(())
}

fn usage_of(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    Usage {
        input_tokens: count("/input_tokens"),
        cached_input_tokens: count("/input_tokens_details/cached_tokens"),
        cache_write_tokens: count("/input_tokens_details/cache_write_tokens"),
        output_tokens: count("/output_tokens"),
        reasoning_tokens: count("/output_tokens_details/reasoning_tokens"),
    }
}
