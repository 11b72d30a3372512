//! Rules with methods and paths, held by real requests of curl.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Stage, read_some};

#[tokio::test]
async fn methods_and_paths_are_held_over_tls_and_a_refusal_says_the_line() {
    let stage = Stage::with_rules(&["registry.example:PORT GET,HEAD /v1"]).await;
    let (text, exit) =
        stage.curl(&["-w", "%{http_code}", "https://registry.example:PORT/v1/a?q=1"]).await;
    assert_eq!((text.as_str(), exit), ("200", 0));
    for (arguments, line) in [
        (&["-d", "x", "https://registry.example:PORT/v1/a"][..], "POST /v1/a"),
        (&["-X", "DELETE", "https://registry.example:PORT/v1"], "DELETE /v1"),
        (&["https://registry.example:PORT/v2"], "GET /v2"),
        (&["https://registry.example:PORT/v1x"], "GET /v1x"),
    ] {
        let (text, exit) = stage.curl(arguments).await;
        let line = stage.ends.fill(&format!("\n    registry.example:PORT {line}\n"));
        assert!(exit == 0 && text.contains(&line), "{text}");
    }
    for path in ["/v1/../secret", "/v1/%2e%2e/secret", "/v1/..%2fsecret", "/v1/..;/secret"] {
        let url = format!("https://registry.example:PORT{path}");
        let (text, _) = stage.curl(&["--path-as-is", &url]).await;
        assert!(text.contains("(ambiguous_path)"), "{path}: {text}");
    }
    assert_eq!(stage.ends.tls.lines(), ["GET /v1/a?q=1"]);
    let told = stage.told(9).await;
    assert_eq!(
        told[0],
        "allowed registry.example:PORT GET /v1/a [registry.example:PORT GET,HEAD /v1]"
    );
    assert_eq!(
        told[1],
        "denied registry.example:PORT POST /v1/a [registry.example:PORT POST /v1/a] no_rule_for_request"
    );
}

#[tokio::test]
async fn every_request_of_a_connection_is_judged() {
    let stage = Stage::with_rules(&["registry.example:PORT GET"]).await;
    let (text, exit) = stage
        .curl(&[
            "-w",
            "%{num_connects}/%{http_code} ",
            "https://registry.example:PORT/a",
            "--next",
            "-sS",
            "-w",
            "%{num_connects}/%{http_code} ",
            "-o",
            "/dev/null",
            "-X",
            "PUT",
            "https://registry.example:PORT/b",
            "--next",
            "-sS",
            "-w",
            "%{num_connects}/%{http_code} ",
            "https://registry.example:PORT/c",
        ])
        .await;
    assert_eq!((text.as_str(), exit), ("1/200 0/403 0/200 ", 0));
    assert_eq!(stage.ends.tls.lines(), ["GET /a", "GET /c"]);
}

#[tokio::test]
async fn a_redirect_is_a_request_of_its_own() {
    let stage = Stage::with_rules(&["registry.example:PORT GET /redirect"]).await;
    let (text, exit) =
        stage.curl(&["-L", "https://registry.example:PORT/redirect?https://evil.example/"]).await;
    assert!(exit != 0 && text.contains("403"), "{text}");
    let (text, _) = stage
        .curl(&["-L", "https://registry.example:PORT/redirect?http://169.254.169.254/latest"])
        .await;
    assert!(text.contains("(address)"), "{text}");
    let (text, _) = stage.curl(&["-L", "https://registry.example:PORT/redirect?/other"]).await;
    assert!(text.contains("(no_rule_for_request)"), "{text}");
    assert_eq!(stage.ends.tls.lines().len(), 3);
}

#[tokio::test]
async fn nothing_says_another_method_or_host_behind_a_rules_back() {
    let stage =
        Stage::with_rules(&["registry.example:PORT GET", "registry.example:PLAIN GET"]).await;
    for (arguments, reason) in [
        (&["-H", "X-HTTP-Method-Override: DELETE"][..], "override"),
        (&["-H", "Host: other.example"], "host_mismatch"),
        (&["-H", "Upgrade: websocket", "-H", "Connection: Upgrade"], "upgrade"),
        (&["-H", "Host:"], "no_host"),
    ] {
        let mut all = vec!["https://registry.example:PORT/x"];
        all.extend(arguments);
        let (text, _) = stage.curl(&all).await;
        assert!(text.contains(&format!("({reason})")), "{reason}: {text}");
    }
    let (text, _) = stage
        .curl(&["--request-target", "https://other.example/x", "https://registry.example:PORT/x"])
        .await;
    assert!(text.contains("(absolute_form)"), "{text}");
    assert_eq!(stage.ends.tls.lines(), Vec::<String>::new());
    // An offer of HTTP/2 may be ignored, and is.
    let (text, exit) =
        stage.curl(&["--http2", "-w", "%{http_version}", "http://registry.example:PLAIN/x"]).await;
    assert_eq!((text.as_str(), exit), ("1.1", 0));
    assert!(stage.ends.plain.seen()[0].headers.get("upgrade").is_none());
}

#[tokio::test]
async fn a_message_with_two_lengths_is_one_message_to_the_host() {
    let stage = Stage::with_rules(&["registry.example:PLAIN"]).await;
    let smuggle = "POST http://registry.example:PLAIN/a HTTP/1.1\r\nHost: registry.example\r\n\
                   Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
                   0\r\n\r\nGET http://registry.example:PLAIN/smuggled HTTP/1.1\r\n\
                   Host: evil.example\r\n\r\n";
    let answer = stage.raw(stage.ends.fill(smuggle).as_bytes()).await;
    // What follows the message is a request of its own, and judged as one.
    assert!(answer.matches("HTTP/1.1 ").count() <= 2 && !answer.contains("smuggled"), "{answer}");
    assert_eq!(stage.ends.plain.lines(), ["POST /a"]);
    assert!(stage.ends.plain.seen()[0].body.is_empty());

    for framing in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: xchunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: +4",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    ] {
        let request = format!(
            "POST http://registry.example:PLAIN/b HTTP/1.1\r\nHost: registry.example\r\n{framing}\r\n\r\n0\r\n\r\n"
        );
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(stage.ends.fill(&request).as_bytes()).await.unwrap();
        let answer = read_some(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{framing}: {answer}");
    }
    assert_eq!(stage.ends.plain.lines().len(), 1);
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let huge =
        format!("GET http://registry.example/ HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(200_000));
    let _ = stream.write_all(huge.as_bytes()).await;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 431");
}
