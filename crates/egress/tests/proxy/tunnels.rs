//! Tunnels: TLS for the host that was asked for, and nothing else.

use std::sync::Arc;

use quire_domain::network::NetworkPolicy;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Ends, HOST, Plot, Stage, read_some};

/// A tunnel to the far end over TLS, granted.
async fn tunnel(stage: &Stage, to: &str) -> TcpStream {
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let to = stage.ends.fill(to);
    let ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
    stream
}

fn client(stage: &Stage) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(stage.ends.root.pem.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The first message of a client for `name`.
pub fn hello(stage: &Stage, name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(client(stage), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_tunnel_is_end_to_end_and_shows_the_hosts_own_certificate() {
    let stage = Stage::with_rules(&["registry.example:PORT"]).await;
    // The far end's root alone, and not the task's: nothing in between could answer.
    let root = stage.file("root.pem");
    std::fs::write(&root, &stage.ends.root.pem).unwrap();
    let root = root.to_str().unwrap();
    let (text, exit) =
        stage.curl(&["--cacert", root, "-d", "hello", "https://registry.example:PORT/x"]).await;
    assert_eq!((text.as_str(), exit), ("hello", 0));
    let told = stage.told(1).await;
    assert_eq!(told, ["allowed registry.example:PORT CONNECT - [registry.example:PORT]"]);
    let record = stage.records.0.lock().unwrap()[0].clone();
    assert!(record.egress.sent > 200 && record.egress.received > 200, "{record:?}");
}

#[tokio::test]
async fn tls_for_another_server_or_for_none_does_not_reach_the_host() {
    let stage = Stage::with_rules(&["registry.example:PORT"]).await;
    for (name, reason) in [
        ("other.example", "sni_mismatch"),
        ("127.0.0.1", "no_sni"),
        ("a.registry.example", "sni_mismatch"),
    ] {
        let mut stream = tunnel(&stage, "registry.example:PORT").await;
        stream.write_all(&hello(&stage, name)).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [21, 3, 3, 0, 2, 2, 112], "{name}");
        let told = stage.told(1).await;
        assert!(told[0].starts_with("denied ") && told[0].ends_with(reason), "{told:?}");
        stage.records.0.lock().unwrap().clear();
    }
    assert_eq!(stage.ends.tls.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_hello_in_small_pieces_is_read_and_reaches_the_host_unchanged() {
    let stage = Stage::with_rules(&["registry.example:PORT"]).await;
    let mut stream = tunnel(&stage, "registry.example:PORT").await;
    stream.set_nodelay(true).unwrap();
    let bytes = hello(&stage, HOST);
    for piece in bytes[5..].chunks(61) {
        let mut record = vec![22, 3, 1, 0, u8::try_from(piece.len()).unwrap()];
        record.extend(piece);
        for half in record.chunks(7) {
            stream.write_all(half).await.unwrap();
        }
    }
    // The server's hello comes back: it took ours.
    assert_eq!(stream.read_u8().await.unwrap(), 22);
}

#[tokio::test]
async fn a_tunnel_to_the_port_of_https_carries_nothing_but_tls() {
    let ends = Ends::start().await;
    // A path makes it a tunnel that is looked into, so that nobody has to listen on that port.
    let mut plot = Plot::rules(&["registry.example:443 /x"], &ends);
    plot.private.push("registry.example:443=127.0.0.1".to_owned());
    let stage = Stage::new(ends, plot).await;
    for bytes in
        [&b"GET /x HTTP/1.1\r\nHost: registry.example\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9\r\n"]
    {
        let mut stream = tunnel(&stage, "registry.example:443").await;
        stream.write_all(bytes).await.unwrap();
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("not_tls"), "{answer}");
    }
    assert_eq!(stage.told(2).await[1].split(' ').next_back(), Some("not_tls"));
}

#[tokio::test]
async fn plain_requests_in_a_tunnel_are_judged_one_by_one() {
    let stage = Stage::with_rules(&["registry.example:PLAIN GET"]).await;
    let mut stream = tunnel(&stage, "registry.example:PLAIN").await;
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: registry.example\r\n\r\n").await.unwrap();
    assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    stream
        .write_all(b"POST /b HTTP/1.1\r\nHost: registry.example\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    let answer = read_some(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("PLAIN POST /b")
            || answer.contains(" POST /b\n"),
        "{answer}"
    );
    assert_eq!(stage.ends.plain.lines(), ["GET /a"]);
}

#[tokio::test]
async fn under_on_hosts_are_pinned_as_well() {
    let ends = Ends::start().await;
    let plot = Plot::of(NetworkPolicy::On, &ends);
    let stage = Stage::new(ends, plot).await;
    let mut stream = tunnel(&stage, "registry.example:PORT").await;
    stream.write_all(&hello(&stage, "other.example")).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer[0], 21);
    assert!(stage.told(1).await[0].ends_with("sni_mismatch"));
}
