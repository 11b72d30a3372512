//! Looks whether a model answers: a local server by its list of models, a model by a tiny request.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::model::{
    ImageSource, LiveReply, Model, ModelError, ModelRequest, ReplyDelta, ToolInputSpec, ToolSpec,
};
use quire_domain::task::Image;
use quire_domain::transcript::{Item, Message, Part, Role};
use serde_json::Value;

use crate::http::HttpClients;
use crate::settings::Settings;

/// What a live test of a model found.
#[derive(Debug)]
pub struct ProbeReport {
    /// `provider/model`.
    pub model: String,
    /// The name under which the provider answered.
    pub answered_as: Option<String>,
    /// From sending to the complete reply, retries included.
    pub latency: Duration,
    /// Whether it called the tool it was asked to call.
    pub calls_tools: bool,
    /// Input and output tokens it counted.
    pub tokens: u64,
    /// Why it gave no reply.
    pub error: Option<ModelError>,
    /// What to do about it, if anything.
    pub advice: Option<String>,
}

impl ProbeReport {
    /// Whether an agent can work with it.
    pub fn is_usable(&self) -> bool {
        self.error.is_none() && self.calls_tools
    }
}

/// Asks `model` to call one small tool.
pub async fn probe(model: &dyn Model, settings: &Settings) -> ProbeReport {
    let tools = [ToolSpec {
        name: "report".to_owned(),
        description: "Reports a word.".to_owned(),
        input: ToolInputSpec::Json {
            schema: serde_json::json!({
                "type": "object",
                "properties": { "word": { "type": "string" } },
                "required": ["word"],
                "additionalProperties": false
            }),
        },
    }];
    let items = [Item::Message(Message {
        role: Role::User,
        parts: vec![Part::text("Call the tool `report` with the word `ready`.")],
    })];
    let request = ModelRequest {
        instructions: "This is a test of the connection. Do what is asked and nothing else.",
        tools: &tools,
        items: &items,
        images: &NoImages,
        cache_key: "quire-model-test",
        live: &Silent,
    };
    let start = settings.pace.now();
    let outcome = model.reply(request).await;
    let latency = settings.pace.now().saturating_duration_since(start);
    let name = model.info().name.clone();
    match outcome {
        Ok(reply) => {
            let calls_tools = reply.tool_calls().any(|call| call.name == "report");
            ProbeReport {
                model: name,
                answered_as: Some(reply.model.clone()),
                latency,
                calls_tools,
                tokens: reply.usage.total_tokens(),
                error: None,
                advice: (!calls_tools).then(|| {
                    "it answered but did not call the tool: take a model that calls tools, or \
                     start the server with tool calling on"
                        .to_owned()
                }),
            }
        }
        Err(error) => ProbeReport {
            model: name,
            answered_as: None,
            latency,
            calls_tools: false,
            tokens: 0,
            advice: Some(advice(&error).to_owned()),
            error: Some(error),
        },
    }
}

/// What a person can do about an error.
pub fn advice(error: &ModelError) -> &'static str {
    match error {
        ModelError::Unavailable { .. } => {
            "check that the address is right and the server runs; otherwise try again later"
        }
        ModelError::ComeBack { .. } | ModelError::Held { .. } => {
            "wait for as long as it says, or take another model"
        }
        ModelError::Declined { .. } => "ask whoever runs this installation",
        ModelError::BadKey { .. } => "check the key and that its account may use this model",
        ModelError::NoSuchModel { .. } => "`quire model list` shows the models that are known",
        ModelError::ContextTooLong { .. } => {
            "start the local server with a larger window, or take a model with one"
        }
        ModelError::QuotaExceeded { .. } => "add credit to the account or raise its limit",
        ModelError::Rejected { .. } => {
            "the server does not take such requests: check the address and its dialect"
        }
        ModelError::Unreadable { .. } => {
            "what answers there may not be a model server: check the address and its dialect"
        }
    }
}

/// A server that listed its models.
pub(crate) struct LocalServer {
    /// Those that converse, in its order.
    pub(crate) models: Vec<ListedModel>,
}

/// A model as a server lists it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListedModel {
    pub(crate) id: String,
    /// The window it was started with, where the server says so.
    pub(crate) window_tokens: Option<u64>,
}

/// Asks `base_url` for its models; `None` unless it answers in time and in form.
pub(crate) async fn local_server(base_url: String, settings: &Settings) -> Option<LocalServer> {
    const LIST_LIMIT: usize = 1024 * 1024;
    let ask = async {
        let client = HttpClients::new(settings.probe_timeout).for_url(&base_url).await.ok()?;
        let mut response = client.get(format!("{base_url}/models")).send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.ok()? {
            body.extend_from_slice(&piece);
            if body.len() > LIST_LIMIT {
                return None;
            }
        }
        let list: Value = serde_json::from_slice(&body).ok()?;
        let models = list.get("data")?.as_array()?.iter().filter_map(listed);
        Some(LocalServer { models: models.filter(|model| writes_text(&model.id)).collect() })
    };
    tokio::time::timeout(settings.probe_timeout, ask).await.ok().flatten()
}

fn listed(model: &Value) -> Option<ListedModel> {
    // As vLLM, llama.cpp and the routers call it, in this order.
    let window_tokens = ["/max_model_len", "/meta/n_ctx", "/context_length"]
        .iter()
        .find_map(|path| model.pointer(path).and_then(Value::as_u64));
    Some(ListedModel { id: model.get("id")?.as_str()?.to_owned(), window_tokens })
}

/// Local servers list models for other ends among those that converse.
fn writes_text(id: &str) -> bool {
    let id = id.to_ascii_lowercase();
    !["embed", "rerank", "whisper", "tts"].iter().any(|word| id.contains(word))
}

struct NoImages;

#[async_trait]
impl ImageSource for NoImages {
    async fn open(&self, _: &Image) -> Option<Bytes> {
        None
    }
}

struct Silent;

impl LiveReply for Silent {
    fn delta(&self, _: ReplyDelta<'_>) {}
}
