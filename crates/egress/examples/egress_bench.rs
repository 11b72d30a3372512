//! What the proxy costs: latency beside a direct request, throughput, memory.
//!
//! `cargo run --release -p quire-egress --example egress_bench`. Client, proxy and far end share this
//! process and its cores, so that throughput is what all three of them reach together.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement ends where it fails")]

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use quire_domain::network::NetworkPolicy;
use quire_domain::sandbox::ListenerSink;
use quire_egress::{AuditQueue, Door, EgressLimits, EgressProxy, EgressSettings, Policy, Roots};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const HOST: &str = "registry.example";
const ROUNDS: usize = 2000;
const TUNNELS: usize = 4;
const TUNNEL_BYTES: u64 = 2 << 30;
const ENDED_BYTES: u64 = 256 << 20;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

#[tokio::main]
async fn main() {
    let (server, root) = certificates();
    let plain = far_end(None).await;
    let tls = far_end(Some(Arc::new(server))).await;
    let private = [plain.port(), tls.port()]
        .map(|port| format!("{HOST}:{port}=127.0.0.1").parse().unwrap())
        .to_vec();
    let roots = Roots::none().with_pem(root.as_bytes()).unwrap();
    let limits = EgressLimits {
        bytes_per_connection: u64::MAX,
        bytes_in_all: u64::MAX,
        ..EgressLimits::default()
    };
    let proxy = EgressProxy::new(EgressSettings { roots, private, limits, ..Default::default() });
    let (_seen_door, seen, authority) = open(&proxy, &format!("{HOST}:{} GET", tls.port()));
    let (_blind_door, blind, _) =
        open(&proxy, &format!("{HOST}:{},{HOST}:{}", plain.port(), tls.port()));
    let direct_client = client(&root);
    let ended_client = client(&authority);

    println!("latency, {ROUNDS} requests each, p50 / p90 in microseconds");
    let mut stream = connect(plain).await;
    report("plain, kept connection, direct", &mut stream, "/").await;
    let mut stream = connect(blind).await;
    report(
        "plain, kept connection, proxy",
        &mut stream,
        &format!("http://{HOST}:{}/", plain.port()),
    )
    .await;
    let mut stream = encrypted(connect(tls).await, &direct_client).await;
    report("TLS, kept connection, direct", &mut stream, "/").await;
    let mut stream = encrypted(tunnel(blind, tls).await, &direct_client).await;
    report("TLS, kept connection, tunnel", &mut stream, "/").await;
    let mut stream = encrypted(tunnel(seen, tls).await, &ended_client).await;
    report("TLS, kept connection, ended", &mut stream, "/").await;
    fresh("TLS, new connection, direct", &direct_client, None, tls).await;
    fresh("TLS, new connection, tunnel", &direct_client, Some(blind), tls).await;
    fresh("TLS, new connection, ended", &ended_client, Some(seen), tls).await;

    println!("throughput");
    let before = resident();
    let rate = together(TUNNELS, |_| async move {
        let stream = connect(plain).await;
        big(stream, "/big", TUNNEL_BYTES / 4).await
    })
    .await;
    println!("  {TUNNELS} connections, direct: {rate:.0} MB/s");
    let sink = raw_sink().await;
    let port = sink.port();
    let raw_private = vec![format!("{HOST}:{port}=127.0.0.1").parse().unwrap()];
    let limits = EgressLimits {
        bytes_per_connection: u64::MAX,
        bytes_in_all: u64::MAX,
        ..EgressLimits::default()
    };
    let raw_proxy = EgressProxy::new(EgressSettings {
        roots: Roots::none(),
        private: raw_private,
        limits,
        ..Default::default()
    });
    let (raw_door, raw, _) = open(&raw_proxy, &format!("{HOST}:{port}"));
    let hello = hello(&direct_client);
    let rate = together(TUNNELS, |_| {
        let hello = hello.clone();
        async move {
            let mut stream = tunnel(raw, sink).await;
            stream.write_all(&hello).await.unwrap();
            drain(stream, TUNNEL_BYTES).await
        }
    })
    .await;
    println!("  {TUNNELS} tunnels: {rate:.0} MB/s, {:+} KiB", kib(before));
    drop(raw_door);
    let rate = together(2, |_| {
        let client = Arc::clone(&direct_client);
        async move { big(encrypted(connect(tls).await, &client).await, "/big", ENDED_BYTES).await }
    })
    .await;
    println!("  2 connections, TLS, direct: {rate:.0} MB/s");
    let rate =
        together(2, |_| {
            let client = Arc::clone(&ended_client);
            async move {
                big(encrypted(tunnel(seen, tls).await, &client).await, "/big", ENDED_BYTES).await
            }
        })
        .await;
    println!("  2 connections, TLS ended: {rate:.0} MB/s, {:+} KiB", kib(before));

    let begun = Instant::now();
    let doors: Vec<_> = (0..200).map(|_| open(&proxy, HOST)).collect();
    println!(
        "200 doors: {:.2} ms each, {} KiB in all",
        begun.elapsed().as_secs_f64() * 5.0,
        kib(before)
    );
    drop(doors);
}

/// A door that listens on the host's loopback, and its authority.
fn open(proxy: &EgressProxy, rules: &str) -> (Door, SocketAddr, String) {
    let rules = rules.split(',').map(|rule| rule.parse().unwrap()).collect();
    let policy = Policy { network: NetworkPolicy::Rules(rules), ..Policy::default() };
    let (queue, mut receiver) = AuditQueue::new(1024);
    tokio::spawn(async move { while receiver.next().await.is_some() {} });
    let door = proxy.open(policy, Arc::new(queue)).unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    door.listener(OwnedFd::from(listener));
    let authority = door.trust().authority_pem;
    (door, address, authority)
}

async fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn tunnel(proxy: SocketAddr, to: SocketAddr) -> TcpStream {
    let mut stream = connect(proxy).await;
    let ask = format!("CONNECT {HOST}:{} HTTP/1.1\r\n\r\n", to.port());
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream
}

async fn encrypted(stream: TcpStream, client: &Arc<ClientConfig>) -> impl Stream + use<> {
    let name = ServerName::try_from(HOST).unwrap();
    TlsConnector::from(Arc::clone(client)).connect(name, stream).await.unwrap()
}

/// One small request and its answer.
async fn ask(stream: &mut impl Stream, target: &str) {
    let ask = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"\r\n\r\nok") {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..count]);
    }
}

async fn report(what: &str, stream: &mut impl Stream, target: &str) {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        ask(stream, target).await;
        times.push(begun.elapsed());
    }
    print(what, times);
}

async fn fresh(what: &str, client: &Arc<ClientConfig>, proxy: Option<SocketAddr>, tls: SocketAddr) {
    let mut times = Vec::new();
    for _ in 0..ROUNDS / 10 {
        let begun = Instant::now();
        let stream = match proxy {
            Some(proxy) => tunnel(proxy, tls).await,
            None => connect(tls).await,
        };
        ask(&mut encrypted(stream, client).await, "/").await;
        times.push(begun.elapsed());
    }
    print(what, times);
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[times.len() * part / 10].as_micros();
    println!("  {what}: {} / {}", at(5), at(9));
}

/// MB/s of so many at once.
async fn together<F: Future<Output = u64> + Send + 'static>(
    count: usize,
    one: impl Fn(usize) -> F,
) -> f64 {
    let begun = Instant::now();
    let all: Vec<_> = (0..count).map(|index| tokio::spawn(one(index))).collect();
    let mut bytes = 0;
    for one in all {
        bytes += one.await.unwrap();
    }
    f64::from(u32::try_from(bytes >> 10).unwrap()) * 1.024e-3 / begun.elapsed().as_secs_f64()
}

async fn big(mut stream: impl Stream, target: &str, bytes: u64) -> u64 {
    let ask = format!("GET {target}?{bytes} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    drain(stream, bytes).await
}

async fn drain(mut stream: impl Stream, bytes: u64) -> u64 {
    let mut buffer = vec![0; 256 << 10];
    let mut got = 0;
    while got < bytes {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "cut off after {got} bytes");
        got += count as u64;
    }
    got
}

/// Answers `ok`, or as many bytes as `/big?COUNT` says.
async fn far_end(tls: Option<Arc<ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => serve(stream).await,
                    Some(tls) => {
                        if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                            serve(stream).await;
                        }
                    }
                }
            });
        }
    });
    address
}

async fn serve(mut stream: impl Stream) {
    let mut head = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => head.extend_from_slice(&buffer[..count]),
            }
        }
        let text = String::from_utf8_lossy(&head);
        let target = text.split(' ').nth(1).unwrap();
        let Some((_, bytes)) = target.split_once('?') else {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            continue;
        };
        let mut left: u64 = bytes.parse().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        while left > 0 {
            let count = buffer.len().min(usize::try_from(left).unwrap());
            if stream.write_all(&buffer[..count]).await.is_err() {
                return;
            }
            left -= count as u64;
        }
        // TLS may still hold the end of it.
        stream.flush().await.unwrap();
    }
}

/// Sends without end to whoever connects.
async fn raw_sink() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let buffer = vec![0; 256 << 10];
                while stream.write_all(&buffer).await.is_ok() {}
            });
        }
    });
    address
}

fn certificates() -> (ServerConfig, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Root of the bench");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(root.der());
    (server, format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"))
}

fn client(root: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn hello(client: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from(HOST).unwrap();
    let mut bytes = Vec::new();
    let mut connection = rustls::ClientConnection::new(Arc::clone(client), name).unwrap();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

/// Memory of this process that is not shared, in KiB.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn kib(before: i64) -> i64 {
    resident() - before
}
