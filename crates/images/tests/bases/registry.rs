//! A played registry, which does on request what no real one does; and images for both.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quire_images::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::layers::gzip;

/// An image in the making.
pub struct Image {
    pub layers: Vec<Vec<u8>>,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
}

/// How layers come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    Plain,
    Gzip,
    Zstd,
}

impl Image {
    /// Of layers as they are, for this machine, with gzip.
    pub fn of(tars: &[Vec<u8>]) -> Self {
        let packed: Vec<_> = tars.iter().map(|tar| (tar.clone(), Packed::Gzip)).collect();
        Self::with(&packed, "{}", architecture(), "linux")
    }

    /// With a configuration's `config` and a platform.
    pub fn with(tars: &[(Vec<u8>, Packed)], config: &str, architecture: &str, os: &str) -> Self {
        let diff_ids: Vec<String> =
            tars.iter().map(|(tar, _)| format!("\"{}\"", Digest::of(tar))).collect();
        let layers: Vec<Vec<u8>> = tars.iter().map(|(tar, packed)| pack(tar, *packed)).collect();
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"{os}","config":{config},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            diff_ids.join(",")
        )
        .into_bytes();
        let described: Vec<String> =
            layers.iter().map(|layer| descriptor("layer.v1.tar", layer)).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
            descriptor("config.v1+json", &config),
            described.join(",")
        )
        .into_bytes();
        Self { layers, config, manifest }
    }
}

pub fn architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
}

pub fn descriptor(kind: &str, content: &[u8]) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{}","size":{}}}"#,
        Digest::of(content),
        content.len()
    )
}

fn pack(tar: &[u8], packed: Packed) -> Vec<u8> {
    match packed {
        Packed::Plain => tar.to_vec(),
        Packed::Gzip => gzip(tar),
        Packed::Zstd => zstd::encode_all(tar, 1).unwrap(),
    }
}

/// What was asked.
pub struct Asked {
    /// The path with its query.
    pub path: String,
    /// Headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// How often this path was asked for before.
    pub before: usize,
}

/// What is answered in place of what there is.
#[derive(Default, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Close the connection after so many bytes of the body.
    pub cut: Option<usize>,
    /// Wait so long between pieces of 100 bytes.
    pub drip: Option<Duration>,
}

type Hook = dyn Fn(&Asked, &Played) -> Option<Reply> + Send + Sync;

/// A registry on loopback.
pub struct Played {
    /// `127.0.0.1:port`.
    pub host: String,
    pub content: Mutex<HashMap<String, Vec<u8>>>,
    /// The paths that were asked for, with the range where there was one.
    pub log: Mutex<Vec<String>>,
}

impl Played {
    /// One that answers truly, but where `hook` says otherwise.
    pub async fn new(
        hook: impl Fn(&Asked, &Played) -> Option<Reply> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let played = Arc::new(Self { host, content: Mutex::default(), log: Mutex::default() });
        let (serving, hook): (_, Arc<Hook>) = (Arc::clone(&played), Arc::new(hook));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (played, hook) = (Arc::clone(&serving), Arc::clone(&hook));
                tokio::spawn(async move { drop(serve(stream, &played, &*hook).await) });
            }
        });
        played
    }

    pub fn put(&self, path: &str, content: &[u8]) {
        self.content.lock().unwrap().insert(path.to_owned(), content.to_vec());
    }

    /// Holds an image under `name:tag`; gives its reference.
    pub fn hold(&self, name: &str, tag: &str, image: &Image) -> String {
        for blob in image.layers.iter().chain([&image.config]) {
            self.put(&format!("/v2/{name}/blobs/{}", Digest::of(blob)), blob);
        }
        for asked in [tag.to_owned(), Digest::of(&image.manifest).to_string()] {
            self.put(&format!("/v2/{name}/manifests/{asked}"), &image.manifest);
        }
        format!("{}/{name}:{tag}", self.host)
    }

    /// How often a path that holds `part` was asked for.
    pub fn asked(&self, part: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|path| path.contains(part)).count()
    }

    /// The true answer.
    pub fn truth(&self, asked: &Asked) -> Reply {
        let path = asked.path.split('?').next().unwrap();
        let content = self.content.lock().unwrap();
        let Some(content) = content.get(path) else {
            return Reply { status: 404, ..Reply::default() };
        };
        let from = asked.headers.get("range").and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        match from {
            Some(from) if from < content.len() => Reply {
                status: 206,
                headers: vec![(
                    "Content-Range",
                    format!("bytes {from}-{}/{}", content.len() - 1, content.len()),
                )],
                body: content[from..].to_vec(),
                ..Reply::default()
            },
            _ => Reply { status: 200, body: content.clone(), ..Reply::default() },
        }
    }
}

async fn serve(mut stream: TcpStream, played: &Played, hook: &Hook) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await?;
        if read == 0 || head.len() > 1 << 16 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..read]);
        if head[0] == 0x16 {
            // A TLS handshake: what a plain server answers to it.
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n");
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or("").to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let asked = {
        let mut log = played.log.lock().unwrap();
        let before = log.iter().filter(|line| line.split(' ').next() == Some(&path)).count();
        log.push(format!("{path} {}", headers.get("range").map_or("", String::as_str)));
        Asked { path, headers, before }
    };
    let reply = hook(&asked, played).unwrap_or_else(|| played.truth(&asked));
    let mut text = format!(
        "HTTP/1.1 {} Played\r\nContent-Length: {}\r\nConnection: close\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
    match reply.drip {
        None => stream.write_all(&reply.body[..end]).await?,
        Some(pause) => {
            for piece in reply.body[..end].chunks(100) {
                stream.write_all(piece).await?;
                tokio::time::sleep(pause).await;
            }
        }
    }
    stream.shutdown().await
}
