//! A turn as an answer in the Responses dialect.

use serde_json::{Value, json};

use super::{Events, FILTERED, Filled, in_pieces};

fn items(filled: &Filled) -> Vec<Value> {
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
        items.push(message(&id("msg", 0), &json!({ "type": "refusal", "refusal": words })));
    }
    if let Some(text) = &filled.say {
        let part = json!({ "type": "output_text", "text": text, "annotations": [] });
        items.push(message(&id("msg", 1), &part));
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

fn message(id: &str, part: &Value) -> Value {
    json!({
        "type": "message", "id": id, "status": "completed", "role": "assistant", "content": [part],
    })
}

/// The answer in one piece.
pub(super) fn whole(filled: &Filled) -> Value {
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
        "output": items(filled),
        "usage": {
            "input_tokens": input,
            "input_tokens_details": { "cached_tokens": cached },
            "output_tokens": output,
            "output_tokens_details": { "reasoning_tokens": reasoning },
            "total_tokens": input + output,
        },
    })
}

/// The answer as events.
pub(super) fn stream(filled: &Filled, events: &mut Events) {
    let response = json!({
        "id": format!("resp_{}", filled.id), "object": "response", "model": filled.model,
        "status": "in_progress", "output": [],
    });
    events.named(&json!({ "type": "response.created", "response": response }));
    for (index, item) in items(filled).into_iter().enumerate() {
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
    let whole = whole(filled);
    let last = if whole["status"] == "incomplete" { "incomplete" } else { "completed" };
    events.named(&json!({ "type": format!("response.{last}"), "response": whole }));
}
