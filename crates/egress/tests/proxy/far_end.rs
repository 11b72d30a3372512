//! The host at the far end of the wire: HTTP over TLS or in plain, with answers by path.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Collected, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate authority of the tests' own.
pub struct Root {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Root {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Root of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        let pem = pem(certificate.der());
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// How to be `names`.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub line: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A running server; it ends with the test's runtime.
pub struct FarEnd {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl FarEnd {
    /// Serves on a free port of the loopback, over TLS if `tls` is there; `files` below `/files`.
    pub async fn start(tls: Option<Arc<ServerConfig>>, files: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (tls, seen, files) = (tls.clone(), Arc::clone(&all), files.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                                serve(stream, seen, files).await;
                            }
                        }
                        None => serve(stream, seen, files).await,
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// What arrived so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The request lines that arrived so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    seen: Arc<Mutex<Vec<Seen>>>,
    files: PathBuf,
) {
    let service = service_fn(|request| {
        let (seen, files) = (Arc::clone(&seen), files.clone());
        async move { Ok::<_, Infallible>(answer(request, &seen, &files).await) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>, seen: &Mutex<Vec<Seen>>, files: &Path) -> Answer {
    let line = format!("{} {}", request.method(), request.uri());
    let headers = request.headers().clone();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    // What is large is counted, not kept.
    let body = if path == "/sink" {
        let mut body = request.into_body();
        let mut count = 0;
        while let Some(Ok(frame)) = body.frame().await {
            count += frame.data_ref().map_or(0, Bytes::len);
        }
        Bytes::from(count.to_string())
    } else {
        request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default()
    };
    seen.lock().unwrap().push(Seen { line, headers: headers.clone(), body: body.clone() });
    let plain = |text: Bytes| Response::new(Full::new(text).boxed());
    if let Some(rest) = path.strip_prefix("/files/") {
        return match std::fs::read(files.join(rest)) {
            Ok(bytes) => plain(Bytes::from(bytes)),
            Err(_) => with_status(StatusCode::NOT_FOUND),
        };
    }
    if let Some(count) = path.strip_prefix("/bytes/") {
        return stream_of(count.parse().unwrap());
    }
    match path.as_str() {
        "/redirect" => {
            let mut response = with_status(StatusCode::FOUND);
            response.headers_mut().insert("location", query.parse().unwrap());
            response
        }
        "/no-content" => with_status(StatusCode::NO_CONTENT),
        "/not-modified" => {
            let mut response = with_status(StatusCode::NOT_MODIFIED);
            response.headers_mut().insert("etag", HeaderValue::from_static("\"1\""));
            response
        }
        "/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("42"));
            let frames = [Ok(Frame::data(Bytes::from("body"))), Ok(Frame::trailers(trailers))];
            let mut response = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(frames))));
            response.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
            response
        }
        "/echo-header" => {
            let mut response = plain(Bytes::from("ok"));
            if let Some(value) = headers.get("authorization") {
                response.headers_mut().insert("x-echo", value.clone());
                let text = format!("/next?{}", value.to_str().unwrap());
                response.headers_mut().insert("location", text.parse().unwrap());
            }
            response
        }
        "/never" => std::future::pending().await,
        _ => plain(body),
    }
}

fn with_status(status: StatusCode) -> Answer {
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = status;
    response
}

fn stream_of(count: u64) -> Answer {
    const PIECE: usize = 64 << 10;
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let frames = stream::unfold(count, move |left| {
        let size = usize::try_from(left.min(PIECE as u64)).unwrap();
        let frame = (size > 0).then(|| (Ok(Frame::data(piece.slice(..size))), left - size as u64));
        std::future::ready(frame)
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    response.headers_mut().insert("content-length", HeaderValue::from(count));
    response
}
