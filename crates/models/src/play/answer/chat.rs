//! A turn as an answer in the Chat Completions dialect.

use serde_json::{Value, json};

use super::{Events, FILTERED, Filled, FilledCall, in_pieces};

fn finish(filled: &Filled) -> &'static str {
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

fn usage(filled: &Filled) -> Value {
    let [input, cached, output, reasoning] = filled.usage;
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": cached },
        "completion_tokens_details": { "reasoning_tokens": reasoning },
    })
}

fn call_entry(call: &FilledCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.tool, "arguments": call.input },
    })
}

/// The answer in one piece.
pub(super) fn whole(filled: &Filled) -> Value {
    let mut message = json!({ "role": "assistant", "content": filled.say });
    if let Some(reasoning) = &filled.reasoning {
        message["reasoning_content"] = reasoning.as_str().into();
    }
    if let Some(words) = &filled.refuse {
        message["refusal"] = words.as_str().into();
    }
    if !filled.calls.is_empty() {
        message["tool_calls"] = filled.calls.iter().map(call_entry).collect();
    }
    json!({
        "id": format!("chatcmpl_{}", filled.id),
        "object": "chat.completion",
        "model": filled.model,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish(filled) }],
        "usage": usage(filled),
    })
}

/// The answer as events.
pub(super) fn stream(filled: &Filled, events: &mut Events) {
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
        let mut begun = call_entry(call);
        begun["index"] = index.into();
        begun["function"]["arguments"] = "".into();
        chunk(json!({ "tool_calls": [begun] }), None);
        for piece in in_pieces(&call.input) {
            let more = json!({ "index": index, "function": { "arguments": piece } });
            chunk(json!({ "tool_calls": [more] }), None);
        }
    }
    chunk(json!({}), Some(finish(filled)));
    events.plain(
        &json!({
            "id": id, "object": "chat.completion.chunk", "model": filled.model,
            "choices": [], "usage": usage(filled),
        })
        .to_string(),
    );
    events.plain("[DONE]");
}
