//! What a request says of its conversation: how far it is, and what the tools gave.

use serde_json::Value;

use crate::catalogue::Dialect;

/// What the server reads of a request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// The model's name, as sent.
    pub(super) model: String,
    /// Whether the answer is to be streamed.
    pub(super) stream: bool,
    /// The first message of the user.
    pub(super) first_message: String,
    /// The replies that the list holds: the turn to play, from 0.
    pub(super) replies: usize,
    /// The texts of the tool results, in order.
    pub(super) results: Vec<String>,
    /// Names of the tools that are offered with free text as their input.
    pub(super) custom_tools: Vec<String>,
}

/// Reads a request.
pub(super) fn read(dialect: Dialect, request: &Value) -> Asked {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let mut asked = Asked {
        model: text("model"),
        stream: request.get("stream").and_then(Value::as_bool).unwrap_or(false),
        ..Asked::default()
    };
    let list = match dialect {
        Dialect::Responses => request.get("input"),
        Dialect::Chat | Dialect::Messages => request.get("messages"),
    };
    let mut walk = Walk { asked: &mut asked, in_reply: false, has_first: false };
    match list {
        Some(Value::String(text)) => walk.user(text.clone()),
        Some(Value::Array(items)) => {
            for item in items {
                match dialect {
                    Dialect::Responses => walk.responses_item(item),
                    Dialect::Chat => walk.chat_message(item),
                    Dialect::Messages => walk.messages_message(item),
                }
            }
        }
        _ => {}
    }
    let tools = request.get("tools").and_then(Value::as_array).into_iter().flatten();
    asked.custom_tools = tools
        .filter(|tool| tool.get("type").and_then(Value::as_str) == Some("custom"))
        .filter_map(|tool| tool.get("name").and_then(Value::as_str).map(str::to_owned))
        .collect();
    asked
}

/// Walks the list. Neighbouring items of the model are one reply.
struct Walk<'a> {
    asked: &'a mut Asked,
    in_reply: bool,
    has_first: bool,
}

impl Walk<'_> {
    fn model(&mut self) {
        if !std::mem::replace(&mut self.in_reply, true) {
            self.asked.replies += 1;
        }
    }

    fn user(&mut self, text: String) {
        self.in_reply = false;
        if !std::mem::replace(&mut self.has_first, true) {
            self.asked.first_message = text;
        }
    }

    fn result(&mut self, content: Option<&Value>) {
        self.in_reply = false;
        self.asked.results.push(content.map(all_text).unwrap_or_default());
    }

    fn responses_item(&mut self, item: &Value) {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or("message");
        if kind.ends_with("_output") {
            self.result(item.get("output"));
        } else if kind != "message" {
            self.model();
        } else {
            self.message(item);
        }
    }

    fn chat_message(&mut self, message: &Value) {
        if message.get("role").and_then(Value::as_str) == Some("tool") {
            self.result(message.get("content"));
        } else {
            self.message(message);
        }
    }

    fn messages_message(&mut self, message: &Value) {
        let blocks = message.get("content").and_then(Value::as_array);
        let results: Vec<&Value> = blocks
            .into_iter()
            .flatten()
            .filter(|block| block.get("type").and_then(Value::as_str) == Some("tool_result"))
            .collect();
        if results.is_empty() {
            self.message(message);
        }
        for result in results {
            self.result(result.get("content"));
        }
    }

    fn message(&mut self, message: &Value) {
        match message.get("role").and_then(Value::as_str) {
            Some("assistant") => self.model(),
            Some("user") => {
                let text = message.get("content").map(all_text).unwrap_or_default();
                // What the system says comes as a message of the user in some dialects.
                if text.starts_with("<system>") {
                    self.in_reply = false;
                } else {
                    self.user(text);
                }
            }
            _ => self.in_reply = false,
        }
    }
}

fn all_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> =
                parts.iter().filter_map(|p| p.get("text").and_then(Value::as_str)).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
