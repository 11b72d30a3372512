//! Quotas, the installation's policy, a second model: what the gateway lets through, and when.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use quire_testkit::{Ended, Fault, Turn};
use serde_json::Value;

use crate::scene::{Scene, outcome};

/// Writes the person's own configuration.
fn configure(scene: &Scene, text: &str) {
    let dir = scene.stage.home().join(".config/quire");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), text).unwrap();
}

/// A provider of this id at an address, whose one model `plain` costs a dollar per million tokens.
fn provider(scene: &Scene, id: &str, url: &str) {
    let models = scene.stage.home().join(".config/quire/models");
    std::fs::create_dir_all(&models).unwrap();
    let provider = serde_json::json!({
        "id": id, "title": id, "dialect": "responses", "base_url": url,
        "key_optional": true, "default_model": "plain",
        "models": [{
            "name": "plain", "window_tokens": 200_000, "max_output_tokens": 8_000,
            "price": {
                "input": 1.0, "cached_input": 1.0, "output": 1.0,
                "as_of": "2026-11-24", "source": "a test",
            },
        }],
    });
    std::fs::write(models.join(format!("{id}.json")), provider.to_string()).unwrap();
}

fn policy(scene: &Scene, script: &str) {
    let file = scene.stage.home().join("policy");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = file.display();
    configure(scene, &format!("[policy]\ncommand = [\"{file}\"]\ntimeout_seconds = 1\n"));
}

fn ask(scene: &Scene, words: &str) -> Ended {
    scene.quire(["ask", words, "--json"])
}

fn suspended(ended: &Ended) -> Value {
    let bodies = ended.bodies("suspended");
    bodies.last().unwrap_or_else(|| panic!("it did not stand still: {}", ended.stderr)).clone()
}

fn two_turns() -> [Turn; 2] {
    [Turn::shell("git ls-files"), Turn::say("Nothing to do; no tests were run.")]
}

#[test]
fn a_quota_of_the_month_holds_a_run_until_it_is_raised_and_usage_is_listed() {
    let scene = Scene::where_model_says(two_turns());
    provider(&scene, "acme", &scene.stage.model_url().unwrap());
    scene.quire(["quota", "set", "--server", "--month-tokens", "1"]).expect_code(0);

    let held = scene.quire(["ask", "Why?", "--model", "acme/plain", "--json"]).expect_code(5);

    let stands = suspended(&held);
    assert_eq!(stands["reason"]["why"], "quota");
    let detail = stands["detail"].as_str().unwrap();
    assert!(detail.contains("the server's quota of 1 tokens"), "{detail}");
    assert!(detail.contains("can go on on"), "{detail}");
    assert!(stands["until"].as_u64().is_some());
    assert_eq!(held.bodies("model_requested").len(), 1, "nothing is asked that is not allowed");
    let used: Value = scene.quire(["usage", "--by", "model", "--json"]).json()[0].clone();
    assert_eq!((&used["model"], &used["calls"]), (&"acme/plain".into(), &1.into()));
    assert!(used["micro_dollars"].as_u64().unwrap() > 0);

    scene.quire(["quota", "set", "--server", "--month-tokens", "none"]).expect_code(0);
    scene.quire(["task", "resume", "1"]).expect_code(0);

    let used: Value = scene.quire(["usage", "--by", "person", "--json"]).json()[0].clone();
    assert_eq!((&used["person"], &used["calls"]), (&"local".into(), &2.into()));
    let csv = scene.quire(["usage", "--by", "day", "--csv"]).expect_code(0).stdout;
    assert!(csv.starts_with("day,calls,input_tokens,"), "{csv}");
    assert_eq!(csv.lines().count(), 2, "{csv}");
}

#[test]
fn on_a_server_what_a_quota_holds_goes_on_by_itself_when_it_is_raised() {
    let scene = Scene::where_model_says(two_turns());
    provider(&scene, "acme", &scene.stage.model_url().unwrap());
    scene.quire(["quota", "set", "--user", "local", "--month-dollars", "0.000001"]).expect_code(0);
    let mut server = scene.call(["serve"]).start();
    server.until_it_says("quire serves");
    let new = ["task", "new", "--json", "--model", "acme/plain", "Say why."];
    scene.quire(new).expect_code(0);
    let until = |state: &str| {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let list = scene.quire(["task", "list", "--json"]).json();
            if list[0]["state"]["state"] == state {
                return list[0]["state"].clone();
            }
            assert!(Instant::now() < deadline, "not {state}: {list:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    assert_eq!(until("suspended")["reason"]["why"], "quota");

    scene.quire(["quota", "set", "--user", "local", "--month-dollars", "5"]).expect_code(0);

    assert_eq!(until("done")["outcome"]["outcome"], "no_change");
    server.signal("TERM");
    server.end(Duration::from_secs(30));
}

#[test]
fn a_policy_refuses_in_words_of_its_own_and_lets_other_work_through() {
    let scene = Scene::where_model_says([Turn::say("It cuts a title into words.")]);
    policy(
        &scene,
        "if grep -q ransomware; then echo '{\"decision\": \"refuse\", \"words\": \"Not here.\"}'\n\
         else echo '{\"decision\": \"allow\"}'; fi",
    );
    let refused = ask(&scene, "Write ransomware.").expect_code(4);
    assert_eq!(outcome(&refused), "refused");
    assert_eq!(refused.bodies("finished")[0]["outcome"]["words"], "Not here.");
    assert_eq!(refused.bodies("model_replied").len(), 0);
    assert_eq!(outcome(&ask(&scene, "What does this do?").expect_code(0)), "answered");
}

#[test]
fn a_policy_that_gives_no_answer_lets_nothing_through() {
    let scene = Scene::where_model_says([Turn::say("It cuts a title into words.")]);
    for (script, why) in [
        ("echo allow", "no answer"),
        ("echo '{\"decision\": \"maybe\"}'", "no answer"),
        ("echo it is broken >&2; exit 3", "it is broken"),
        ("sleep 60", "longer than 1 s"),
        ("kill -9 $$", "signal"),
    ] {
        policy(&scene, script);
        let held = ask(&scene, "What does this do?").expect_code(5);
        let detail = suspended(&held)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why), "{script}: {detail}");
        assert_eq!(held.bodies("model_replied").len(), 0, "{script}");
    }
    policy(&scene, "echo '{\"decision\": \"allow\"}'");
    scene.quire(["task", "resume", "1"]).expect_code(0);
}

#[test]
fn a_second_model_answers_where_the_first_does_not_and_the_record_says_so() {
    let scene = Scene::where_model_says(two_turns());
    provider(&scene, "acme", "http://127.0.0.1:1/v1");
    provider(&scene, "other", &scene.stage.model_url().unwrap());
    configure(&scene, "[models]\nfallback = \"other/plain\"\n");
    let asked = scene.quire(["ask", "Why?", "--model", "acme/plain", "--json"]).expect_code(0);
    let replied = asked.bodies("model_replied");
    assert_eq!(replied.len(), 2);
    for reply in replied {
        assert_eq!(reply["stand_in"]["model"], "other/plain");
        assert!(reply["stand_in"]["why"].as_str().unwrap().contains("acme did not answer"));
        assert!(reply["cost"].as_u64().unwrap() > 0, "it costs what the other costs");
    }
    let used: Vec<Value> = scene.quire(["usage", "--by", "model", "--json"]).json();
    assert_eq!(used.len(), 1);
    assert_eq!((&used[0]["model"], &used[0]["calls"]), (&"other/plain".into(), &2.into()));
}

#[test]
fn a_provider_that_wants_hours_is_left_alone_and_the_run_stands_still() {
    let fault =
        Fault { status: Some(429), retry_after: Some("7200".to_owned()), ..Fault::default() };
    let scene = Scene::where_model_says([Turn::say("It cuts a title into words.").after(fault)]);
    let held = ask(&scene, "What does this do?").expect_code(5);
    let detail = suspended(&held)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("try again in 2 h"), "{detail}");
    // Another process knows it too, and asks nothing.
    let again = ask(&scene, "And this?").expect_code(5);
    assert_eq!(again.bodies("model_requested").len(), 0);
    assert_eq!(suspended(&again)["reason"]["why"], "quota");
}
