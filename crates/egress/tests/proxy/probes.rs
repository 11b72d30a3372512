//! The nine probes of a way out: what must not answer with success, whatever it is asked.

use crate::stage::{Ends, Plot, Stage};

/// Allows one host, on the ports of the web and that of the far end.
async fn stage() -> Stage {
    let ends = Ends::start().await;
    let plot =
        Plot::rules(&["registry.example", "registry.example:PLAIN", "*.allowed.example"], &ends);
    let stage = Stage::new(ends, plot).await;
    stage.names.set("registry.example", &[&["127.0.0.1"]]);
    stage.names.set("localhost", &[&["127.0.0.1", "::1"]]);
    stage.names.set("metadata.allowed.example", &[&["169.254.169.254"]]);
    stage
}

#[tokio::test]
async fn none_of_the_nine_probes_gets_an_answer_of_success() {
    let stage = stage().await;
    let refused: &[(&str, &str, &str)] = &[
        (
            "domain",
            "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
            "403 no_rule",
        ),
        (
            "metadata",
            "GET http://169.254.169.254/latest/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
            "403 address",
        ),
        (
            "loopback",
            "CONNECT 127.0.0.1:PLAIN HTTP/1.1\r\nHost: 127.0.0.1:PLAIN\r\n\r\n",
            "403 address",
        ),
        ("localhost6", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "403 address"),
        (
            "decimal_ip",
            "GET http://2130706433/ HTTP/1.1\r\nHost: 2130706433\r\n\r\n",
            "403 address",
        ),
        (
            "port",
            "CONNECT registry.example:22 HTTP/1.1\r\nHost: registry.example:22\r\n\r\n",
            "403 no_rule",
        ),
        (
            "suffix",
            "CONNECT registry.example.evil.net:443 HTTP/1.1\r\nHost: registry.example.evil.net:443\r\n\r\n",
            "403 no_rule",
        ),
        ("nul", "CONNECT evil.example\0.registry.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        (
            "smuggled_host",
            "GET http://registry.example:PLAIN/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "400 host_mismatch",
        ),
    ];
    let more: &[(&str, &str, &str)] = &[
        ("no dot border", "CONNECT evilallowed.example:443 HTTP/1.1\r\n\r\n", "403 no_rule"),
        ("the domain itself", "CONNECT allowed.example:443 HTTP/1.1\r\n\r\n", "403 no_rule"),
        ("hex", "GET http://0x7f000001/ HTTP/1.1\r\nHost: 0x7f000001\r\n\r\n", "403 address"),
        ("octal", "GET http://0177.0.0.1/ HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n", "403 address"),
        ("short", "GET http://127.1/ HTTP/1.1\r\nHost: 127.1\r\n\r\n", "403 address"),
        (
            "mapped",
            "GET http://[::ffff:127.0.0.1]/ HTTP/1.1\r\nHost: [::ffff:127.0.0.1]\r\n\r\n",
            "403 address",
        ),
        (
            "user",
            "GET http://registry.example@evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "400 user",
        ),
        (
            "user of a tunnel",
            "CONNECT registry.example@evil.example:443 HTTP/1.1\r\n\r\n",
            "400 user",
        ),
        ("space", "CONNECT registry.example :443 HTTP/1.1\r\n\r\n", "400"),
        ("percent", "CONNECT registry%2eexample:443 HTTP/1.1\r\n\r\n", "400"),
        (
            "two hosts",
            "GET http://registry.example:PLAIN/ HTTP/1.1\r\nHost: registry.example\r\nHost: evil.example\r\n\r\n",
            "400 host_mismatch",
        ),
        (
            "tunnel to one, host of another",
            "CONNECT registry.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
            "400 host_mismatch",
        ),
        ("no port", "CONNECT registry.example HTTP/1.1\r\n\r\n", "400"),
        (
            "metadata by name",
            "CONNECT metadata.allowed.example:443 HTTP/1.1\r\n\r\n",
            "403 metadata_address",
        ),
        (
            "not for a proxy",
            "GET / HTTP/1.1\r\nHost: registry.example\r\n\r\n",
            "400 no_proxy_request",
        ),
        (
            "https in plain",
            "GET https://registry.example/ HTTP/1.1\r\nHost: registry.example\r\n\r\n",
            "400 https_without_tunnel",
        ),
        (
            "another scheme",
            "GET ftp://registry.example/ HTTP/1.1\r\nHost: registry.example\r\n\r\n",
            "400 scheme",
        ),
        ("no host", "GET http://registry.example:PLAIN/ HTTP/1.1\r\n\r\n", "400 no_host"),
        (
            "trace",
            "TRACE http://registry.example:PLAIN/ HTTP/1.1\r\nHost: registry.example\r\n\r\n",
            "403 method",
        ),
        ("garbage", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}", "400"),
    ];
    for (name, bytes, expected) in refused.iter().chain(more) {
        let answer = stage.raw(stage.ends.fill(bytes).as_bytes()).await;
        let status = answer.get(9..12).unwrap_or_default();
        let marker = answer.lines().find_map(|line| line.strip_prefix("x-quire-denied: "));
        let found = format!("{status} {}", marker.unwrap_or_default());
        assert!(found.starts_with(expected), "{name}: {answer}");
    }
    assert_eq!(stage.ends.plain.lines(), Vec::<String>::new());
    let asked = stage.names.asked.lock().unwrap().clone();
    assert_eq!(asked, ["metadata.allowed.example"], "names that no rule covers are not resolved");
}

#[tokio::test]
async fn what_is_allowed_goes_through() {
    let stage = stage().await;
    let request =
        "GET http://registry.example:PLAIN/a?b=c HTTP/1.1\r\nHost: registry.example:PLAIN\r\n\r\n";
    let answer = stage.raw(stage.ends.fill(request).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(stage.ends.plain.lines(), ["GET /a?b=c"]);
    let expected = "allowed registry.example:PLAIN GET /a [registry.example:PLAIN]";
    assert_eq!(stage.told(1).await, [expected]);
}

#[tokio::test]
async fn a_refusal_says_the_line_that_would_allow_it_and_is_summed_up() {
    let stage = stage().await;
    for _ in 0..2 {
        let answer = stage.raw(b"CONNECT evil.example:8443 HTTP/1.1\r\n\r\n").await;
        assert!(
            answer.contains("the network rules of the environment:\n\n    evil.example:8443\n"),
            "{answer}"
        );
    }
    stage.told(2).await;
    let denied = stage.door.denied();
    assert_eq!(denied.len(), 1);
    assert_eq!((denied[0].host.as_str(), denied[0].times), ("evil.example:8443", 2));
    assert_eq!(denied[0].line.as_deref(), Some("evil.example:8443"));
    assert_eq!(stage.door.traffic().denied, 2);
}
