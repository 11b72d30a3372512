//! Credentials: added outside, found nowhere inside.

use quire_domain::secret::Secret;
use quire_egress::Credential;

use crate::stage::{Ends, Plot, Stage};

const CANARY: &str = "canary-7f3a91c2d4";

async fn stage(rule: &str, private: bool) -> Stage {
    let ends = Ends::start().await;
    let mut plot = Plot::rules(&["other.example:PORT"], &ends);
    let value = Secret::new(format!("Bearer {CANARY}"));
    plot.credentials.push(Credential::new(ends.rule(rule), "Authorization", &value).unwrap());
    if !private {
        plot.private.clear();
    }
    Stage::new(ends, plot).await
}

#[tokio::test]
async fn a_credential_replaces_what_the_request_brings_and_comes_back_nowhere() {
    let stage = stage("registry.example:PORT GET /npm", true).await;
    let (text, exit) = stage
        .curl(&[
            "-v",
            "-H",
            "Authorization: Bearer own",
            "-H",
            "Connection: authorization",
            "https://registry.example:PORT/npm/echo?q",
            "--next",
            "-sS",
            "-v",
            "https://registry.example:PORT/npm/../echo-header",
        ])
        .await;
    assert_eq!(exit, 0);
    let seen = stage.ends.tls.seen();
    let values: Vec<_> = seen[0].headers.get_all("authorization").iter().collect();
    assert_eq!(values, [&format!("Bearer {CANARY}")]);
    assert!(!text.contains(CANARY), "{text}");
    // Neither method nor path of the rule: refused, not sent without.
    let (text, _) = stage.curl(&["-d", "x", "https://registry.example:PORT/npm/x"]).await;
    assert!(text.contains("(no_rule)"), "{text}");

    let everything = format!(
        "{:?} {:?} {:?}",
        stage.records.0.lock().unwrap(),
        stage.door.denied(),
        stage.variables()
    );
    assert!(!everything.contains(CANARY), "{everything}");
}

#[tokio::test]
async fn a_host_that_sends_the_credential_back_in_a_header_is_cleaned() {
    let stage = stage("registry.example:PORT GET", true).await;
    let (text, exit) = stage.curl(&["-i", "https://registry.example:PORT/echo-header"]).await;
    assert_eq!(exit, 0);
    assert!(text.contains("x-echo: ***\r\n") && text.contains("location: /next?***\r\n"), "{text}");
    // What a program learned otherwise does not reach the record either.
    stage.curl(&[&format!("https://registry.example:PORT/{CANARY}/x")]).await;
    let told = stage.told(2).await;
    assert!(told[1].contains(" /***/x "), "{told:?}");
}

#[tokio::test]
async fn a_credential_goes_in_plain_to_listed_hosts_alone() {
    let listed = stage("registry.example:PLAIN", true).await;
    let (_, exit) = listed.curl(&["http://registry.example:PLAIN/x"]).await;
    assert_eq!(exit, 0);
    let seen = listed.ends.plain.seen();
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {CANARY}"));

    let public = stage("registry.example:PLAIN", false).await;
    public.names.set("registry.example", &[&["203.0.113.7"]]);
    let (text, _) = public.curl(&["http://registry.example:PLAIN/x"]).await;
    assert!(text.contains("(credential_needs_tls)"), "{text}");
}
