//! A turn as an answer in the Anthropic Messages dialect.

use serde_json::{Value, json};

use super::{Events, Filled, in_pieces};

fn blocks(filled: &Filled) -> Vec<Value> {
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

fn stop(filled: &Filled) -> Value {
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

fn usage(filled: &Filled) -> Value {
    let [input, cached, output, _] = filled.usage;
    json!({
        "input_tokens": input.saturating_sub(cached),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": output,
    })
}

/// The answer in one piece.
pub(super) fn whole(filled: &Filled) -> Value {
    let mut message = json!({
        "id": format!("msg_{}", filled.id),
        "type": "message",
        "role": "assistant",
        "model": filled.model,
        "content": blocks(filled),
        "usage": usage(filled),
    });
    if let (Some(message), Value::Object(stop)) = (message.as_object_mut(), stop(filled)) {
        message.extend(stop);
    }
    message
}

/// The answer as events.
pub(super) fn stream(filled: &Filled, events: &mut Events) {
    let mut usage = usage(filled);
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
    for (index, block) in blocks(filled).into_iter().enumerate() {
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
        "delta": stop(filled),
        "usage": { "output_tokens": output },
    }));
    events.named(&json!({ "type": "message_stop" }));
}
