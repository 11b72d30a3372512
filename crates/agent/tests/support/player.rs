//! Plays a model from a script: the reply is chosen by how many replies the list holds, so a
//! run that goes on after a death hears what the one before would have.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::budget::Usage;
use quire_domain::ids::CallId;
use quire_domain::model::{Model, ModelError, ModelInfo, ModelRequest, ToolSpec};
use quire_domain::transcript::{Item, Reply, ReplyItem, StopReason, ToolCall, ToolInput};
use tokio::sync::Notify;

type Says = Box<dyn Fn(&[Item]) -> Result<Reply, ModelError> + Send + Sync>;

pub struct Player {
    info: ModelInfo,
    says: Says,
    pub requests: Mutex<Vec<Vec<Item>>>,
    pub preambles: Mutex<Vec<(String, Vec<ToolSpec>)>>,
    /// Told at each request.
    pub asked: Notify,
    /// Never answers.
    pub silent: bool,
    /// Thinks before it answers.
    pub thinks: Duration,
}

impl Player {
    pub fn script(replies: Vec<Reply>) -> Self {
        Self::saying(move |items| {
            let heard = items.iter().filter(|item| matches!(item, Item::Reply(_))).count();
            Ok(replies.get(heard).unwrap_or_else(|| panic!("no reply {heard}")).clone())
        })
    }

    pub fn saying(
        says: impl Fn(&[Item]) -> Result<Reply, ModelError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            info: ModelInfo {
                name: "scripted/model".to_owned(),
                window_tokens: 200_000,
                max_output_tokens: 16_000,
                images: true,
                price: None,
                scripted: true,
            },
            says: Box::new(says),
            requests: Mutex::default(),
            preambles: Mutex::default(),
            asked: Notify::new(),
            silent: false,
            thinks: Duration::ZERO,
        }
    }

    pub fn window(mut self, tokens: u64) -> Self {
        self.info.window_tokens = tokens;
        self.info.max_output_tokens = tokens / 4;
        self
    }

    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }
}

#[async_trait]
impl Model for Player {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    async fn reply(&self, request: ModelRequest<'_>) -> Result<Reply, ModelError> {
        self.requests.lock().unwrap().push(request.items.to_vec());
        let preamble = (request.instructions.to_owned(), request.tools.to_vec());
        self.preambles.lock().unwrap().push(preamble);
        self.asked.notify_one();
        if self.silent {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.thinks).await;
        (self.says)(request.items)
    }
}

pub fn usage() -> Usage {
    Usage { input_tokens: 100, output_tokens: 10, ..Usage::default() }
}

pub fn reply(items: Vec<ReplyItem>, stop: StopReason) -> Reply {
    Reply {
        items,
        stop,
        usage: usage(),
        model: "model".to_owned(),
        dialect: "scripted".to_owned(),
        provider_id: None,
    }
}

pub fn say(text: &str) -> Reply {
    reply(vec![ReplyItem::Text { text: text.to_owned(), raw: None }], StopReason::EndTurn)
}

pub fn calls(calls: Vec<(&str, ToolInput)>) -> Reply {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let item = |(name, input): (&str, ToolInput)| {
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = CallId(format!("call_{number}"));
        ReplyItem::ToolCall { call: ToolCall { id, name: name.to_owned(), input }, raw: None }
    };
    reply(calls.into_iter().map(item).collect(), StopReason::ToolUse)
}

pub fn call(name: &str, arguments: &serde_json::Value) -> Reply {
    calls(vec![(name, ToolInput::Json(arguments.to_string()))])
}

pub fn shell(command: &str) -> Reply {
    call("shell", &serde_json::json!({ "command": command }))
}

pub fn patch(text: &str) -> Reply {
    calls(vec![("apply_patch", ToolInput::Text(text.to_owned()))])
}
