//! Several attempts under one budget, compared and chosen; a budget that suspends.

use quire_testkit::{Ended, Turn};
use serde_json::Value;

use crate::scene::{Scene, faults};

/// The events of one attempt among those of several.
fn of_attempt(ended: &Ended, attempt: u64) -> Vec<Value> {
    ended.json().into_iter().filter(|event| event["attempt"] == attempt).collect()
}

/// Each attempt writes something of its own: the id of its sandbox's first process differs.
fn different_each_time() -> Scene {
    Scene::where_model_says([
        Turn::shell("date +%N >> README.md && git commit -qam 'Say a number'"),
        Turn::say("A number is said; no tests were run."),
        Turn::say("A number is said; no tests were run."),
    ])
}

#[test]
fn attempts_run_side_by_side_and_one_is_chosen_by_apply() {
    let scene = different_each_time();
    let ended = scene.run(&["--attempts", "3", "--check", "test -s README.md"]).expect_code(0);
    for attempt in 1..=3 {
        let events = of_attempt(&ended, attempt);
        let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "attempt {attempt}");
        assert_eq!(events.last().unwrap()["kind"], "finished");
    }
    let table = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    for part in ["1.1", "1.2", "1.3", "quire task apply"] {
        assert!(table.contains(part), "{part} is missing:\n{table}");
    }

    let none = scene.quire(["task", "apply", "1"]).expect_code(2);
    assert!(none.stderr.contains("1.2") || none.stderr.contains("chosen"), "{}", none.stderr);
    let message = scene.quire(["task", "message", "1", "And?"]);
    assert_ne!(message.code(), Some(0), "{}", message.stdout);

    let against = scene.quire(["task", "diff", "1.1", "1.2"]).expect_code(0).stdout;
    assert!(against.contains("\n-") && against.contains("\n+"), "{against}");
    let second = scene.quire(["task", "diff", "1.2"]).expect_code(0).stdout;

    scene.quire(["task", "apply", "1.2"]).expect_code(0);

    assert_eq!(scene.repository.git(["diff", "--full-index"]), second);
    assert_eq!(scene.quire(["task", "diff", "1"]).expect_code(0).stdout, second, "1.2 is chosen");
    for attempt in ["1.1", "1.2", "1.3"] {
        scene.quire(["task", "diff", attempt]).expect_code(0);
        scene.quire(["verify", attempt]).expect_code(0);
    }
    let follow = scene.quire(["task", "message", "1", "And?", "--json"]);
    let continues = &follow.bodies("submitted")[0]["continues"];
    let of_second = of_attempt(&ended, 2).last().unwrap()["hash"].clone();
    assert_eq!(continues["final_hash"], of_second, "the follow-up goes on from the chosen one");
}

#[test]
fn an_estimate_is_said_before_several_attempts_and_they_are_compared_after() {
    let scene = different_each_time();
    let ended = scene.quire(["run", "Go on.", "--attempts", "2", "--budget", "50c"]).expect_code(0);
    assert!(ended.stderr.contains("2 attempts at once"), "{}", ended.stderr);
    assert!(ended.stderr.contains("at most 50 model calls together"), "{}", ended.stderr);
    for part in ["1.1", "1.2", "quire task diff 1.1 1.2"] {
        assert!(ended.stdout.contains(part), "{part} is missing:\n{}", ended.stdout);
    }
    assert!(!scene.show("1.1")["commits"].as_array().unwrap().is_empty());
    assert!(faults(&scene.show("1.2")).contains(&"checks_not_run"));
}

/// Calls that never end by themselves.
fn endless() -> Scene {
    let mut scene = Scene::of("python-slugs");
    scene.stage.plays_file("hostile/malformed").conversation("endless-new");
    scene
}

#[test]
fn one_budget_holds_for_all_attempts_together() {
    let scene = endless();
    let ended = scene.run(&["--attempts", "3", "--budget", "15c"]).expect_code(5);
    let replies = ended.bodies("model_replied").len();
    // Each of three may have had a request on its way when the last call was counted.
    assert!((15..=17).contains(&replies), "{replies} calls under a budget of 15");
    assert_eq!(ended.bodies("suspended").len(), 3);
}

#[test]
fn a_budget_suspends_and_a_larger_one_goes_on_where_it_stood() {
    let scene = endless();
    let ended = scene.run(&["--budget", "3c"]).expect_code(5);
    assert_eq!(ended.kinds().last().map(String::as_str), Some("suspended"));
    let list = scene.quire(["task", "list", "--json"]).expect_code(0);
    assert_eq!(list.json()[0]["state"]["state"], "suspended", "{}", list.stdout);

    let same = scene.quire(["task", "resume", "1", "--json"]).expect_code(5);
    assert_eq!(same.bodies("model_replied").len(), 0, "the same budget buys nothing");

    let more = scene.quire(["task", "resume", "1", "--budget", "5c", "--json"]).expect_code(5);
    assert_eq!(more.bodies("model_replied").len(), 2, "{}", more.kinds().join(" "));
    assert!(more.kinds().contains(&"resumed".to_owned()));
    assert_eq!(scene.stage.requests().len(), 5);

    let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(
        text.contains("budget of model calls is used up") && text.contains("quire task resume 1"),
        "{text}"
    );
}

#[test]
fn tokens_are_a_budget_and_what_is_no_budget_is_refused() {
    let scene = endless();
    let ended = scene.run(&["--budget", "9000t"]).expect_code(5);
    let limit = &ended.bodies("suspended")[0]["reason"];
    assert_eq!((&limit["why"], &limit["limit"]), (&"budget".into(), &"tokens".into()));
    for bad in ["0", "-1", "many", "1.2.3"] {
        let flag = format!("--budget={bad}");
        let refused = scene.quire(["run", "Go on.", &flag]).expect_code(2);
        assert!(refused.stderr.contains("budget"), "{}", refused.stderr);
    }
    assert_eq!(scene.quire(["task", "list", "--json"]).expect_code(0).json().len(), 1);
}
