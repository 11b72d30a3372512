//! Limits, ends, and what happens in the middle of things.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quire_egress::{AuditQueue, EgressProxy, EgressSettings, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Ends, PATIENCE, Plot, Stage, listen, read_some};

async fn with_limits(rules: &[&str], change: impl FnOnce(&mut Plot)) -> Stage {
    let ends = Ends::start().await;
    let mut plot = Plot::rules(rules, &ends);
    change(&mut plot);
    Stage::new(ends, plot).await
}

async fn closes(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let stage = with_limits(&["registry.example:PLAIN"], |plot| {
        plot.limits.head = Duration::from_millis(300);
    })
    .await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let begun = Instant::now();
    for byte in b"GET http://registry.example/ HTTP/1.1\r\nX-Slow: ".iter().cycle() {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_is_said_is_closed() {
    let stage = with_limits(&["registry.example:PORT"], |plot| {
        plot.limits.handshake = Duration::from_millis(200);
    })
    .await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let ask = stage.ends.fill("CONNECT registry.example:PORT HTTP/1.1\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    closes(&mut stream).await;
    assert!(stage.told(1).await[0].ends_with("no_hello"));
}

#[tokio::test]
async fn a_host_that_never_answers_is_told_as_that() {
    let stage = with_limits(&["registry.example:PLAIN"], |plot| {
        plot.limits.answer = Duration::from_millis(200);
    })
    .await;
    let (text, _) = stage.curl(&["-i", "http://registry.example:PLAIN/never"]).await;
    assert!(
        text.starts_with("HTTP/1.1 504 ") && text.contains("x-quire-failed: answer_timeout"),
        "{text}"
    );
    assert!(stage.told(1).await[0].ends_with("answer_timeout"));
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_ended_with_the_reason() {
    let stage = with_limits(&["registry.example:PLAIN"], |plot| {
        plot.limits.idle = Duration::from_millis(300);
    })
    .await;
    let (_, exit) = stage.curl(&["http://registry.example:PLAIN/never"]).await;
    assert_ne!(exit, 0);
    assert!(stage.told(1).await[0].ends_with(" idle"));
}

#[tokio::test]
async fn bytes_are_bounded_per_connection_and_per_sandbox() {
    let stage = with_limits(&["registry.example:PLAIN", "registry.example:PORT"], |plot| {
        plot.limits.bytes_per_connection = 1 << 20;
        plot.limits.bytes_in_all = 3 << 20;
    })
    .await;
    for url in [
        "http://registry.example:PLAIN/bytes/5000000",
        "https://registry.example:PORT/bytes/5000000",
    ] {
        let (_, exit) = stage.curl(&["-k", "-o", "/dev/null", url]).await;
        assert_ne!(exit, 0);
    }
    let told = stage.told(2).await;
    assert!(told.iter().all(|line| line.ends_with("bytes_of_connection")), "{told:?}");
    for _ in 0..3 {
        let url = "http://registry.example:PLAIN/bytes/900000";
        let _ = stage.curl(&["-o", "/dev/null", url]).await;
    }
    let (text, _) = stage.curl(&["http://registry.example:PLAIN/bytes/1"]).await;
    assert!(text.contains("(bytes_of_sandbox)"), "{text}");
    assert!(stage.door.traffic().received < 4 << 20, "{:?}", stage.door.traffic());
}

#[tokio::test]
async fn too_many_connections_wait_and_are_then_answered() {
    let stage = with_limits(&["registry.example:PLAIN"], |plot| {
        plot.limits.connections = 2;
        plot.limits.queue = Duration::from_millis(200);
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(TcpStream::connect(stage.address).await.unwrap());
    }
    let mut third = TcpStream::connect(stage.address).await.unwrap();
    let answer = read_some(&mut third).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("(connections)"), "{answer}");
    held.clear();
    let (text, _) = stage.curl(&["http://registry.example:PLAIN/bytes/1"]).await;
    assert_eq!(text, "x");
}

#[tokio::test]
async fn a_connection_that_is_only_kept_makes_room_for_one_that_waits() {
    let stage = with_limits(&["registry.example:PLAIN GET"], |plot| {
        plot.limits.connections = 1;
    })
    .await;
    let mut kept = TcpStream::connect(stage.address).await.unwrap();
    let connect = stage.ends.fill("CONNECT registry.example:PLAIN HTTP/1.1\r\n\r\n");
    kept.write_all(connect.as_bytes()).await.unwrap();
    assert!(read_some(&mut kept).await.starts_with("HTTP/1.1 200 "));
    kept.write_all(b"GET /bytes/1 HTTP/1.1\r\nHost: registry.example\r\n\r\n").await.unwrap();
    assert!(read_some(&mut kept).await.ends_with('x'));

    let (text, exit) = stage.curl(&["http://registry.example:PLAIN/bytes/2"]).await;
    assert_eq!((text.as_str(), exit), ("xx", 0));
    closes_or_resets(&mut kept).await;
}

#[tokio::test]
async fn closing_ends_what_is_open_and_tells_it() {
    let stage = Stage::with_rules(&["registry.example:PLAIN", "registry.example:PORT"]).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        let ask =
            "GET http://registry.example:PLAIN/never HTTP/1.1\r\nHost: registry.example\r\n\r\n";
        stream.write_all(stage.ends.fill(ask).as_bytes()).await.unwrap();
        streams.push(stream);
    }
    while stage.ends.plain.lines().len() < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let Stage { door, records, address, .. } = stage;
    let begun = Instant::now();
    door.close().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    {
        let records = records.0.lock().unwrap();
        assert_eq!(records.len(), 20);
        assert!(records.iter().all(|it| it.egress.reason.as_deref() == Some("closed")));
    }
    for mut stream in streams {
        closes_or_resets(&mut stream).await;
    }
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

async fn closes_or_resets(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(end.is_err() || rest.is_empty());
}

#[tokio::test]
async fn a_sandbox_that_is_made_anew_gets_its_door_again() {
    let stage = Stage::with_rules(&["registry.example:PLAIN"]).await;
    let mut before = TcpStream::connect(stage.address).await.unwrap();
    let sink = stage.door.sink();
    let again = listen(&stage.door);
    closes_or_resets(&mut before).await;
    assert!(TcpStream::connect(stage.address).await.is_err());
    let mut stream = TcpStream::connect(again).await.unwrap();
    let ask = stage.ends.fill(
        "GET http://registry.example:PLAIN/bytes/1 HTTP/1.1\r\nHost: registry.example\r\n\r\n",
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    assert!(read_some(&mut stream).await.ends_with("\r\n\r\nx"));

    // A sink that outlives its door closes what it is given.
    drop(stage);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    sink.listener(listener.into());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn who_reads_the_audit_learns_that_the_door_is_gone_while_a_sink_still_lives() {
    let (queue, mut records) = AuditQueue::new(8);
    let proxy = EgressProxy::new(EgressSettings::default());
    let door = proxy.open(Policy::default(), Arc::new(queue)).unwrap();
    let sink = door.sink();
    let mut stream = TcpStream::connect(listen(&door)).await.unwrap();
    stream.write_all(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(read_some(&mut stream).await.contains("(no_rule)"));
    door.close().await;
    let told = records.next().await.unwrap();
    assert_eq!(told[0].egress.host, "a.example:443");
    let end = tokio::time::timeout(PATIENCE, records.next()).await;
    assert_eq!(end.unwrap(), None);
    drop(sink);
}

/// What goes through the tunnel.
const TOTAL: u64 = 1 << 30;

/// Memory of this process that is not shared, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gigabyte_through_a_tunnel_takes_no_memory() {
    // TLS of the far end in an unoptimised build is slow: the tunnel carries what looks like a
    // hello and then anything, to a listener that does not mind.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let rule = format!("registry.example:{port}");
    let ends = Ends::start().await;
    let mut plot = Plot::rules(&[&rule], &ends);
    plot.private.push(format!("{rule}=127.0.0.1"));
    let stage = Stage::new(ends, plot).await;

    let mut client = TcpStream::connect(stage.address).await.unwrap();
    client.write_all(format!("CONNECT {rule} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let hello = crate::tunnels::hello(&stage, "registry.example");
    client.write_all(&hello).await.unwrap();
    let mut arrived = vec![0; hello.len()];
    far.read_exact(&mut arrived).await.unwrap();
    assert_eq!(arrived, hello);

    let before = resident();
    let piece = vec![7; 256 << 10];
    let send = tokio::spawn(async move {
        for _ in 0..TOTAL / piece.len() as u64 {
            far.write_all(&piece).await.unwrap();
        }
    });
    let mut buffer = vec![0; 256 << 10];
    let (mut got, mut most) = (0, 0);
    while got < TOTAL {
        got += client.read(&mut buffer).await.unwrap() as u64;
        most = most.max(resident());
    }
    send.await.unwrap();
    assert!(most < before + (4 << 20), "{} KiB more", (most - before) >> 10);
    drop(client);
    let record = {
        stage.told(1).await;
        stage.records.0.lock().unwrap()[0].clone()
    };
    assert!(record.egress.received >= TOTAL, "{record:?}");
}
