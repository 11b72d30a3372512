//! A worker that has to go through a proxy of its own.

use quire_domain::network::NetworkPolicy;
use quire_egress::{Door, EgressProxy, EgressSettings, Parent, Policy, PrivateHost, Roots};
use std::sync::Arc;

use crate::stage::{Ends, Plot, Records, Stage, listen};

/// A real proxy in between: another door that allows everything.
fn company_proxy(ends: &Ends) -> (Door, Arc<Records>, u16) {
    let private: Vec<PrivateHost> =
        ["registry.example:PORT=127.0.0.1", "registry.example:PLAIN=127.0.0.1"]
            .iter()
            .map(|text| ends.fill(text).parse().unwrap())
            .collect();
    let settings = EgressSettings { roots: Roots::none(), private, ..EgressSettings::default() };
    let records: Arc<Records> = Arc::default();
    let policy = Policy { network: NetworkPolicy::On, ..Policy::default() };
    let door = EgressProxy::new(settings).open(policy, records.clone()).unwrap();
    let port = listen(&door).port();
    (door, records, port)
}

#[tokio::test]
async fn tunnels_requests_and_ended_tls_go_through_the_worker_s_own_proxy() {
    let ends = Ends::start().await;
    let (_company, records, port) = company_proxy(&ends);
    let mut plot = Plot::rules(
        &["registry.example:PORT GET", "registry.example:PLAIN", "refused.example"],
        &ends,
    );
    // Nothing is listed here, and the name does not resolve here either.
    plot.private.clear();
    let address = format!("http://user:pass@127.0.0.1:{port}");
    plot.parent = Some(Parent::parse(&address, "localhost").unwrap());
    let stage = Stage::new(ends, plot).await;

    let (text, exit) = stage.curl(&["https://registry.example:PORT/bytes/3"]).await;
    assert_eq!((text.as_str(), exit), ("xxx", 0));
    let (text, exit) = stage.curl(&["http://registry.example:PLAIN/bytes/2"]).await;
    assert_eq!((text.as_str(), exit), ("xx", 0));
    let seen = stage.ends.plain.seen();
    assert_eq!(seen[0].line, "GET /bytes/2");
    assert!(seen[0].headers.get("proxy-authorization").is_none());
    let (text, exit) = stage.curl(&["https://refused.example/"]).await;
    assert!(exit != 0 && text.contains("502"), "{text}");
    stage.told(3).await;
    let through: Vec<String> =
        records.0.lock().unwrap().iter().map(|record| record.egress.host.clone()).collect();
    assert!(through.len() >= 2, "{through:?}");
}

#[tokio::test]
async fn a_name_that_resolves_to_an_address_inside_is_refused_before_the_proxy_is_asked() {
    let ends = Ends::start().await;
    let (_company, records, port) = company_proxy(&ends);
    let rules = ["inside.example", "metadata.google.internal", "printer"];
    let mut plot = Plot::rules(&rules, &ends);
    plot.parent = Some(Parent::parse(&format!("http://127.0.0.1:{port}"), "").unwrap());
    let stage = Stage::new(ends, plot).await;
    stage.names.set("inside.example", &[&["10.0.0.1"]]);
    for host in ["metadata.google.internal", "printer"] {
        let ask = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = stage.raw(ask.as_bytes()).await;
        assert!(answer.contains("private_name"), "{answer}");
    }
    let answer = stage.raw(b"CONNECT inside.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("private_address"), "{answer}");
    assert!(records.0.lock().unwrap().is_empty());
}
