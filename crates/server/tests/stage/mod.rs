//! A server on loopback over a real store, for scenarios; and whoever asks it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::assigning_clones,
    reason = "for tests; each uses its part"
)]

mod desk;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use quire_domain::time::{Clock, Timestamp};
use quire_engine::{Chunks, FolderBlobs, LocalBus, LocalLog};
use quire_git::{Git, GitConfig, PersonSettings};
use quire_server::access::Access;
use quire_server::deliver::Notices;
use quire_server::{Parts, Settings, State, serve};
use quire_store::{SealKey, Store};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use desk::PlainDesk;

/// The token of the one user.
pub const TOKEN: &str = "quire_test";

pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(since.as_millis()).unwrap())
    }
}

/// A clock that stands still: what depends on a second does not depend on the machine.
pub struct Still(pub Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A running server. Ends when it is dropped.
pub struct Stage {
    pub parts: Parts,
    pub state: Arc<State>,
    pub address: SocketAddr,
    pub client: Client,
    pub dir: tempfile::TempDir,
    pub shutdown: CancellationToken,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(Settings { version: "0.0.0".to_owned(), ..Settings::default() }).await
    }

    pub async fn with(settings: Settings) -> Self {
        Self::at(Arc::new(SystemClock), settings).await
    }

    pub async fn at(clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("quire.db")).await.unwrap();
        let git = Git::new(GitConfig {
            git: "git".into(),
            data_dir: dir.path().to_owned(),
            path_env: std::env::var_os("PATH").unwrap_or_default(),
            person: PersonSettings::default(),
        })
        .unwrap();
        let key = Arc::new(SealKey::from_bytes(&[7; 32]).unwrap());
        let parts = Parts {
            desk: Arc::new(PlainDesk {
                store: store.clone(),
                clock: clock.clone(),
                key: key.clone(),
            }),
            store,
            log: Arc::new(LocalLog::open(&dir.path().join("log.db")).await.unwrap()),
            bus: Arc::new(LocalBus::new()),
            blobs: Arc::new(FolderBlobs::new(dir.path().join("blobs"))),
            chunks: Chunks::new(dir.path().join("chunks")),
            git,
            evidence: dir.path().join("evidence"),
            clock,
            access: Access::alone(TOKEN),
            notices: Notices { key: Arc::new(move || Ok(key.clone())), ..Notices::none() },
            settings,
        };
        let state = State::new(parts.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(listener, state.clone(), shutdown.clone()));
        Self { parts, state, address, client: client(), dir, shutdown }
    }

    /// A request of the one user.
    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(TOKEN)
    }

    /// A request of nobody.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// What a path gives: its status and its JSON.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        told(self.ask(Method::GET, path).send().await.unwrap()).await
    }

    /// What a body sent there gives.
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        told(self.ask(Method::POST, path).json(&body).send().await.unwrap()).await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// An answer's status and its JSON; `null` where it has none.
pub async fn told(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn client() -> Client {
    // The scenarios speak plain HTTP; the client wants to know all the same what it would do.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
}
