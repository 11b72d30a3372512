//! What a hostile sandbox may throw at its door: it costs the sandbox, and nobody else.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{PATIENCE, Stage, read_some};

/// Waits until no connection is open.
async fn quiet(stage: &Stage) {
    let wait = async {
        while stage.door.traffic().open > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{:?}", stage.door.traffic());
}

/// Pieces that a request is made of, whole and broken.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET ".to_vec()),
        Just(b"CONNECT ".to_vec()),
        Just(b"POST ".to_vec()),
        Just(b"http://registry.example:PLAIN/".to_vec()),
        Just(b"registry.example:PORT".to_vec()),
        Just(b" HTTP/1.1\r\n".to_vec()),
        Just(b"Host: registry.example\r\n".to_vec()),
        Just(b"Host: evil.example\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Content-Length: 3\r\n".to_vec()),
        Just(b"Connection: close, Host\r\n".to_vec()),
        Just(b"Upgrade: websocket\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        Just(b"3\r\nabc\r\n".to_vec()),
        Just(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 1..14).prop_map(|pieces| pieces.concat())
}

#[test]
fn whatever_is_sent_the_door_goes_on_serving() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stage = runtime
        .block_on(Stage::with_rules(&["registry.example:PLAIN", "registry.example:PORT GET"]));
    let config =
        ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(bytes in pieces())| {
        runtime.block_on(async {
            let mut stream = TcpStream::connect(stage.address).await.unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let bytes = if text.contains("registry") { stage.ends.fill(&text).into_bytes() } else { bytes };
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        });
    });
    runtime.block_on(async {
        let seen = stage.ends.plain.seen();
        assert!(
            seen.iter()
                .all(|seen| seen.headers["host"].to_str().unwrap().starts_with("registry.example"))
        );
        let (text, exit) = stage.curl(&["http://registry.example:PLAIN/bytes/2"]).await;
        assert_eq!((text.as_str(), exit), ("xx", 0));
        quiet(&stage).await;
    });
}

#[tokio::test]
async fn two_hundred_clients_at_once_are_all_served() {
    let stage = Stage::with_rules(&["registry.example:PLAIN", "registry.example:PORT GET"]).await;
    let (text, exit) = stage
        .curl(&[
            "-Z",
            "--parallel-max",
            "200",
            "--no-progress-meter",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}\n",
            "http://registry.example:PLAIN/bytes/[1000-1199]",
        ])
        .await;
    assert_eq!((text.matches("200\n").count(), exit), (200, 0), "{text}");
    let (text, exit) = stage
        .curl(&[
            "-Z",
            "--parallel-max",
            "50",
            "--no-progress-meter",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}\n",
            "https://registry.example:PORT/bytes/[1000-1099]",
        ])
        .await;
    assert_eq!((text.matches("200\n").count(), exit), (100, 0), "{text}");
    stage.told(300).await;
    quiet(&stage).await;
}

#[tokio::test]
async fn an_upload_that_is_broken_off_leaves_nothing_behind() {
    let stage = Stage::with_rules(&["registry.example:PLAIN"]).await;
    for path in ["/sink", "/never"] {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        let ask = format!(
            "POST http://registry.example:PLAIN{path} HTTP/1.1\r\nHost: registry.example\r\n\
             Content-Length: 1000000\r\n\r\nonly this"
        );
        stream.write_all(stage.ends.fill(&ask).as_bytes()).await.unwrap();
        // Until it is on its way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(stream);
        quiet(&stage).await;
    }
    let told = stage.told(2).await;
    assert!(told.iter().all(|line| line.starts_with("allowed ")), "{told:?}");
}

#[tokio::test]
async fn a_flood_of_refusals_is_counted_and_bounded() {
    let stage = Stage::with_rules(&[]).await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    for index in 0..500 {
        let ask =
            format!("GET http://h{index}.example/ HTTP/1.1\r\nHost: h{index}.example\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let text = String::from_utf8(head).unwrap();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
    }
    let denied = stage.door.denied();
    assert_eq!(denied.len(), 100);
    assert_eq!(denied.iter().map(|denied| denied.times).sum::<u64>(), 500);
    drop(stream);
    quiet(&stage).await;
    let mut other = TcpStream::connect(stage.address).await.unwrap();
    other.write_all(b"GET /\r\n\r\n").await.unwrap();
    assert!(read_some(&mut other).await.starts_with("HTTP/1.1 400 "));
}
