//! Writes a turn as an answer, in each dialect, streamed or whole.

use serde_json::{Value, json};

use super::conversation::Asked;
use super::script::{Call, Turn};
use super::template;
use crate::catalogue::Dialect;

/// A streamed text comes in pieces of about this many bytes.
const PIECE: usize = 48;
const FILTERED: &str = "content_filter";

/// A turn with its placeholders filled.
pub(super) struct Filled {
    id: String,
    model: String,
    reasoning: Option<String>,
    say: Option<String>,
    calls: Vec<FilledCall>,
    refuse: Option<String>,
    content_filter: bool,
    max_tokens: bool,
    usage: [u64; 4],
}

struct FilledCall {
    id: String,
    tool: String,
    input: String,
    custom: bool,
}

/// Fills `turn` for the request that asked for it.
pub(super) fn fill(turn: &Turn, asked: &Asked, request_bytes: usize) -> Filled {
    let results = &asked.results;
    let text = |text: &Option<String>| text.as_ref().map(|text| template::fill(text, results));
    let calls: Vec<FilledCall> =
        (0..).zip(&turn.calls).map(|(place, call)| fill_call(call, place, asked)).collect();
    let (reasoning, say) = (text(&turn.reasoning), text(&turn.say));
    let written = reasoning.as_ref().map_or(0, String::len)
        + say.as_ref().map_or(0, String::len)
        + calls.iter().map(|call| call.input.len() + 16).sum::<usize>();
    let usage = turn.usage.map_or_else(
        || {
            let input = request_bytes as u64 / 4;
            // All but what came new is in a cache, as far as one can tell from outside.
            let cached = if asked.replies == 0 { 0 } else { input * 9 / 10 };
            [
                input,
                cached,
                written as u64 / 4 + 1,
                reasoning.as_ref().map_or(0, String::len) as u64 / 4,
            ]
        },
        |usage| [usage.input, usage.cached, usage.output, usage.reasoning],
    );
    Filled {
        id: format!("scripted_{}", asked.replies),
        model: if asked.model.is_empty() { "scripted".to_owned() } else { asked.model.clone() },
        // A turn without anything says nothing, in words.
        say: say.or_else(|| (calls.is_empty() && turn.refuse.is_none()).then(String::new)),
        reasoning,
        calls,
        refuse: turn.refuse.clone(),
        content_filter: turn.content_filter,
        max_tokens: turn.max_tokens,
        usage,
    }
}

fn fill_call(call: &Call, place: usize, asked: &Asked) -> FilledCall {
    let custom = call.text.is_some() && asked.custom_tools.contains(&call.tool);
    let input = match (&call.text, &call.raw, &call.input) {
        (Some(text), _, _) => {
            let text = template::fill(text, &asked.results);
            if custom { text } else { json!({ "input": text }).to_string() }
        }
        (None, Some(raw), _) => template::fill(raw, &asked.results),
        (None, None, Some(input)) => template::fill_value(input, &asked.results).to_string(),
        (None, None, None) => "{}".to_owned(),
    };
    FilledCall {
        id: format!("call_{}_{place}", asked.replies),
        tool: call.tool.clone(),
        input,
        custom,
    }
}

/// The body of an answer: pieces to send one after another, and its type.
pub(super) struct Answer {
    pub(super) content_type: &'static str,
    pub(super) pieces: Vec<Vec<u8>>,
}

/// Writes `filled` as an answer.
pub(super) fn write(dialect: Dialect, filled: &Filled, stream: bool) -> Answer {
    if !stream {
        let whole = match dialect {
            Dialect::Responses => responses_whole(filled),
            Dialect::Chat => chat_whole(filled),
            Dialect::Messages => messages_whole(filled),
        };
        return Answer {
            content_type: "application/json",
            pieces: vec![whole.to_string().into_bytes()],
        };
    }
    let mut events = Events::default();
    match dialect {
        Dialect::Responses => responses_stream(filled, &mut events),
        Dialect::Chat => chat_stream(filled, &mut events),
        Dialect::Messages => messages_stream(filled, &mut events),
    }
    Answer { content_type: "text/event-stream", pieces: events.pieces }
}

#[derive(Default)]
struct Events {
    pieces: Vec<Vec<u8>>,
}

impl Events {
    fn named(&mut self, event: &Value) {
        let name = event.get("type").and_then(Value::as_str).unwrap_or("");
        self.pieces.push(format!("event: {name}\ndata: {event}\n\n").into_bytes());
    }

    fn plain(&mut self, event: &str) {
        self.pieces.push(format!("data: {event}\n\n").into_bytes());
    }
}

/// Cuts a text into pieces as a model would send it.
fn in_pieces(text: &str) -> impl Iterator<Item = &str> {
    // A long text in pieces of the usual size would measure the server, not the client.
    let size = PIECE.max(text.len() / 64);
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = size.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

fn responses_items(filled: &Filled) -> Vec<Value> {
    let mut items = Vec::new();
    let id = |kind: &str, place: usize| format!("{kind}_{}_{place}", filled.id);
    if let Some(reasoning) = &filled.reasoning {
        items.push(json!({
            "type": "reasoning",
            "id": id("rs", 0),
            "summary": [{ "type": "summary_text", "text": reasoning }],
            "encrypted_content": "c2NyaXB0ZWQ=",
        }));
    }
    if let Some(words) = &filled.refuse {
        items.push(responses_message(
            &id("msg", 0),
            &json!({ "type": "refusal", "refusal": words }),
        ));
    }
    if let Some(text) = &filled.say {
        let part = json!({ "type": "output_text", "text": text, "annotations": [] });
        items.push(responses_message(&id("msg", 1), &part));
    }
    for (place, call) in filled.calls.iter().enumerate() {
        items.push(if call.custom {
            json!({
                "type": "custom_tool_call",
                "id": id("ctc", place),
                "call_id": call.id,
                "status": "completed",
                "name": call.tool,
                "input": call.input,
            })
        } else {
            json!({
                "type": "function_call",
                "id": id("fc", place),
                "call_id": call.id,
                "status": "completed",
                "name": call.tool,
                "arguments": call.input,
            })
        });
    }
    items
}

fn responses_message(id: &str, part: &Value) -> Value {
    json!({
        "type": "message", "id": id, "status": "completed", "role": "assistant", "content": [part],
    })
}

fn responses_whole(filled: &Filled) -> Value {
    let [input, cached, output, reasoning] = filled.usage;
    let incomplete = if filled.content_filter {
        Some(FILTERED)
    } else {
        filled.max_tokens.then_some("max_output_tokens")
    };
    json!({
        "id": format!("resp_{}", filled.id),
        "object": "response",
        "model": filled.model,
        "status": if incomplete.is_some() { "incomplete" } else { "completed" },
        "incomplete_details": incomplete.map(|reason| json!({ "reason": reason })),
        "error": null,
        "output": responses_items(filled),
        "usage": {
            "input_tokens": input,
            "input_tokens_details": { "cached_tokens": cached },
            "output_tokens": output,
            "output_tokens_details": { "reasoning_tokens": reasoning },
            "total_tokens": input + output,
        },
    })
}

fn responses_stream(filled: &Filled, events: &mut Events) {
    let response = json!({
        "id": format!("resp_{}", filled.id), "object": "response", "model": filled.model,
        "status": "in_progress", "output": [],
    });
    events.named(&json!({ "type": "response.created", "response": response }));
    for (index, item) in responses_items(filled).into_iter().enumerate() {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or("");
        let mut begun = item.clone();
        let (event, text) = match kind {
            "reasoning" => {
                begun["summary"] = json!([]);
                ("response.reasoning_summary_text.delta", filled.reasoning.as_deref())
            }
            "message" => {
                begun["content"] = json!([]);
                let refusal = item.pointer("/content/0/refusal").and_then(Value::as_str);
                match refusal {
                    Some(words) => ("response.refusal.delta", Some(words)),
                    None => ("response.output_text.delta", filled.say.as_deref()),
                }
            }
            "custom_tool_call" => {
                begun["input"] = "".into();
                let text = item.get("input").and_then(Value::as_str);
                ("response.custom_tool_call_input.delta", text)
            }
            _ => {
                begun["arguments"] = "".into();
                let text = item.get("arguments").and_then(Value::as_str);
                ("response.function_call_arguments.delta", text)
            }
        };
        events.named(&json!({
            "type": "response.output_item.added", "output_index": index, "item": begun,
        }));
        for piece in in_pieces(text.unwrap_or("")) {
            events.named(&json!({ "type": event, "output_index": index, "delta": piece }));
        }
        events.named(&json!({
            "type": "response.output_item.done", "output_index": index, "item": item,
        }));
    }
    let whole = responses_whole(filled);
    let last = if whole["status"] == "incomplete" { "incomplete" } else { "completed" };
    events.named(&json!({ "type": format!("response.{last}"), "response": whole }));
}

fn chat_finish(filled: &Filled) -> &'static str {
    if filled.content_filter {
        FILTERED
    } else if filled.max_tokens {
        "length"
    } else if filled.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    }
}

fn chat_usage(filled: &Filled) -> Value {
    let [input, cached, output, reasoning] = filled.usage;
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": cached },
        "completion_tokens_details": { "reasoning_tokens": reasoning },
    })
}

fn chat_call(call: &FilledCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.tool, "arguments": call.input },
    })
}

fn chat_whole(filled: &Filled) -> Value {
    let mut message = json!({ "role": "assistant", "content": filled.say });
    if let Some(reasoning) = &filled.reasoning {
        message["reasoning_content"] = reasoning.as_str().into();
    }
    if let Some(words) = &filled.refuse {
        message["refusal"] = words.as_str().into();
    }
    if !filled.calls.is_empty() {
        message["tool_calls"] = filled.calls.iter().map(chat_call).collect();
    }
    json!({
        "id": format!("chatcmpl_{}", filled.id),
        "object": "chat.completion",
        "model": filled.model,
        "choices": [{ "index": 0, "message": message, "finish_reason": chat_finish(filled) }],
        "usage": chat_usage(filled),
    })
}

fn chat_stream(filled: &Filled, events: &mut Events) {
    let id = format!("chatcmpl_{}", filled.id);
    let mut chunk = |delta: Value, finish: Option<&str>| {
        events.plain(
            &json!({
                "id": id, "object": "chat.completion.chunk", "model": filled.model,
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
            })
            .to_string(),
        );
    };
    chunk(json!({ "role": "assistant", "content": "" }), None);
    for (field, text) in [
        ("reasoning_content", &filled.reasoning),
        ("refusal", &filled.refuse),
        ("content", &filled.say),
    ] {
        for piece in in_pieces(text.as_deref().unwrap_or("")) {
            chunk(json!({ field: piece }), None);
        }
    }
    for (index, call) in filled.calls.iter().enumerate() {
        let mut begun = chat_call(call);
        begun["index"] = index.into();
        begun["function"]["arguments"] = "".into();
        chunk(json!({ "tool_calls": [begun] }), None);
        for piece in in_pieces(&call.input) {
            let more = json!({ "index": index, "function": { "arguments": piece } });
            chunk(json!({ "tool_calls": [more] }), None);
        }
    }
    chunk(json!({}), Some(chat_finish(filled)));
    events.plain(
        &json!({
            "id": id, "object": "chat.completion.chunk", "model": filled.model,
            "choices": [], "usage": chat_usage(filled),
        })
        .to_string(),
    );
    events.plain("[DONE]");
}

fn messages_blocks(filled: &Filled) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(reasoning) = &filled.reasoning {
        blocks.push(
            json!({ "type": "thinking", "thinking": reasoning, "signature": "c2NyaXB0ZWQ=" }),
        );
    }
    if let Some(text) = &filled.say {
        blocks.push(json!({ "type": "text", "text": text }));
    }
    for call in &filled.calls {
        let input: Value = serde_json::from_str(&call.input).unwrap_or_else(|_| json!({}));
        let name = &call.tool;
        blocks.push(json!({ "type": "tool_use", "id": call.id, "name": name, "input": input }));
    }
    blocks
}

fn messages_stop(filled: &Filled) -> Value {
    let reason = if filled.refuse.is_some() || filled.content_filter {
        "refusal"
    } else if filled.max_tokens {
        "max_tokens"
    } else if filled.calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    };
    let mut stop = json!({ "stop_reason": reason, "stop_sequence": null });
    if let Some(words) = &filled.refuse {
        stop["stop_details"] = json!({ "type": "refusal", "explanation": words });
    }
    stop
}

fn messages_usage(filled: &Filled) -> Value {
    let [input, cached, output, _] = filled.usage;
    json!({
        "input_tokens": input.saturating_sub(cached),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": output,
    })
}

fn messages_whole(filled: &Filled) -> Value {
    let mut message = json!({
        "id": format!("msg_{}", filled.id),
        "type": "message",
        "role": "assistant",
        "model": filled.model,
        "content": messages_blocks(filled),
        "usage": messages_usage(filled),
    });
    if let (Some(message), Value::Object(stop)) = (message.as_object_mut(), messages_stop(filled)) {
        message.extend(stop);
    }
    message
}

fn messages_stream(filled: &Filled, events: &mut Events) {
    let mut usage = messages_usage(filled);
    usage["output_tokens"] = 1.into();
    events.named(&json!({
        "type": "message_start",
        "message": {
            "id": format!("msg_{}", filled.id), "type": "message", "role": "assistant",
            "model": filled.model, "content": [], "stop_reason": null, "usage": usage,
        },
    }));
    events.named(&json!({ "type": "ping" }));
    let mut inputs = filled.calls.iter().map(|call| call.input.as_str());
    for (index, block) in messages_blocks(filled).into_iter().enumerate() {
        let mut begun = block.clone();
        let kind = block.get("type").and_then(Value::as_str).unwrap_or("");
        let (delta, field, text) = match kind {
            "thinking" => {
                begun["thinking"] = "".into();
                begun["signature"] = "".into();
                ("thinking_delta", "thinking", filled.reasoning.as_deref())
            }
            "text" => {
                begun["text"] = "".into();
                ("text_delta", "text", filled.say.as_deref())
            }
            _ => {
                begun["input"] = json!({});
                ("input_json_delta", "partial_json", inputs.next())
            }
        };
        let event =
            |delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        events.named(&json!({
            "type": "content_block_start", "index": index, "content_block": begun,
        }));
        for piece in in_pieces(text.unwrap_or("")) {
            events.named(&event(json!({ "type": delta, field: piece })));
        }
        if let Some(signature) = block.get("signature") {
            events.named(&event(json!({ "type": "signature_delta", "signature": signature })));
        }
        events.named(&json!({ "type": "content_block_stop", "index": index }));
    }
    let [_, _, output, _] = filled.usage;
    events.named(&json!({
        "type": "message_delta",
        "delta": messages_stop(filled),
        "usage": { "output_tokens": output },
    }));
    events.named(&json!({ "type": "message_stop" }));
}
