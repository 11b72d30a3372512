//! Names: resolved once, every address checked, the checked one connected.

use quire_domain::network::NetworkPolicy;

use crate::stage::{Ends, Plot, Stage};

/// Everything public is allowed, and nothing is listed as private.
async fn stage() -> Stage {
    let ends = Ends::start().await;
    let mut plot = Plot::of(NetworkPolicy::On, &ends);
    plot.private.clear();
    Stage::new(ends, plot).await
}

async fn ask(stage: &Stage, host: &str) -> String {
    let ask = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n");
    let answer = stage.raw(ask.as_bytes()).await;
    let reason = answer.lines().find_map(|line| line.strip_prefix("x-quire-"));
    reason.unwrap_or(&answer).to_owned()
}

#[tokio::test]
async fn a_name_that_answers_with_an_address_inside_is_refused() {
    let stage = stage().await;
    for (address, reason) in [
        ("127.0.0.1", "denied: private_address"),
        ("10.1.2.3", "denied: private_address"),
        ("169.254.169.254", "denied: metadata_address"),
        ("fd00:ec2::254", "denied: metadata_address"),
        ("::ffff:192.168.0.1", "denied: private_address"),
        ("64:ff9b::a00:1", "denied: private_address"),
        ("2002:7f00:1::", "denied: private_address"),
        ("fe80::1", "denied: private_address"),
    ] {
        stage.names.set("inside.example", &[&[address]]);
        assert_eq!(ask(&stage, "inside.example").await, reason, "{address}");
    }
    // One address inside spoils a name that has public ones too.
    stage.names.set("mixed.example", &[&["203.0.113.7", "10.0.0.1"]]);
    assert_eq!(ask(&stage, "mixed.example").await, "denied: private_address");
    assert_eq!(ask(&stage, "localhost").await, "failed: unresolved");
    assert_eq!(ask(&stage, "nowhere.example").await, "failed: unresolved");
}

#[tokio::test]
async fn a_name_that_changes_its_answer_is_not_asked_again_on_the_way() {
    let ends = Ends::start().await;
    let mut plot = Plot::rules(&["registry.example:PORT GET"], &ends);
    // Listed without an address, so that it is resolved.
    plot.private = vec![ends.fill("registry.example:PORT")];
    let stage = Stage::new(ends, plot).await;
    // The second answer is an address where nobody listens.
    stage.names.set("registry.example", &[&["127.0.0.1"], &["127.0.0.9"]]);
    let (text, exit) = stage
        .curl(&[
            "-w",
            "%{http_code} ",
            "https://registry.example:PORT/a",
            "--next",
            "-sS",
            "-w",
            "%{http_code} ",
            "https://registry.example:PORT/b",
        ])
        .await;
    assert_eq!((text.as_str(), exit), ("200 200 ", 0));
    assert_eq!(*stage.names.asked.lock().unwrap(), ["registry.example"]);
}

#[tokio::test]
async fn a_metadata_address_stays_refused_also_where_it_is_listed() {
    let ends = Ends::start().await;
    let mut plot = Plot::of(NetworkPolicy::On, &ends);
    plot.private =
        vec!["meta.example:443".to_owned(), "pinned.example:443=169.254.169.254".to_owned()];
    let stage = Stage::new(ends, plot).await;
    stage.names.set("meta.example", &[&["169.254.169.254"]]);
    assert_eq!(ask(&stage, "meta.example").await, "denied: metadata_address");
    assert_eq!(ask(&stage, "pinned.example").await, "denied: metadata_address");
}
