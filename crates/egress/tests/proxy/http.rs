//! HTTP as it has to survive being carried: bodies, lengths, continues, trailers.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::stage::{Ends, Plot, Stage, read_some};

const BOTH: &[&str] = &["registry.example:PORT GET,HEAD,POST,PUT", "registry.example:PLAIN"];

#[tokio::test]
async fn bodies_arrive_whole_both_ways_however_they_are_framed() {
    let stage = Stage::with_rules(BOTH).await;
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    std::fs::write(stage.file("big"), &big).unwrap();
    let at_big = format!("@{}", stage.file("big").display());
    let got = stage.file("got");
    let got = got.to_str().unwrap();
    for base in ["https://registry.example:PORT", "http://registry.example:PLAIN"] {
        for framing in ["Content-Type: x", "Transfer-Encoding: chunked", "Expect: 100-continue"] {
            let url = format!("{base}/echo");
            let (text, exit) =
                stage.curl(&["-H", framing, "--data-binary", &at_big, "-o", got, &url]).await;
            assert_eq!((text.as_str(), exit), ("", 0), "{base} {framing}");
            assert!(std::fs::read(got).unwrap() == big, "{base} {framing}");
        }
    }
    let told = stage.told(6).await;
    assert_eq!(told.len(), 6, "{told:?}");
    for record in stage.records.0.lock().unwrap().iter() {
        assert!((3_000_000..3_010_000).contains(&record.egress.sent), "{record:?}");
        assert!((3_000_000..3_010_000).contains(&record.egress.received), "{record:?}");
    }
}

#[tokio::test]
async fn answers_without_a_body_keep_what_they_say_about_it() {
    let stage = Stage::with_rules(BOTH).await;
    for base in ["https://registry.example:PORT", "http://registry.example:PLAIN"] {
        let head = stage.curl(&["-I", &format!("{base}/bytes/12345")]).await;
        assert!(head.0.contains("content-length: 12345\r\n"), "{head:?}");
        // The connection is whole behind each of them.
        let (text, exit) = stage
            .curl(&[
                "-w",
                "%{http_code}/%{num_connects} ",
                &format!("{base}/no-content"),
                "--next",
                "-sS",
                "-w",
                "%{http_code}/%{num_connects} ",
                &format!("{base}/not-modified"),
                "--next",
                "-sS",
                "-w",
                "%{http_code}/%{num_connects} ",
                &format!("{base}/bytes/3"),
            ])
            .await;
        assert_eq!((text.as_str(), exit), ("204/1 304/0 xxx200/0 ", 0));
    }
}

#[tokio::test]
async fn trailers_arrive_and_an_old_client_is_answered_in_its_way() {
    let stage = Stage::with_rules(BOTH).await;
    let ask = "GET http://registry.example:PLAIN/trailers HTTP/1.1\r\nHost: registry.example\r\nTE: trailers\r\n\r\n";
    let answer = stage.raw(stage.ends.fill(ask).as_bytes()).await;
    assert!(answer.contains("body") && answer.contains("x-sum: 42\r\n"), "{answer}");
    let (text, exit) =
        stage.curl(&["--http1.0", "-d", "old", "http://registry.example:PLAIN/echo"]).await;
    assert_eq!((text.as_str(), exit), ("old", 0));
}

#[tokio::test]
async fn a_refused_upload_is_answered_before_it_is_sent() {
    let stage = Stage::with_rules(&["registry.example:PLAIN GET"]).await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let ask = "POST http://registry.example:PLAIN/ HTTP/1.1\r\nHost: registry.example\r\n\
               Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(stage.ends.fill(ask).as_bytes()).await.unwrap();
    let answer = read_some(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn a_host_with_a_wrong_certificate_is_told_as_that() {
    // The same server under a name that its certificate does not have.
    let ends = Ends::start().await;
    let mut plot = Plot::rules(&["wrong.example:PORT GET"], &ends);
    plot.private.push(ends.fill("wrong.example:PORT=127.0.0.1"));
    let stage = Stage::new(ends, plot).await;
    let (text, exit) = stage.curl(&["https://wrong.example:PORT/"]).await;
    assert!(exit == 0 && text.contains("(upstream_tls)"), "{text}");
    let told = stage.told(1).await;
    assert!(told[0].starts_with("allowed ") && told[0].ends_with("upstream_tls"), "{told:?}");
}
