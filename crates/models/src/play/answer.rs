//! Writes a turn as an answer, in each dialect, streamed or whole.

mod chat;
mod messages;
mod responses;

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
            Dialect::Responses => responses::whole(filled),
            Dialect::Chat => chat::whole(filled),
            Dialect::Messages => messages::whole(filled),
        };
        return Answer {
            content_type: "application/json",
            pieces: vec![whole.to_string().into_bytes()],
        };
    }
    let mut events = Events::default();
    match dialect {
        Dialect::Responses => responses::stream(filled, &mut events),
        Dialect::Chat => chat::stream(filled, &mut events),
        Dialect::Messages => messages::stream(filled, &mut events),
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
