//! What a script says: conversations of turns, with the faults that they meet.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::template;

/// A script file is at most this long.
const FILE_LIMIT: usize = 32 * 1024 * 1024;

/// A script, from a JSON or TOML file.
///
/// ```toml
/// [[conversations]]
/// name = "fix"            # chosen by the path /r/<run>/fix/v1
/// word = "flaky"          # or by a word in the first message of the user
/// [[conversations.turns]]
/// reasoning = "The test waits for a fixed time."
/// calls = [{ tool = "shell", input = { command = "pytest -q" } }]
/// [[conversations.turns]]
/// say = "One test fails 【{{chunk 1}}†L{{line 1 /FAILED/}}】."
/// ```
///
/// A script of one conversation may leave out `[[conversations]]` and begin with `[[turns]]`.
/// Texts may hold `{{chunk N}}`, the chunk id of the conversation's N-th tool result, and
/// `{{line N /regex/}}`, the number of the first line of that result that matches; from 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The conversations, in the order in which they are looked through.
    #[serde(default)]
    pub conversations: Vec<Conversation>,
    /// The turns of the only conversation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
}

/// One conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conversation {
    /// Its name in a path.
    pub name: String,
    /// A word in the first message of the user that chooses it.
    pub word: Option<String>,
    /// What the model says and does, in order. Past its end the model says that it is over.
    pub turns: Vec<Turn>,
    /// Begins again after the last turn, so that it never ends.
    pub repeat: bool,
    /// Milliseconds between two pieces of a streamed reply, so that a person sees it grow.
    pub pace_ms: u64,
}

/// One reply of the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// Reasoning that is shown.
    pub reasoning: Option<String>,
    /// Its words.
    pub say: Option<String>,
    /// What it calls.
    pub calls: Vec<Call>,
    /// The tokens it counts; estimated from bytes where left out.
    pub usage: Option<ScriptUsage>,
    /// Milliseconds before the answer begins.
    pub delay_ms: u64,
    /// Declines with these words in the field that the dialect has for it.
    pub refuse: Option<String>,
    /// Is stopped by a content filter.
    pub content_filter: bool,
    /// Runs into its output limit.
    pub max_tokens: bool,
    /// What goes wrong before the turn is played.
    pub fault: Option<Fault>,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// Its input as a JSON object.
    pub input: Option<Value>,
    /// Its input as text: of a custom tool where the request offers it as one, else the object
    /// `{"input": text}`.
    pub text: Option<String>,
    /// Its input as it stands, JSON or not.
    pub raw: Option<String>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptUsage {
    /// All input tokens.
    pub input: u64,
    /// Of these, read from the cache.
    pub cached: u64,
    /// All output tokens.
    pub output: u64,
    /// Of these, reasoning.
    pub reasoning: u64,
}

/// What goes wrong. With `status` the answer is an error; the others spoil the turn's own answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// How many tries of the same request meet it.
    pub times: u32,
    /// Only a request that holds this text meets it.
    pub when: Option<String>,
    /// The status of an error.
    pub status: Option<u16>,
    /// The error's code, e.g. `insufficient_quota`.
    pub code: Option<String>,
    /// The error's words.
    pub message: Option<String>,
    /// The header `Retry-After`, as it stands.
    pub retry_after: Option<String>,
    /// The header `retry-after-ms`, as it stands.
    pub retry_after_ms: Option<String>,
    /// Breaks the connection after so many bytes of the body.
    pub cut_after: Option<usize>,
    /// Ends the body in order after so many bytes.
    pub end_after: Option<usize>,
    /// Falls silent for so many milliseconds after the first piece.
    pub idle_ms: Option<u64>,
    /// Sends an event that is not JSON.
    pub malformed: bool,
    /// Puts bytes that are not UTF-8 into the words.
    pub invalid_utf8: bool,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            times: 1,
            when: None,
            status: None,
            code: None,
            message: None,
            retry_after: None,
            retry_after_ms: None,
            cut_after: None,
            end_after: None,
            idle_ms: None,
            malformed: false,
            invalid_utf8: false,
        }
    }
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the script {path}")]
    Unreadable {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not JSON of this form.
    #[error("the script is not JSON of the right form")]
    Json(#[source] serde_json::Error),
    /// It is not TOML of this form.
    #[error("the script is not TOML of the right form")]
    Toml(#[source] Box<toml::de::Error>),
    /// It is longer than 32 MiB.
    #[error("the script is longer than 32 MiB")]
    TooLong,
    /// It has no turns, or something in them cannot be played.
    #[error("{0}")]
    Unplayable(String),
}

impl Script {
    /// Reads `path`: TOML if its name ends so, else JSON.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScriptError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        if path.extension().is_some_and(|extension| extension == "toml") {
            Self::from_toml(&text)
        } else {
            Self::from_json(&text)
        }
    }

    /// Reads TOML.
    pub fn from_toml(text: &str) -> Result<Self, ScriptError> {
        bounded(text)?;
        toml::from_str::<Self>(text).map_err(|e| ScriptError::Toml(Box::new(e)))?.checked()
    }

    /// Reads JSON.
    pub fn from_json(text: &str) -> Result<Self, ScriptError> {
        bounded(text)?;
        serde_json::from_str::<Self>(text).map_err(ScriptError::Json)?.checked()
    }

    /// A script of one conversation.
    pub fn of(turns: impl IntoIterator<Item = Turn>) -> Self {
        let turns = turns.into_iter().collect();
        let only = Conversation { name: "demo".to_owned(), turns, ..Conversation::default() };
        Self { conversations: vec![only], turns: Vec::new() }
    }

    /// The conversation for a request: by the name in its path, else by the first message.
    pub(super) fn choose(&self, name: Option<&str>, first_message: &str) -> Option<&Conversation> {
        let by_name = name.and_then(|name| self.conversations.iter().find(|c| c.name == name));
        by_name
            .or_else(|| {
                self.conversations
                    .iter()
                    .find(|c| c.word.as_deref().is_some_and(|word| first_message.contains(word)))
            })
            .or_else(|| self.conversations.iter().find(|c| c.word.is_none()))
    }

    fn checked(mut self) -> Result<Self, ScriptError> {
        if !self.turns.is_empty() {
            let turns = std::mem::take(&mut self.turns);
            self.conversations.extend(Self::of(turns).conversations);
        }
        if self.conversations.is_empty() {
            return Err(ScriptError::Unplayable("the script has no turns".to_owned()));
        }
        for conversation in &self.conversations {
            for (place, turn) in (1..).zip(&conversation.turns) {
                check(turn).map_err(|problem| {
                    let name = &conversation.name;
                    ScriptError::Unplayable(format!("turn {place} of `{name}`: {problem}"))
                })?;
            }
        }
        Ok(self)
    }
}

fn bounded(text: &str) -> Result<(), ScriptError> {
    if text.len() > FILE_LIMIT { Err(ScriptError::TooLong) } else { Ok(()) }
}

fn check(turn: &Turn) -> Result<(), String> {
    for text in [&turn.reasoning, &turn.say].into_iter().flatten() {
        template::check(text)?;
    }
    for call in &turn.calls {
        let inputs = [call.input.is_some(), call.text.is_some(), call.raw.is_some()];
        if inputs.into_iter().filter(|given| *given).count() > 1 {
            return Err(format!("`{}` is given more than one input", call.tool));
        }
        for text in [&call.text, &call.raw].into_iter().flatten() {
            template::check(text)?;
        }
        if let Some(input) = &call.input {
            template::check_value(input)?;
        }
    }
    let bad = |status: u16| !(400..600).contains(&status);
    if turn.fault.as_ref().and_then(|fault| fault.status).is_some_and(bad) {
        return Err("the status of a fault is from 400 to 599".to_owned());
    }
    Ok(())
}

impl Turn {
    /// Says something.
    pub fn say(text: impl Into<String>) -> Self {
        Self { say: Some(text.into()), ..Self::default() }
    }

    /// Calls a tool with a JSON object.
    pub fn call(tool: &str, input: Value) -> Self {
        let call = Call { tool: tool.to_owned(), input: Some(input), ..Call::default() };
        Self { calls: vec![call], ..Self::default() }
    }

    /// Calls a tool with text.
    pub fn call_text(tool: &str, text: impl Into<String>) -> Self {
        let call = Call { tool: tool.to_owned(), text: Some(text.into()), ..Call::default() };
        Self { calls: vec![call], ..Self::default() }
    }

    /// Runs a command by the tool `shell`.
    pub fn shell(command: &str) -> Self {
        Self::call("shell", serde_json::json!({ "command": command }))
    }

    /// The same turn, which meets `fault` first.
    #[must_use]
    pub fn after(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}
