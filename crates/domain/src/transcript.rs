//! What the model has been told and has said: only ever added to within a window.

use serde::{Deserialize, Serialize};

use crate::budget::Usage;
use crate::ids::CallId;
use crate::task::Image;

/// One item of the list that is sent to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum Item {
    /// Something said to the model.
    Message(Message),
    /// What the model said.
    Reply(Reply),
    /// What its tool calls gave, in the order of the calls.
    ToolResults {
        /// One for each call of the reply before.
        results: Vec<ToolResult>,
    },
}

/// Something said to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// By whom.
    pub role: Role,
    /// What.
    pub parts: Vec<Part>,
}

/// Who speaks to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The system: instructions in force, the gate's findings.
    Developer,
    /// The person.
    User,
}

/// A piece of a message or of a tool's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// Where its bytes are.
        image: Image,
    },
}

impl Part {
    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// What the model said in one call, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Its pieces, in order.
    pub items: Vec<ReplyItem>,
    /// Why it ended.
    pub stop: StopReason,
    /// What it used.
    pub usage: Usage,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The dialect that `raw` fields are in, e.g. `responses`.
    pub dialect: String,
    /// The provider's id for the reply, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

impl Reply {
    /// The calls it makes, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.items.iter().filter_map(|item| match item {
            ReplyItem::ToolCall { call, .. } => Some(call),
            ReplyItem::Text { .. } | ReplyItem::Reasoning { .. } => None,
        })
    }

    /// Its text, pieces joined by a blank line.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self
            .items
            .iter()
            .filter_map(|item| match item {
                ReplyItem::Text { text, .. } => Some(text.as_str()),
                ReplyItem::Reasoning { .. } | ReplyItem::ToolCall { .. } => None,
            })
            .collect();
        texts.join("\n\n")
    }
}

/// A piece of a reply. `raw` is the provider's own item, sent back as it came where the dialect
/// is the same: providers check reasoning items to the letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply_item", rename_all = "snake_case")]
pub enum ReplyItem {
    /// Words for the person.
    Text {
        /// The text.
        text: String,
        /// The provider's own item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw: Option<serde_json::Value>,
    },
    /// Reasoning, as far as the provider shows it.
    Reasoning {
        /// Its summary; may be empty.
        summary: String,
        /// The provider's own item, with what it encrypted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw: Option<serde_json::Value>,
    },
    /// A call of a tool.
    ToolCall {
        /// The call.
        call: ToolCall,
        /// The provider's own item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw: Option<serde_json::Value>,
    },
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The model's id for it.
    pub id: CallId,
    /// The tool's name as the model wrote it; it may not exist.
    pub name: String,
    /// What it is given.
    pub input: ToolInput,
}

/// What a tool is given, as the model wrote it: not yet parsed, maybe malformed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", content = "text", rename_all = "snake_case")]
pub enum ToolInput {
    /// The text of a JSON object.
    Json(String),
    /// Free text (a custom tool).
    Text(String),
}

impl ToolInput {
    /// The text, whatever its form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json(text) | Self::Text(text) => text,
        }
    }
}

/// What a tool call gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call it answers.
    pub call_id: CallId,
    /// What the model is shown.
    pub parts: Vec<Part>,
    /// Whether the tool did what it was asked. A command that returned 1 did.
    pub ok: bool,
}

/// Why a reply ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stop", rename_all = "snake_case")]
pub enum StopReason {
    /// The model was done with its turn.
    EndTurn,
    /// It waits for tool results.
    ToolUse,
    /// It ran into its output limit.
    MaxTokens,
    /// The provider says, in a field of its own, that the model or a filter declined.
    Refused {
        /// Its words.
        words: String,
    },
}
