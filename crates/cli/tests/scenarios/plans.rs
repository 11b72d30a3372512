//! Plans that wait for a person, and questions that wait for an answer: from other processes, over
//! kills, and what comes of them.

use std::time::{Duration, Instant};

use quire_testkit::{KillAt, Turn};
use serde_json::{Value, json};

use crate::scene::{Scene, commits, expect_in_order, outcome};

const SOON: Duration = Duration::from_secs(30);

/// The code for what waits for an answer. A plan that waits is what was asked for.
const WAITS: i32 = 10;

fn plan(words: &str) -> Turn {
    Turn::say(format!("{words} 【F:README.md†L1】"))
}

/// A line more, and the answer as often as the gate asks for it: no tests were run.
fn change(line: &str) -> [Turn; 3] {
    [
        Turn::shell(&format!("echo '- {line}' >> README.md && git commit -qam '{line}'")),
        Turn::say("Done; no tests were run."),
        Turn::say("Done; no tests were run."),
    ]
}

/// The words that the model was sent last.
fn heard(scene: &Scene) -> String {
    String::from_utf8_lossy(&scene.stage.requests().last().unwrap().body).into_owned()
}

fn turns(scene: &Scene) -> u64 {
    scene.show("1")["turn"].as_u64().unwrap()
}

#[test]
fn a_plan_is_sent_back_approved_edited_and_carried_out_and_the_task_goes_on_after_it() {
    let mut said = vec![plan("1. Write a line."), plan("1. Write a better line.")];
    said.extend(change("Better"));
    said.extend(change("And more"));
    let scene = Scene::where_model_says(said);
    let before = scene.repository.head();
    scene.quire(["plan", "--json", "Write a line."]).expect_code(0);
    assert_eq!(scene.show("1")["waits"], "approval");

    scene.quire(["task", "reject", "1", "Make it a better line."]).expect_code(0);
    assert!(heard(&scene).contains("Make it a better line."));
    scene.repository.write("plan of mine.md", "1. Write the line that I want.\n");
    let carried = ["task", "approve", "1", "--json", "--plan-file", "plan of mine.md"];
    let ended = scene.quire(carried).expect_code(0);
    assert_eq!(outcome(&ended), "changed");
    let words = heard(&scene);
    assert!(words.contains("Write the line that I want."), "{words}");
    assert_eq!(turns(&scene), 2);
    let again = scene.quire(["task", "approve", "1"]).expect_code(2);
    assert!(!again.stderr.is_empty());
    assert_eq!(turns(&scene), 2);

    // What was approved is over: the next turn waits for nobody.
    let ended = scene.quire(["task", "message", "1", "And more.", "--json"]).expect_code(0);
    assert_eq!(commits(&ended), ["agent: And more"]);
    assert_eq!(turns(&scene), 3);
    assert_eq!(scene.repository.head(), before);
}

#[test]
fn an_approval_is_carried_out_once_wherever_its_process_is_killed() {
    for kill in [0, 40, 80, 120, 160, 240, 400] {
        let mut said = vec![plan("1. Write a line.")];
        said.extend(change("Once"));
        let scene = Scene::where_model_says(said);
        scene.quire(["plan", "Write a line."]).expect_code(0);
        let call = scene.call(["task", "approve", "1", "--json"]);
        call.killed(KillAt::After(Duration::from_millis(kill)));
        // Whatever it was killed at: what there is goes on, or it is approved again.
        let shown = scene.show("1");
        let on = if shown["turn"] == 1 { "approve" } else { "resume" };
        let done = shown["turn"] == 2 && shown["state"]["state"] == "done";
        if !done {
            scene.quire(["task", on, "1", "--json"]).expect_code(0);
        }
        let log = scene.log("1");
        expect_in_order(&log);
        // A command that was cut off is not run again: its work is there once, or half, or not.
        let diff = scene.quire(["task", "diff", "1"]).stdout;
        assert!(diff.matches("+- Once").count() <= 1, "killed after {kill} ms: {diff}");
        assert_eq!(log.bodies("finished").len(), 1, "killed after {kill} ms");
        assert_eq!(turns(&scene), 2, "killed after {kill} ms");
    }
}

#[test]
fn a_question_is_answered_once_by_the_number_of_a_choice_or_not_at_all() {
    let question = json!({
        "question": "Which line?",
        "choices": [{ "label": "The short one" }, { "label": "The long one" }],
    });
    let mut said = vec![Turn::call("ask_user", question.clone())];
    said.extend(change("Long"));
    said.push(Turn::call("ask_user", question));
    let scene = Scene::where_model_says(said);
    let asked = scene.quire(["run", "--questions", "--json", "Write."]).expect_code(WAITS);
    assert_eq!(asked.bodies("question_asked").len(), 1);
    assert_eq!(scene.show("1")["question"]["question"], "Which line?");
    let ended = scene.quire(["task", "answer", "1", "2", "--json"]).expect_code(0);
    assert_eq!(commits(&ended), ["agent: Long"]);
    let log = scene.log("1");
    expect_in_order(&log);
    assert!(log.bodies("question_answered")[0].to_string().contains("The long one"));
    scene.quire(["task", "answer", "1", "1"]).expect_code(2);

    scene.quire(["run", "--questions", "Write again."]).expect_code(WAITS);
    scene.quire(["task", "cancel", "2"]).expect_code(0);
    let late = scene.quire(["task", "answer", "2", "1"]).expect_code(2);
    assert!(late.stderr.contains("cancelled"), "{}", late.stderr);
}

#[test]
fn a_plan_on_a_server_waits_through_a_kill_and_its_approval_is_worked_on_by_the_next_one() {
    let mut said = vec![plan("1. Write a line.")];
    said.extend(change("Line"));
    let scene = Scene::where_model_says(said);
    let start = || {
        let mut server = scene.call(["serve", "--listen", "0"]).start();
        server.until_it_says("attempts at once");
        server
    };
    let server = start();
    scene.quire(["task", "new", "--plan", "Write a line."]).expect_code(0);
    stands(&scene, |shown| shown["state"]["state"] == "waiting_for_approval");
    server.kill();
    scene.quire(["task", "approve", "1"]).expect_code(0);
    let server = start();
    stands(&scene, |shown| shown["turn"] == 2 && shown["state"]["state"] == "done");
    let log = scene.log("1");
    expect_in_order(&log);
    assert_eq!(commits(&log), ["agent: Line"]);
    server.signal("TERM");
    assert!(server.end(SOON).success());
}

fn stands(scene: &Scene, there: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + SOON;
    loop {
        let shown = scene.quire(["task", "show", "1", "--json"]);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
        if there(&shown) {
            return;
        }
        assert!(Instant::now() < deadline, "turn {} is {}", shown["turn"], shown["state"]);
        std::thread::sleep(Duration::from_millis(20));
    }
}
