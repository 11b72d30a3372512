//! The HTTP API over this installation.

use std::net::SocketAddr;
use std::sync::Arc;

use quire_domain::access::LOCAL_USER;
use quire_server::access::Access;
use quire_server::access::local::{loopback_hosts, machine_token, may_listen, sign_in_link};
use quire_server::deliver::Deliverer;
use quire_server::{Parts, Settings, State, Tls, serve_with};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::desk::WorkerDesk;
use super::notices::notices;
use crate::exit::{Exit, stop, usage};
use crate::installation::Installation;

/// A server that listens and does not answer yet.
pub struct Listening {
    listener: TcpListener,
    state: Arc<State>,
    tls: Option<Arc<Tls>>,
    /// Its address, for people.
    pub url: String,
    /// The address of a page that signs the one user of the machine in, once; where there are
    /// users, they sign in themselves.
    pub link: Option<String>,
}

/// Listens where the settings say.
pub async fn listen(installation: &Arc<Installation>) -> anyhow::Result<Listening> {
    let worker = &installation.worker;
    let serve = &installation.settings.serve;
    let tls = match serve.tls()? {
        None => None,
        Some((certificate, key)) => {
            let tls =
                Tls::open(certificate, key).await.map_err(|error| usage(error.to_string()))?;
            Some(Arc::new(tls))
        }
    };
    let at = serve.listen();
    let mut access = Access::new();
    if let Some(words) = serve.provider() {
        let base_url =
            installation.settings.notices.base_url.as_ref().map(|url| url.value.as_str());
        let settings = words.value.read(base_url, &installation.surroundings, &words.origin)?;
        let told = |error| usage(format!("{}: `serve.oidc`: {error}", words.origin));
        access = access.with_provider(settings).map_err(told)?;
    }
    let provider = serve.provider().is_some();
    may_listen(&worker.store, at.ip(), provider).await.map_err(|error| usage(error.to_string()))?;
    let listener = TcpListener::bind(at).await.map_err(|error| cannot_listen(at, &error))?;
    let at = listener.local_addr()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{at}");
    let users = worker.store.has_users().await?;
    let token = machine_token(&worker.place.data_dir)?;
    let link = if users {
        None
    } else {
        let link = sign_in_link(&worker.store, LOCAL_USER, &url, worker.clock.now()).await?;
        Some(link.reveal().clone())
    };
    let hosts = match serve.hosts() {
        none if none.is_empty() && !at.ip().is_loopback() => none,
        named => [loopback_hosts(), named].concat(),
    };
    let settings = Settings {
        version: worker.place.version.clone(),
        single_user: !users && !provider,
        hosts,
        ..Settings::default()
    };
    let record = &worker.record;
    let state = State::new(Parts {
        store: worker.store.clone(),
        log: Arc::clone(&record.log),
        bus: Arc::clone(&record.bus),
        blobs: Arc::clone(&record.blobs),
        chunks: record.chunks.clone(),
        git: worker.git.clone(),
        evidence: worker.place.data_dir.join("evidence"),
        clock: Arc::clone(&worker.clock),
        desk: Arc::new(WorkerDesk::new(Arc::clone(installation))),
        access: access.with_machine_token(token.reveal()).with_proxies(serve.trusted_proxies()),
        notices: notices(&installation.settings.notices, &worker.secrets)?,
        settings,
    });
    Ok(Listening { listener, state, tls, url, link })
}

impl Listening {
    /// Answers, and tells people of what happens, until `stop`.
    pub async fn serve(self, stop: CancellationToken) -> std::io::Result<()> {
        let Parts { store, clock, notices, .. } = (**self.state).clone();
        // Without what sends, everything else works.
        let deliverer = Deliverer::new(store, clock, notices).ok();
        let delivering = async {
            if let Some(deliverer) = deliverer {
                deliverer.run(stop.clone()).await;
            }
        };
        let answering = serve_with(self.listener, self.state, self.tls, stop.clone());
        tokio::join!(answering, delivering).0
    }
}

fn cannot_listen(at: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    let why = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("something else listens on {at}: name another address with --listen")
        }
        _ => format!("cannot listen on {at}: {error}"),
    };
    stop(Exit::Failed, why)
}
