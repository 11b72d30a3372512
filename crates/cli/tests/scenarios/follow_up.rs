//! `quire task message`: a follow-up goes on with conversation, files and evidence.

use quire_testkit::Turn;
use serde_json::Value;

use crate::scene::{Scene, outcome, verdicts};

fn first_answer_of(ended: &quire_testkit::Ended) -> String {
    ended.bodies("tool_answered")[0]["parts"][0]["text"].as_str().unwrap().to_owned()
}

/// Two turns of one conversation: the second finds what the first left.
fn two_turns() -> Scene {
    Scene::where_model_says([
        Turn::shell(
            "mkdir -p __pycache__ && echo kept > __pycache__/note && echo '- One.' >> README.md && git commit -qam 'Say one' && echo built",
        ),
        Turn::say("One is said 【{{chunk 1}}†L1】; no tests were run."),
        Turn::say("One is said 【{{chunk 1}}†L1】; no tests were run."),
        Turn::shell(
            "cat __pycache__/note && git log --format=%s -n 1 && echo '- Two.' >> README.md && git commit -qam 'Say two'",
        ),
        Turn::say(
            "Two is said; what was built before is there 【{{chunk 2}}†L1】【{{chunk 1}}†L1】; no tests were run.",
        ),
        Turn::say(
            "Two is said; what was built before is there 【{{chunk 2}}†L1】【{{chunk 1}}†L1】; no tests were run.",
        ),
        Turn::say(
            "Two is said; what was built before is there 【{{chunk 2}}†L1】; no tests were run.",
        ),
        Turn::say(
            "Two is said; what was built before is there 【{{chunk 2}}†L1】; no tests were run.",
        ),
    ])
}

#[test]
fn a_follow_up_goes_on_with_conversation_and_files_and_apply_brings_the_whole_change() {
    let scene = two_turns();
    scene.run(&[]).expect_code(0);
    let first = scene.log("1");

    let ended =
        scene.quire(["task", "message", "1", "Now say two as well.", "--json"]).expect_code(0);

    assert_eq!(first_answer_of(&ended).lines().skip(1).collect::<Vec<_>>(), ["kept", "Say one"]);
    let asked = scene.stage.requests();
    let words = String::from_utf8_lossy(&asked[3].body).into_owned();
    for part in ["Go on.", "One is said", "Now say two as well."] {
        assert!(words.contains(part), "{part} is not in the conversation");
    }
    let continues = ended.bodies("submitted")[0]["continues"].clone();
    assert_eq!(continues["final_hash"], first.json().last().unwrap()["hash"]);

    let shown = scene.show("1");
    assert_eq!(shown["turn"], 2);
    let by_turn: Vec<&Value> =
        shown["commits"].as_array().unwrap().iter().map(|one| &one["subject"]).collect();
    assert_eq!(by_turn, ["Say two"]);
    let newest = scene.quire(["task", "diff", "1", "--turn"]).expect_code(0).stdout;
    assert!(newest.contains("+- Two.") && !newest.contains("+- One."), "{newest}");
    let whole = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;
    assert!(whole.contains("+- Two.") && whole.contains("+- One."), "{whole}");

    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert!(scene.repository.read("README.md").ends_with("- One.\n- Two.\n"));
    assert_eq!(scene.repository.git(["diff", "--full-index"]), whole);
    scene.quire(["verify", "1"]).expect_code(0);
}

#[test]
fn output_of_the_turn_before_can_be_cited_and_is_called_stale_once_something_changed() {
    let scene = two_turns();
    scene.run(&[]).expect_code(0);
    let ended =
        scene.quire(["task", "message", "1", "Now say two as well.", "--json"]).expect_code(0);
    let told: String = ended.bodies("gate_failed").iter().map(Value::to_string).collect();
    assert!(told.contains("stale_citation"), "{told}");

    let mut again = Scene::where_model_says([
        Turn::shell("echo seen"),
        Turn::say("Seen 【{{chunk 1}}†L1】."),
        Turn::say("I saw it 【{{chunk 1}}†L1】."),
    ]);
    again.quire(["ask", "What is there?"]).expect_code(0);
    again.quire(["task", "message", "1", "Say it again."]).expect_code(0);
    assert_eq!(verdicts(&again.show("1")), ["resolved"]);
    let chunk =
        again.show("1")["citations"][0]["citation"]["target"]["chunk"].as_str().unwrap().to_owned();
    let output = again.quire(["task", "logs", "1", "--chunk", &chunk]).expect_code(0);
    assert_eq!(output.stdout, "seen\n");
    again.stage.model("scripted/chat");
    again.quire(["task", "message", "1", "Once more.", "--model", "scripted/chat"]).expect_code(0);
}

#[test]
fn a_message_to_a_task_that_does_not_exist_or_an_empty_one_says_so() {
    let scene = Scene::where_model_says([Turn::say("Nothing.")]);
    let none = scene.quire(["task", "message", "7", "Hello."]).expect_code(2);
    assert!(none.stderr.contains('7'), "{}", none.stderr);
    scene.quire(["ask", "What?"]).expect_code(0);
    let empty = scene.quire(["task", "message", "1", " "]).expect_code(2);
    assert!(empty.stderr.contains("empty"), "{}", empty.stderr);
    assert_eq!(outcome(&scene.log("1")), "answered");
}

#[test]
fn a_message_to_a_task_at_work_is_told_after_its_turn_and_once() {
    let scene = Scene::where_model_says([
        Turn::shell("sleep 3"),
        Turn::say("Slept."),
        Turn::say("The message came."),
    ]);
    let call = scene.call(["run", "--json", "Go on."]);
    let running = std::thread::spawn(move || call.run());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while scene.stage.requests().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the first request did not come");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let told = scene.quire(["task", "message", "1", "And one more thing."]).expect_code(0);
    assert!(told.stderr.contains("told after its turn"), "{}", told.stderr);
    let ended = running.join().unwrap().expect_code(0);
    let received = ended.bodies("message_received");
    assert_eq!(received.len(), 1, "{}", ended.kinds().join(" "));
    assert_eq!(received[0]["text"], "And one more thing.");
    assert_eq!(scene.show("1")["answer"]["text"], "The message came.");
}

#[test]
fn a_message_to_a_task_that_stands_still_is_kept_and_says_how_it_goes_on() {
    let scene = Scene::where_model_says([
        Turn::shell("echo one"),
        Turn::say("One."),
        Turn::say("The message came."),
    ]);
    scene.run(&["--budget", "1c"]).expect_code(5);
    let told = scene.quire(["task", "message", "1", "And one more thing."]).expect_code(0);
    assert!(told.stderr.contains("`quire task resume 1`"), "{}", told.stderr);
    let ended = scene.quire(["task", "resume", "1", "--budget", "20c", "--json"]).expect_code(0);
    let received = ended.bodies("message_received");
    assert_eq!(received.len(), 1, "{}", ended.kinds().join(" "));
    assert_eq!(scene.show("1")["answer"]["text"], "The message came.");
}
