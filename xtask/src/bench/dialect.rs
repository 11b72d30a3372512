//! The two wire dialects the played model speaks: Responses and Chat Completions.

use serde_json::{Value, json};

use super::script::{Say, Tool};

/// A dialect, told apart by the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `POST …/responses`.
    Responses,
    /// `POST …/chat/completions`.
    Chat,
}

impl Dialect {
    /// The dialect spoken at `path`.
    pub fn at(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or_default();
        if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else {
            None
        }
    }

    fn items(self, request: &Value) -> &[Value] {
        let list = match self {
            Self::Responses => &request["input"],
            Self::Chat => &request["messages"],
        };
        list.as_array().map_or(&[], Vec::as_slice)
    }

    /// How many tool results the request holds: the number of steps done.
    pub fn results(self, request: &Value) -> usize {
        let items = self.items(request);
        let count = |is: fn(&Value) -> bool| items.iter().filter(|item| is(item)).count();
        let found = match self {
            Self::Responses => count(|item| {
                item["type"].as_str().is_some_and(|kind| kind.ends_with("_call_output"))
            }),
            Self::Chat => count(|item| item["role"] == "tool"),
        };
        // Agents that write commands as text give their output back as a user's message.
        let text_only = found == 0 && request["tools"].as_array().is_none_or(Vec::is_empty);
        if text_only { count(|item| item["role"] == "assistant") } else { found }
    }

    /// The tools on offer that are functions.
    pub fn tools(self, request: &Value) -> Vec<Tool> {
        let tools = request["tools"].as_array().into_iter().flatten();
        tools
            .filter_map(|tool| {
                let function = match self {
                    Self::Responses if tool["type"] == "function" => tool,
                    Self::Responses => return None,
                    Self::Chat => &tool["function"],
                };
                let name = function["name"].as_str()?.to_owned();
                Some(Tool { name, schema: function["parameters"].clone() })
            })
            .collect()
    }

    /// Bytes of what is the same for every request: instructions, tools, and what the system says
    /// in the list of items.
    pub fn fixed_bytes(self, request: &Value) -> usize {
        let said_by_system =
            |item: &&Value| matches!(item["role"].as_str(), Some("system" | "developer"));
        let messages: usize = self
            .items(request)
            .iter()
            .filter(said_by_system)
            .map(|item| item.to_string().len())
            .sum();
        let size = |value: &Value| if value.is_null() { 0 } else { value.to_string().len() };
        messages + size(&request["instructions"]) + size(&request["tools"])
    }

    /// The content type and body of a reply.
    pub fn reply(
        self,
        request: &Value,
        say: &Say,
        step: usize,
        run: &str,
    ) -> (&'static str, String) {
        let stream = request["stream"].as_bool().unwrap_or(false);
        let model = request["model"].as_str().unwrap_or("played");
        // A quarter of the bytes is near enough for whoever counts tokens.
        let tokens = request.to_string().len() / 4;
        let said = Said { say, step, run, model, tokens };
        match (self, stream) {
            (Self::Responses, true) => ("text/event-stream", said.responses_stream()),
            (Self::Responses, false) => ("application/json", said.response().to_string()),
            (Self::Chat, true) => ("text/event-stream", said.chat_stream()),
            (Self::Chat, false) => ("application/json", said.chat().to_string()),
        }
    }
}

struct Said<'a> {
    say: &'a Say,
    step: usize,
    run: &'a str,
    model: &'a str,
    tokens: usize,
}

impl Said<'_> {
    fn call_id(&self) -> String {
        format!("call_{}_{}", self.run, self.step)
    }

    fn item(&self) -> Value {
        match self.say {
            Say::Words(words) => json!({
                "type": "message", "id": format!("msg_{}", self.step), "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": words, "annotations": []}],
            }),
            Say::Call { tool, arguments } => json!({
                "type": "function_call", "id": format!("fc_{}", self.step), "status": "completed",
                "call_id": self.call_id(), "name": tool, "arguments": arguments.to_string(),
            }),
        }
    }

    fn response(&self) -> Value {
        json!({
            "id": format!("resp_{}_{}", self.run, self.step), "object": "response",
            "created_at": 1_700_000_000, "model": self.model, "status": "completed",
            "output": [self.item()],
            "usage": {
                "input_tokens": self.tokens, "input_tokens_details": {"cached_tokens": self.tokens / 2},
                "output_tokens": 40, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": self.tokens + 40,
            },
        })
    }

    fn responses_stream(&self) -> String {
        let item = self.item();
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        let mut events = vec![json!({"type": "response.created",
                "response": {"id": format!("resp_{}_{}", self.run, self.step), "status": "in_progress", "output": []}})];
        match self.say {
            Say::Words(words) => {
                begun["content"] = json!([]);
                events.push(added(&begun));
                let id = item["id"].clone();
                events.push(json!({"type": "response.content_part.added", "item_id": id, "output_index": 0,
                    "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}));
                events.push(
                    json!({"type": "response.output_text.delta", "item_id": id, "output_index": 0,
                    "content_index": 0, "delta": words}),
                );
                events.push(
                    json!({"type": "response.output_text.done", "item_id": id, "output_index": 0,
                    "content_index": 0, "text": words}),
                );
            }
            Say::Call { arguments, .. } => {
                begun["arguments"] = json!("");
                events.push(added(&begun));
                let (id, text) = (item["id"].clone(), arguments.to_string());
                events
                    .push(json!({"type": "response.function_call_arguments.delta", "item_id": id,
                    "output_index": 0, "delta": text}));
                events.push(json!({"type": "response.function_call_arguments.done", "item_id": id,
                    "output_index": 0, "arguments": text}));
            }
        }
        events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
        events.push(json!({"type": "response.completed", "response": self.response()}));
        let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
            event["sequence_number"] = json!(number);
            let kind = event["type"].as_str().unwrap_or_default();
            format!("event: {kind}\ndata: {event}\n\n")
        });
        numbered.collect()
    }

    fn usage(&self) -> Value {
        json!({"prompt_tokens": self.tokens, "completion_tokens": 40, "total_tokens": self.tokens + 40})
    }

    fn chat(&self) -> Value {
        let (message, reason) = match self.say {
            Say::Words(words) => (json!({"role": "assistant", "content": words}), "stop"),
            Say::Call { tool, arguments } => (
                json!({"role": "assistant", "content": null, "tool_calls": [{
                    "id": self.call_id(), "type": "function",
                    "function": {"name": tool, "arguments": arguments.to_string()},
                }]}),
                "tool_calls",
            ),
        };
        json!({
            "id": format!("chat-{}-{}", self.run, self.step), "object": "chat.completion",
            "created": 1_700_000_000, "model": self.model, "usage": self.usage(),
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        })
    }

    fn chat_stream(&self) -> String {
        let (delta, reason) = match self.say {
            Say::Words(words) => (json!({"role": "assistant", "content": words}), "stop"),
            Say::Call { tool, arguments } => (
                json!({"role": "assistant", "content": "", "tool_calls": [{
                    "index": 0, "id": self.call_id(), "type": "function",
                    "function": {"name": tool, "arguments": arguments.to_string()},
                }]}),
                "tool_calls",
            ),
        };
        let chunk = |choices: Value, usage: Value| {
            let chunk = json!({
                "id": format!("chat-{}-{}", self.run, self.step), "object": "chat.completion.chunk",
                "created": 1_700_000_000, "model": self.model, "choices": choices, "usage": usage,
            });
            format!("data: {chunk}\n\n")
        };
        let mut text =
            chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]), Value::Null);
        text += &chunk(json!([{"index": 0, "delta": {}, "finish_reason": reason}]), Value::Null);
        text += &chunk(json!([]), self.usage());
        text + "data: [DONE]\n\n"
    }
}

fn added(item: &Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": 0, "item": item})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_done_are_counted_in_both_dialects() {
        let responses = json!({"input": [{"role": "user"}, {"type": "function_call"}, {"type": "function_call_output"}], "tools": [{}]});
        assert_eq!(Dialect::Responses.results(&responses), 1);
        let chat = json!({"messages": [{"role": "user"}, {"role": "assistant"}, {"role": "tool"}], "tools": [{}]});
        assert_eq!(Dialect::Chat.results(&chat), 1);
        let text_only =
            json!({"messages": [{"role": "user"}, {"role": "assistant"}, {"role": "user"}]});
        assert_eq!(Dialect::Chat.results(&text_only), 1);
    }

    #[test]
    fn instructions_and_tools_are_weighed_without_the_prompt() {
        let request = json!({"instructions": "abc", "tools": [], "input": [{"role": "user", "content": "long"}]});
        assert_eq!(Dialect::Responses.fixed_bytes(&request), "\"abc\"".len() + "[]".len());
    }
}
