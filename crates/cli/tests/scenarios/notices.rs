//! People are told of what tasks do: by webhooks and by e-mail, whatever befalls the receiver or the
//! server meanwhile, and without secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quire_testkit::{Started, Turn};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::receivers::{Encryption, Mailbox, Receiver, Request, until};
use crate::scene::Scene;

/// A secret of the environment, in a step of the plan that people are told of.
const CANARY: &str = "canary-5f1c77e0b2";

/// A password of the mail server.
const PASSWORD: &str = "mail-pass-8d41";

/// A task that plans, asks, changes a line and is checked.
fn scene() -> Scene {
    let step = |status: &str| json!({ "step": format!("Count with {CANARY}"), "status": status });
    let next = json!({ "step": "Write it down", "status": "pending" });
    let plan = |status| Turn::call("update_plan", json!({ "plan": [step(status), next] }));
    let mut turns = vec![plan("in_progress"), plan("completed"), plan("completed")];
    turns.push(Turn::call("ask_user", json!({ "question": "Shall I?" })));
    turns.push(Turn::shell("echo '- Line' >> README.md && git commit -qam Line"));
    turns.extend(std::iter::repeat_n(Turn::say("Done 【F:README.md†L1】. No tests were run."), 3));
    let scene = Scene::where_model_says(turns);
    let recipe =
        "name = \"web\"\nsecrets = [\"TOKEN\"]\n[[checks]]\nname = \"holds\"\ncommand = \"true\"\n";
    scene.repository.write(".quire/environment.toml", recipe);
    scene.call(["env", "secret", "set", "TOKEN"]).stdin(CANARY).run().expect_code(0);
    scene
}

fn settings(scene: &Scene, more: &str) {
    let dir = scene.stage.home().join(".config/quire");
    std::fs::create_dir_all(&dir).unwrap();
    let settings = format!(
        "[notices]\nprivate_hosts = [\"127.0.0.1\"]\nbase_url = \"https://quire.example/\"\n{more}"
    );
    std::fs::write(dir.join("config.toml"), settings).unwrap();
}

fn serve(scene: &Scene, certificates: Option<&str>) -> Started {
    let mut call = scene.call(["serve", "--listen", "0"]);
    if let Some(file) = certificates {
        call = call.env("SSL_CERT_FILE", file);
    }
    let mut server = call.start();
    server.until_it_says("attempts at once");
    server
}

/// Has somebody told; gives the id and the secret.
fn add(scene: &Scene, target: &str, of: &str) -> (String, String) {
    let made = scene.quire(["notice", "add", target, "--of", of, "--json"]).expect_code(0);
    let text = |name: &str| made.json()[0][name].as_str().unwrap_or_default().to_owned();
    (text("id"), text("secret"))
}

/// What was sent to somebody.
fn log(scene: &Scene, id: &str) -> Vec<Value> {
    scene.quire(["notice", "log", id, "--json"]).expect_code(0).json()
}

/// A task that comes to its question, is answered, and ends.
fn work(scene: &Scene, number: &str) {
    scene.quire(["task", "new", "--questions", "Write a line."]).expect_code(0);
    let waits = || (scene.show(number)["state"]["state"] == "waiting_for_user").then_some(());
    until(waits).unwrap_or_else(|| panic!("{}", scene.show(number)));
    scene.quire(["task", "answer", number, "Yes."]).expect_code(0);
}

fn until_ended(scene: &Scene, number: &str) {
    let ended = || (scene.show(number)["state"]["state"] == "done").then_some(());
    until(ended).unwrap_or_else(|| panic!("{}", scene.show(number)));
}

/// Signed with this secret, as Standard Webhooks has it.
fn is_signed(request: &Request, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let id = request.header("webhook-id").parse().unwrap();
    let at = request.header("webhook-timestamp").parse().unwrap();
    let signature = quire_server::deliver::signature(&key, id, at, request.body.as_bytes());
    request.header("webhook-signature") == signature
}

fn kinds(requests: &[Request]) -> Vec<String> {
    requests.iter().map(Request::about).collect()
}

#[test]
fn receivers_are_told_in_signed_words_and_those_that_fail_move_or_are_gone_are_treated_so() {
    let failed = AtomicUsize::new(0);
    let receiver = Receiver::new(move |request| {
        let answer = match &*request.path {
            "/flaky" if failed.fetch_add(1, Ordering::SeqCst) == 0 => "500 Oh",
            "/moved" => "302 Elsewhere\r\nLocation: /elsewhere",
            "/gone" => "410 Gone",
            _ => "204 Well",
        };
        Some(answer.to_owned())
    });
    let scene = scene();
    settings(&scene, "");
    let server = serve(&scene, None);
    let all = "needs-you,ended,progress";
    let (told, secret) = add(&scene, &receiver.url("/all"), all);
    let (flaky, _) = add(&scene, &receiver.url("/flaky"), "ended");
    let (moved, _) = add(&scene, &receiver.url("/moved"), "ended");
    let (gone, _) = add(&scene, &receiver.url("/gone"), "progress,ended");

    work(&scene, "1");
    let mut news = receiver.until("/all", |came| came.len() == 4);
    // What is due at once is sent side by side.
    news.sort_by_key(|one| one.json()["timestamp"].as_u64());
    assert_eq!(
        kinds(&news),
        ["task.progress", "task.needs_you", "task.progress", "task.ended"],
        "{news:#?}"
    );
    assert!(news.iter().all(|one| is_signed(one, &secret)), "{news:#?}");
    let said = |at: usize| news[at].json()["data"].clone();
    let step = said(0)["detail"].as_str().unwrap().to_owned();
    assert!(step.starts_with("1 of 2 steps are done: Count with "), "{step}");
    assert_eq!(said(1)["state"], "waiting for you");
    assert_eq!(said(2)["detail"], "the checks began");
    assert_eq!(
        (&said(3)["state"], &said(3)["url"]),
        (&json!("changed"), &json!("https://quire.example/tasks/1"))
    );
    assert!(!format!("{news:?}").contains(CANARY), "{news:#?}");

    // Who is gone is told no more.
    assert_eq!(receiver.to("/gone").len(), 1);
    let left = scene.quire(["notice", "list", "--json"]).expect_code(0);
    assert!(!left.stdout.contains(&gone) && left.stdout.contains(&told), "{}", left.stdout);

    let twice = receiver.until("/flaky", |came| came.len() == 2);
    assert_eq!(twice[0].header("webhook-id"), twice[1].header("webhook-id"));
    assert_eq!(twice[0].body, twice[1].body);
    until(|| (log(&scene, &flaky)[0]["state"] == "delivered").then_some(())).unwrap();
    assert_eq!(receiver.to("/elsewhere").len(), 0, "nobody is led elsewhere");
    let waiting = &log(&scene, &moved)[0];
    assert_eq!((&waiting["state"], &waiting["status"]), (&json!("waiting"), &json!(302)));

    // A test says how it went; a secret made anew signs what comes after.
    let tested = scene.quire(["notice", "test", &told]).expect_code(0);
    assert!(tested.stderr.contains("it was taken (204)"), "{}", tested.stderr);
    let failed = scene.quire(["notice", "test", &moved]).expect_code(1);
    assert!(failed.stderr.contains("302"), "{}", failed.stderr);
    let anew = scene.quire(["notice", "rotate", &told]).expect_code(0).stdout;
    scene.quire(["notice", "test", &told]).expect_code(0);
    let last = receiver.to("/all").pop().unwrap();
    assert_eq!(last.about(), "notice.test");
    assert!(is_signed(&last, anew.trim()) && !is_signed(&last, &secret), "{last:?}");
    let said = server.said();
    assert!(![CANARY, anew.trim(), &secret].iter().any(|word| said.contains(word)), "{said}");
}

#[test]
fn what_a_receiver_did_not_acknowledge_comes_again_after_the_server_was_killed() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    // While it is down it reads everything and dies before it answers: the worst of both.
    let receiver =
        Receiver::new(move |_| is_up.load(Ordering::SeqCst).then(|| "200 Well".to_owned()));
    let scene = scene();
    settings(&scene, "");
    let server = serve(&scene, None);
    let (id, _) = add(&scene, &receiver.url("/"), "needs-you,ended,progress");
    work(&scene, "1");
    receiver.until("/", |came| {
        kinds(came).iter().collect::<BTreeSet<_>>().len() == 3 && came.len() == 4
    });
    server.kill();
    let before = receiver.to("/");
    up.store(true, Ordering::SeqCst);

    let _next = serve(&scene, None);
    let all_taken = || {
        let log = log(&scene, &id);
        (log.iter().all(|one| one["state"] == "delivered")).then_some(log)
    };
    let taken = until(all_taken).unwrap_or_else(|| panic!("{:#?}", log(&scene, &id)));

    let mut bodies = BTreeMap::<String, BTreeSet<String>>::new();
    let came = receiver.to("/");
    for request in &came {
        let of_id = bodies.entry(request.header("webhook-id").to_owned()).or_default();
        of_id.insert(request.body.clone());
    }
    let ids: BTreeSet<&str> = taken.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(bodies.keys().map(String::as_str).collect::<BTreeSet<_>>(), ids);
    assert_eq!(ids.len(), 4, "{came:#?}");
    assert!(bodies.values().all(|bodies| bodies.len() == 1), "{came:#?}");
    assert!(came.len() >= before.len() + 4, "each came again");
}

/// A certificate for loopback that vouches for itself, written to a file, and what serves it.
fn certificate(scene: &Scene) -> (String, Arc<ServerConfig>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let signed = params.self_signed(&key).unwrap();
    let file = scene.stage.path().join("mail.pem");
    let body = STANDARD.encode(signed.der());
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
    let pem =
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    std::fs::write(&file, pem).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(signed.der().to_vec())], key)
        .unwrap();
    (file.to_str().unwrap().to_owned(), Arc::new(config))
}

#[test]
fn mail_goes_out_over_smtp_and_where_it_has_to_be_encrypted_never_without() {
    let scene = scene();
    let (file, config) = certificate(&scene);
    let encrypts = Mailbox::new(Encryption::Starts(config));
    let plain = Mailbox::new(Encryption::None);
    let required = |port: u16| {
        format!(
            "mail_server = \"smtp://quire:{PASSWORD}@localhost:{port}?tls=required\"\n\
             mail_from = \"Quire <quire@example.com>\"\n"
        )
    };
    settings(&scene, &required(plain.port));
    let (id, secret) = add(&scene, "sam@example.com", "needs-you,ended,progress");
    assert_eq!(secret, "");
    scene.quire(["notice", "rotate", &id]).expect_code(2);
    let fails = |certificates: Option<&str>, why: &str| {
        let server = serve(&scene, certificates);
        let refused = scene.quire(["notice", "test", &id]).expect_code(1);
        assert!(refused.stderr.to_lowercase().contains(why), "{}", refused.stderr);
        assert!(!refused.stderr.contains(PASSWORD) && !server.said().contains(PASSWORD));
        server.signal("TERM");
        server.end(crate::receivers::PATIENCE);
    };
    // A server that cannot encrypt gets neither password nor mail.
    fails(None, "starttls");
    let said = plain.said();
    assert!(said.iter().all(|said| said.starts_with("EHLO") || said == "QUIT"), "{said:?}");
    // Nor one whose certificate nobody vouches for.
    settings(&scene, &required(encrypts.port));
    fails(None, "certificate");
    assert!(!encrypts.said().iter().any(|said| said.starts_with("AUTH")), "{:?}", encrypts.said());

    let server = serve(&scene, Some(&file));
    scene.quire(["notice", "test", &id]).expect_code(0);
    let mail = encrypts.mails(1).remove(0);
    assert!(mail.contains("Subject: [quire] A test"), "{mail}");
    assert!(encrypts.said().iter().any(|said| said.starts_with("AUTH")), "{:?}", encrypts.said());
    server.kill();

    settings(
        &scene,
        &format!(
            "mail_server = \"smtp://127.0.0.1:{}\"\nmail_from = \"quire@example.com\"\n",
            plain.port
        ),
    );
    let server = serve(&scene, None);
    work(&scene, "1");
    until_ended(&scene, "1");
    let mails = plain.mails(4);
    let subjects: Vec<&str> = mails
        .iter()
        .map(|mail| mail.lines().find(|line| line.starts_with("Subject:")).unwrap())
        .collect();
    let has = |words: &str| subjects.iter().any(|subject| subject.contains(words));
    assert!(
        has("goes on") && has("needs you (waiting for you)") && has("ended: changed"),
        "{subjects:?}"
    );
    assert!(mails.iter().any(|mail| mail.contains("https://quire.example/tasks/1")), "{mails:#?}");
    let words = format!("{mails:?}{}", server.said());
    assert!(!words.contains(CANARY) && !words.contains(PASSWORD), "{words}");
}
