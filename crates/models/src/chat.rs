//! The Chat Completions dialect, as OpenAI describes it and as local servers speak it.

use bytes::Bytes;
use quire_domain::budget::Usage;
use quire_domain::model::{ModelRequest, ToolSpec};
use quire_domain::transcript::{
    Item, Message, Part, Reply, ReplyItem, Role, StopReason, ToolCall, ToolInput, ToolResult,
};
use serde_json::{Map, Value, json};

use crate::body::{Body, LastList};
use crate::catalogue::{DeveloperRole, Dialect};
use crate::dialect::{capacity, only_text, raw_of, schema, tag};
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
    body.field("stream_options", &json!({ "include_usage": true }));
    body.fields(&model.request);
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request.tools.iter().map(tool).collect();
        body.field("tools", &tools);
    }
    let mut list = body.list("messages");
    list.push(&json!({ "role": "system", "content": request.instructions }));
    let tag = tag(Dialect::Chat, model);
    for item in request.items {
        match item {
            Item::Message(message) => list.push(&said(model, message, images)),
            Item::Reply(reply) => list.push(&replied(reply, &tag)),
            Item::ToolResults { results } => push_results(results, images, &mut list),
        }
    }
    list.finish()
}

fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": spec.name,
            "description": spec.description,
            "parameters": schema(&spec.input),
        },
    })
}

fn said(model: &ResolvedModel, message: &Message, images: &Images) -> Value {
    let role = match (message.role, model.developer_role) {
        (Role::User, _) | (Role::Developer, DeveloperRole::User) => "user",
        (Role::Developer, DeveloperRole::Developer) => "developer",
        (Role::Developer, DeveloperRole::System) => "system",
    };
    let mut content = content(&message.parts, images);
    if role == "user"
        && message.role == Role::Developer
        && let Value::String(text) = &mut content
    {
        *text = format!("<system>\n{text}\n</system>");
    }
    json!({ "role": role, "content": content })
}

/// A string where there is only text: older servers take nothing else.
fn content(parts: &[Part], images: &Images) -> Value {
    match only_text(parts) {
        Some(text) => Value::String(text.into_owned()),
        None => parts.iter().map(|part| content_part(part, images)).collect(),
    }
}

fn content_part(part: &Part, images: &Images) -> Value {
    match part {
        Part::Text { text } => json!({ "type": "text", "text": text }),
        Part::Image { image } => match images.show(image) {
            Shown::Base64(data) => json!({
                "type": "image_url",
                "image_url": { "url": format!("data:{};base64,{data}", image.media_type) },
            }),
            Shown::Words(words) => json!({ "type": "text", "text": words }),
        },
    }
}

/// A reply is one message: its words, what it calls, and its reasoning where that came from here.
fn replied(reply: &Reply, tag: &str) -> Value {
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    let mut text = String::new();
    let mut calls = Vec::new();
    for item in &reply.items {
        let raw = raw_of(reply, item, tag);
        match item {
            ReplyItem::Text { text: more, .. } => {
                if !text.is_empty() {
                    text.push_str("\n\n");
                }
                text.push_str(more);
            }
            ReplyItem::Reasoning { .. } => {
                for (name, value) in raw.and_then(Value::as_object).into_iter().flatten() {
                    message.insert(name.clone(), value.clone());
                }
            }
            ReplyItem::ToolCall { call, .. } => calls.push(call_entry(call, raw)),
        }
    }
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    message.insert("content".to_owned(), content);
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    Value::Object(message)
}

fn call_entry(call: &ToolCall, raw: Option<&Value>) -> Value {
    let arguments = match &call.input {
        ToolInput::Json(text) => text.clone(),
        ToolInput::Text(text) => json!({ "input": text }).to_string(),
    };
    let mut entry = json!({
        "id": call.id.0,
        "type": "function",
        "function": { "name": call.name, "arguments": arguments },
    });
    // Signatures and the like, that only their provider understands.
    if let (Some(entry), Some(extra)) = (entry.as_object_mut(), raw.and_then(Value::as_object)) {
        for (name, value) in extra {
            entry.insert(name.clone(), value.clone());
        }
    }
    entry
}

/// Tool messages hold text only: pictures follow in a message of the user.
fn push_results(results: &[ToolResult], images: &Images, list: &mut LastList) {
    let mut pictures: Vec<Value> = Vec::new();
    for result in results {
        let mut texts: Vec<String> = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text { text } => texts.push(text.clone()),
                Part::Image { image } => match images.show(image) {
                    Shown::Words(words) => texts.push(words),
                    Shown::Base64(_) => {
                        texts.push("[the picture follows]".to_owned());
                        pictures.push(content_part(part, images));
                    }
                },
            }
        }
        list.push(&json!({
            "role": "tool",
            "tool_call_id": result.call_id.0,
            "content": texts.join("\n"),
        }));
    }
    if !pictures.is_empty() {
        list.push(&json!({ "role": "user", "content": pictures }));
    }
}

const REASONING: u64 = 0;
const TEXT: u64 = 1;
const FIRST_CALL: u64 = 2;

/// Reads a reply.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The server's index of each call begun, and its id.
    calls: Vec<(Option<u64>, String)>,
    /// The field in which the reasoning comes, to send it back in the same one.
    reasoning_field: Option<&'static str>,
    reasoning_details: Vec<Value>,
}

impl Reader {
    pub(crate) fn event(
        &mut self,
        model: &ResolvedModel,
        event: &SseEvent,
        fold: &mut Fold<'_>,
    ) -> Result<(), Fault> {
        if event.data.trim() == "[DONE]" {
            self.done(fold);
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(&event.data)
            .map_err(|error| Fault::unreadable(format!("an event is not JSON: {error}")))?;
        self.chunk(model, &chunk, "delta", fold)
    }

    pub(crate) fn whole(
        &mut self,
        model: &ResolvedModel,
        answer: &Value,
        fold: &mut Fold<'_>,
    ) -> Result<(), Fault> {
        if !answer.get("choices").is_some_and(Value::is_array) {
            return Err(Fault::unreadable("the answer holds no choices"));
        }
        self.chunk(model, answer, "message", fold)?;
        self.done(fold);
        Ok(())
    }

    /// The stream closed. A server that names no reason for the end must at least say `[DONE]`.
    pub(crate) fn closed(&mut self, fold: &mut Fold<'_>) {
        if fold.has_stopped() {
            self.done(fold);
        }
    }

    fn done(&mut self, fold: &mut Fold<'_>) {
        if fold.has_ended() || (fold.is_empty() && !fold.has_stopped()) {
            return;
        }
        let mut raw = Map::new();
        if let Some(field) = self.reasoning_field {
            raw.insert(field.to_owned(), fold.text_of(REASONING).into());
        }
        if !self.reasoning_details.is_empty() {
            let details = std::mem::take(&mut self.reasoning_details);
            raw.insert("reasoning_details".to_owned(), details.into());
        }
        if !raw.is_empty() {
            fold.raw(REASONING, Value::Object(raw));
        }
        fold.end();
    }

    fn chunk(
        &mut self,
        model: &ResolvedModel,
        chunk: &Value,
        part: &str,
        fold: &mut Fold<'_>,
    ) -> Result<(), Fault> {
        let text = |name: &str| chunk.get(name).and_then(Value::as_str);
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(fault::from_error(model, chunk));
        }
        fold.started(text("model"), text("id"));
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            fold.usage(usage_of(usage));
        }
        // Only one choice is ever asked for.
        let Some(choice) = chunk.pointer("/choices/0") else { return Ok(()) };
        if let Some(delta) = choice.get(part).filter(|delta| delta.is_object()) {
            self.delta(delta, fold)?;
        }
        match choice.get("finish_reason").and_then(Value::as_str) {
            None | Some("") => {}
            Some("length") => fold.stop(StopReason::MaxTokens),
            Some("content_filter") => fold.stop(StopReason::Refused {
                words: "the provider's content filter stopped the reply".to_owned(),
            }),
            Some("tool_calls" | "function_call") => fold.stop(StopReason::ToolUse),
            Some("error") => return Err(Fault::broken("the provider says that it failed")),
            Some(_) => fold.stop(StopReason::EndTurn),
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Value, fold: &mut Fold<'_>) -> Result<(), Fault> {
        let text =
            |name: &str| delta.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        for field in ["reasoning_content", "reasoning"] {
            if let Some(more) = text(field)
                && *self.reasoning_field.get_or_insert(field) == field
            {
                fold.reasoning(REASONING, more)?;
            }
        }
        if let Some(details) = delta.get("reasoning_details").and_then(Value::as_array) {
            // So that there is a piece to keep them with, whether or not words came.
            fold.reasoning(REASONING, "")?;
            self.reasoning_details.extend(details.iter().cloned());
        }
        if let Some(more) = text("content") {
            fold.text(TEXT, more)?;
        }
        if let Some(more) = text("refusal") {
            fold.refusal(more)?;
        }
        let calls = delta.get("tool_calls").and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            self.call(call, fold)?;
        }
        Ok(())
    }

    fn call(&mut self, call: &Value, fold: &mut Fold<'_>) -> Result<(), Fault> {
        let index = call.get("index").and_then(Value::as_u64);
        let id = call.get("id").and_then(Value::as_str).unwrap_or("");
        let name = call.pointer("/function/name").and_then(Value::as_str);
        let place = self.place(index, id, name.is_some());
        let slot = FIRST_CALL + place as u64;
        fold.tool(slot, Some(id), name, Form::Json)?;
        match call.pointer("/function/arguments") {
            Some(Value::String(text)) => fold.tool_input(slot, text)?,
            // Some servers send the object itself.
            Some(object @ Value::Object(_)) => fold.tool_input(slot, &object.to_string())?,
            _ => {}
        }
        let extra: Map<String, Value> = call
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !matches!(name.as_str(), "index" | "id" | "type" | "function"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !extra.is_empty() {
            fold.raw(slot, Value::Object(extra));
        }
        Ok(())
    }

    /// Which call is meant: by its index, unless servers give all the same or none.
    fn place(&mut self, index: Option<u64>, id: &str, named: bool) -> usize {
        let known = match index {
            Some(_) => self.calls.iter().rposition(|(known, _)| *known == index),
            None if id.is_empty() && !named => self.calls.len().checked_sub(1),
            None => self.calls.iter().rposition(|(_, known)| known == id && !id.is_empty()),
        };
        match known {
            Some(place) if id.is_empty() || self.calls[place].1 == id => place,
            Some(place) if self.calls[place].1.is_empty() && !named => {
                id.clone_into(&mut self.calls[place].1);
                place
            }
            _ => {
                self.calls.push((index, id.to_owned()));
                self.calls.len() - 1
            }
        }
    }
}

fn usage_of(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    Usage {
        input_tokens: count("/prompt_tokens").unwrap_or(0),
        cached_input_tokens: count("/prompt_tokens_details/cached_tokens")
            .or_else(|| count("/prompt_cache_hit_tokens"))
            .unwrap_or(0),
        cache_write_tokens: count("/prompt_tokens_details/cache_write_tokens").unwrap_or(0),
        output_tokens: count("/completion_tokens").unwrap_or(0),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
    }
}
