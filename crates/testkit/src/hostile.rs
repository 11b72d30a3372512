//! Model turns that no file should hold: too large, or made for one machine.

use quire_models::play::{Call, Turn};
use serde_json::json;

/// A call of `shell` whose command is `bytes` long; then an answer.
pub fn huge_argument(bytes: usize) -> Vec<Turn> {
    let command = format!("true {}", "x".repeat(bytes.saturating_sub(5)));
    vec![Turn::call("shell", json!({ "command": command })), Turn::say("That was a long command.")]
}

/// An answer that is `bytes` long.
pub fn huge_answer(bytes: usize) -> Vec<Turn> {
    vec![Turn::say("word ".repeat(bytes / 5 + 1))]
}

/// `count` calls in one reply; then an answer.
pub fn many_calls(count: usize) -> Vec<Turn> {
    let call = |number: usize| Call {
        tool: "shell".to_owned(),
        input: Some(json!({ "command": format!("echo {number}") })),
        ..Call::default()
    };
    let many = Turn { calls: (1..=count).map(call).collect(), ..Turn::default() };
    vec![many, Turn::say("All were called.")]
}
