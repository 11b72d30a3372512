//! What scenarios share: a play server, a model that asks it, and ears.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::ids::Sha256;
use quire_domain::model::{
    ImageSource, LiveReply, Model, ModelError, ModelRequest, ReplyDelta, ToolInputSpec, ToolSpec,
};
use quire_domain::task::Image;
use quire_domain::transcript::{Item, Message, Part, Reply, Role, ToolResult};
use quire_models::pace::SkippingPace;
use quire_models::play::{PlayOptions, PlayServer, Script, Turn, serve};
use quire_models::{Catalogue, Settings, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The scripted models, one for each dialect.
pub const DIALECTS: [&str; 3] = ["demo", "chat", "messages"];

pub struct Stage {
    pub server: PlayServer,
    pub settings: Settings,
    pub pace: Arc<SkippingPace>,
    pub ears: Ears,
}

impl Stage {
    pub async fn with(script: Script) -> Self {
        let server = serve(script, loopback(), PlayOptions { record: true }).await.unwrap();
        let (settings, pace) = settings(&server.url());
        Self { server, settings, pace, ears: Ears::default() }
    }

    pub async fn turns(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self::with(Script::of(turns)).await
    }

    pub async fn model(&self, name: &str) -> Arc<dyn Model> {
        scripted(name, &self.settings).await
    }

    pub async fn ask(&self, name: &str, items: &[Item]) -> Result<Reply, ModelError> {
        ask(self.model(name).await.as_ref(), items, &self.ears).await
    }
}

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub fn settings(url: &str) -> (Settings, Arc<SkippingPace>) {
    let pace = Arc::new(SkippingPace::default());
    let settings = Settings {
        pace: Arc::clone(&pace) as Arc<_>,
        idle_timeout: Duration::from_secs(5),
        ..Settings::with_base_url("scripted", url)
    };
    (settings, pace)
}

pub async fn scripted(name: &str, settings: &Settings) -> Arc<dyn Model> {
    let catalogue = Catalogue::load(None).unwrap();
    let resolved = catalogue.resolve(Some(&format!("scripted/{name}")), settings).await.unwrap();
    connect(resolved, settings)
}

pub async fn ask(model: &dyn Model, items: &[Item], ears: &Ears) -> Result<Reply, ModelError> {
    let tools = tools();
    let request = ModelRequest {
        instructions: "You mend programs.",
        tools: &tools,
        items,
        images: &OnePixel,
        cache_key: "attempt-1",
        live: ears,
    };
    model.reply(request).await
}

pub fn tools() -> Vec<ToolSpec> {
    vec![
        ToolSpec {
            name: "shell".to_owned(),
            description: "Runs a command.".to_owned(),
            input: ToolInputSpec::Json {
                schema: serde_json::json!({
                    "type": "object",
                    "properties": { "command": { "type": "string" } },
                    "required": ["command"],
                }),
            },
        },
        ToolSpec {
            name: "apply_patch".to_owned(),
            description: "Edits files.".to_owned(),
            input: ToolInputSpec::Text { grammar: "start: /.+/s".to_owned() },
        },
    ]
}

pub fn user(text: &str) -> Item {
    Item::Message(Message { role: Role::User, parts: vec![Part::text(text)] })
}

pub fn developer(text: &str) -> Item {
    Item::Message(Message { role: Role::Developer, parts: vec![Part::text(text)] })
}

pub fn picture() -> Part {
    Part::Image {
        image: Image { blob: Sha256::zero(), media_type: "image/png".to_owned(), bytes: 4 },
    }
}

/// Answers all calls of `reply` with `text`.
pub fn results(reply: &Reply, text: &str) -> Item {
    let results = reply
        .tool_calls()
        .map(|call| ToolResult {
            call_id: call.id.clone(),
            parts: vec![Part::text(text)],
            ok: true,
        })
        .collect();
    Item::ToolResults { results }
}

/// An image source with the same four bytes for every picture.
pub struct OnePixel;

#[async_trait]
impl ImageSource for OnePixel {
    async fn open(&self, _: &Image) -> Option<Bytes> {
        Some(Bytes::from_static(b"\x89PNG"))
    }
}

/// Hears what arrives.
#[derive(Default)]
pub struct Ears {
    heard: Mutex<Vec<String>>,
}

impl Ears {
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// What was heard of one kind, joined.
    pub fn of(&self, kind: &str) -> String {
        let heard = self.heard();
        heard.iter().filter_map(|h| h.strip_prefix(kind)).collect::<Vec<_>>().concat()
    }
}

impl LiveReply for Ears {
    fn delta(&self, delta: ReplyDelta<'_>) {
        let line = match delta {
            ReplyDelta::Text(text) => format!("text:{text}"),
            ReplyDelta::Reasoning(text) => format!("reasoning:{text}"),
            ReplyDelta::ToolInput(text) => format!("input:{text}"),
            ReplyDelta::Retry { why, after } => format!("retry:{why} in {after:?}"),
            ReplyDelta::Waiting { what } => format!("waiting:{what}"),
        };
        self.heard.lock().unwrap().push(line);
    }
}

/// What a server of raw bytes does with each request, by its number from 0.
pub enum Raw {
    /// Sends the bytes as a chunked body of this type, in pieces, then ends it in order.
    Whole(&'static str, Vec<Vec<u8>>),
    /// Sends the bytes as a chunked body and breaks the connection.
    Cut(&'static str, Vec<u8>),
}

/// A server that answers with the bytes it is given, one connection for each request.
pub async fn raw_server(answer: impl Fn(usize) -> Raw + Send + 'static) -> String {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            read_request(&mut stream).await;
            let (kind, pieces, ends) = match answer(number) {
                Raw::Whole(kind, pieces) => (kind, pieces, true),
                Raw::Cut(kind, piece) => (kind, vec![piece], false),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\
                 connection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
                chunk.extend_from_slice(piece);
                chunk.extend_from_slice(b"\r\n");
                // The client may have heard enough.
                if stream.write_all(&chunk).await.is_err() {
                    break;
                }
            }
            if ends {
                let _ = stream.write_all(b"0\r\n\r\n").await;
            }
        }
    });
    url
}

async fn read_request(stream: &mut tokio::net::TcpStream) {
    let mut request = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        request.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length: usize = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
            })
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(0);
        if body.len() >= length || n == 0 {
            return;
        }
    }
}
