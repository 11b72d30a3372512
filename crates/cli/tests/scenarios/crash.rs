//! A crash of the machine, and files that are no longer kept: what had been put away is there, and
//! the model is told what is not.

use std::path::PathBuf;

use quire_testkit::{Call, Ended, KillAt, Turn};
use serde_json::Value;

use crate::scene::{Scene, commits, expect_in_order, outcome, shell_within, verdicts};

/// Commits one file, leaves another and an ignored one, waits, and goes on with what it finds.
fn turns() -> Vec<Turn> {
    let work = "echo one > one.txt && git add one.txt && git commit -qm 'Add one' && \
                echo two > 'two ü.txt' && echo '- Three.' >> README.md && rm setup.cfg && \
                mkdir -p __pycache__ && echo built > __pycache__/note && \
                head -c 20000000 /dev/zero > large.bin; echo done";
    let look = "cat one.txt 'two ü.txt'; tail -n 1 README.md; git log --format=%s -n 1; \
                ls setup.cfg __pycache__/note large.bin lost.txt 2>/dev/null | wc -l";
    let end = "Done 【F:one.txt†L1】. No tests were run.";
    let mut turns = vec![
        Turn::shell(work),
        shell_within("sleep 60; echo late > lost.txt", 50),
        Turn::shell(look),
        Turn::shell("rm -f large.bin; git add -A && git commit -qm 'Add the rest' && echo kept"),
    ];
    turns.extend(std::iter::repeat_n(Turn::say(end), 4));
    turns
}

fn scene() -> Scene {
    let scene = Scene::where_model_says(turns());
    scene.repository.write("setup.cfg", "[metadata]\n");
    scene.repository.git(["add", "setup.cfg"]);
    scene.repository.git(["commit", "-qm", "A file that goes"]);
    put_away_soon(&scene);
    scene
}

/// Has working trees put away a second after a change.
fn put_away_soon(scene: &Scene) {
    let config = scene.stage.home().join(".config/quire");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "checkpoint_seconds = 1\n").unwrap();
}

fn start(scene: &Scene) -> Call {
    scene.call(["run", "--json", "Go on."])
}

/// Where the attempts' files lie.
fn uppers(scene: &Scene) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scene.stage.data().join("uppers")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// What a restart of the machine does to the marks of the uppers that were written to.
fn another_boot(scene: &Scene) {
    let mut marked = 0;
    for dir in uppers(scene) {
        let mark = dir.join("upper.boot");
        if std::fs::read_to_string(&mark).is_ok_and(|boot| !boot.is_empty()) {
            std::fs::write(&mark, "00000000-0000-4000-8000-000000000000\n").unwrap();
            marked += 1;
        }
    }
    assert_eq!(marked, 1, "one upper was in use");
}

fn answer(log: &Ended, index: usize) -> String {
    let answers = log.bodies("tool_answered");
    answers[index]["parts"][0]["text"].as_str().unwrap().to_owned()
}

/// The words that the model was asked with, per request, as one text.
fn asked(scene: &Scene) -> Vec<String> {
    let requests = scene.stage.requests();
    requests.iter().map(|asked| String::from_utf8_lossy(&asked.body).into_owned()).collect()
}

/// The list of items of a request, each as text.
fn items(asked: &str) -> Vec<String> {
    let body: Value = serde_json::from_str(asked).unwrap();
    body["input"].as_array().unwrap().iter().map(Value::to_string).collect()
}

/// What the killed run had put away is there, what it had not is said to be gone.
fn expect_rebuilt(scene: &Scene, why: &str) {
    let resumed = scene.quire(["task", "resume", "1", "--json"]).expect_code(0);
    assert_eq!(outcome(&resumed), "changed");
    let log = scene.log("1");
    expect_in_order(&log);
    let put_away = log.json().into_iter().find(|event| event["kind"] == "checkpointed").unwrap();
    assert_eq!(put_away["body"]["left_out"], serde_json::json!(["large.bin"]));

    let restored = log.bodies("restored");
    assert_eq!(restored.len(), 1, "{:?}", log.kinds());
    assert_eq!(restored[0]["from"], put_away["seq"]);
    let told = restored[0]["text"].as_str().unwrap();
    for part in [why, "uncommitted again", "Nothing was run again", "large.bin"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let asked = asked(scene);
    let (before, after) = (items(&asked[1]), items(&asked[2]));
    assert!(after.starts_with(&before), "the conversation was only added to");
    assert!(asked[2].contains(why), "the model is told at the next call");

    let found = answer(&log, 2);
    let found: Vec<&str> = found.lines().skip(1).collect();
    assert_eq!(found, ["one", "two", "- Three.", "Add one", "0"]);
    assert_eq!(commits(&log), ["agent: Add one", "agent: Add the rest"]);
    assert_eq!(log.bodies("command_started").len(), 4, "nothing was run again");
    assert_eq!(verdicts(&scene.show("1")), ["resolved"]);
    scene.quire(["verify", "1"]).expect_code(0);
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert_eq!(scene.repository.read("two ü.txt"), "two\n");
    let left = std::fs::read_dir(scene.stage.data().join("checkpoints")).unwrap().count();
    assert_eq!(left, 0, "checkpoints go with the end of their attempt");
}

#[test]
fn after_a_crash_of_the_machine_the_working_tree_is_rebuilt_and_the_model_is_told() {
    let scene = scene();
    let killed = start(&scene).killed(KillAt::Event("checkpointed"));
    assert!(killed.was_killed(), "{}", killed.stdout);
    another_boot(&scene);
    expect_rebuilt(&scene, "The machine went down");
}

#[test]
fn without_the_sandboxes_files_the_working_tree_is_rebuilt_and_the_model_is_told() {
    let scene = scene();
    let killed = start(&scene).killed(KillAt::Event("checkpointed"));
    assert!(killed.was_killed(), "{}", killed.stdout);
    for dir in ["uppers", "sandboxes", "layers"] {
        std::fs::remove_dir_all(scene.stage.data().join(dir)).unwrap();
    }
    expect_rebuilt(&scene, "no longer kept");
}

/// A first turn that commits one file and leaves an ignored one, and a second that looks.
fn two_turns() -> Scene {
    let end = "Done 【F:one.txt†L1】. No tests were run.";
    let first = "echo one > one.txt && git add one.txt && git commit -qm 'Add one' && \
                 mkdir -p __pycache__ && echo built > __pycache__/note && echo kept";
    let second = "cat one.txt; ls __pycache__/note 2>/dev/null | wc -l; echo two > two.txt; \
                  git add two.txt; git commit -qm 'Add two'";
    let mut turns = vec![Turn::shell(first), Turn::say(end), Turn::say(end)];
    turns.push(Turn::shell(second));
    turns.extend(std::iter::repeat_n(Turn::say(end), 4));
    Scene::where_model_says(turns)
}

#[test]
fn a_follow_up_whose_sandbox_is_gone_is_rebuilt_from_the_commit_and_the_model_is_told() {
    follow_up_from_the_commit(|scene| {
        std::fs::remove_dir_all(scene.stage.data().join("uppers")).unwrap();
    });
}

#[test]
fn a_follow_up_after_a_restart_of_the_machine_is_rebuilt_from_the_commit() {
    follow_up_from_the_commit(|scene| {
        another_boot(scene);
        for dir in uppers(scene) {
            let frozen = dir.join("frozen.json");
            let mut kept: Value = serde_json::from_slice(&std::fs::read(&frozen).unwrap()).unwrap();
            assert_ne!(kept["boot"], "");
            kept["boot"] = "00000000".into();
            std::fs::write(&frozen, kept.to_string()).unwrap();
        }
    });
}

fn follow_up_from_the_commit(befalls: impl FnOnce(&Scene)) {
    let scene = two_turns();
    scene.run(&[]).expect_code(0);
    befalls(&scene);
    let ended = scene.quire(["task", "message", "1", "Add two.", "--json"]).expect_code(0);
    let restored = ended.bodies("restored");
    assert_eq!(restored[0]["from"], 0);
    assert!(restored[0]["text"].as_str().unwrap().contains("no longer kept"), "{restored:?}");
    let asked = asked(&scene);
    assert!(asked[3].contains("no longer kept"), "the model is told before it begins");
    let found = answer(&ended, 0);
    assert_eq!(found.lines().skip(1).take(2).collect::<Vec<_>>(), ["one", "0"]);
    scene.quire(["verify", "1"]).expect_code(0);
}

#[test]
fn what_an_attempt_left_is_kept_also_when_its_process_dies_at_its_end() {
    let scene = two_turns();
    // The store may have been told of the end by then, or not.
    scene.call(["run", "--json", "Go on."]).killed(KillAt::Event("finished"));
    let resumed = scene.quire(["task", "resume", "1"]);
    assert!(matches!(resumed.code(), Some(0 | 2)), "{}", resumed.stderr);
    let ended = scene.quire(["task", "message", "1", "Add two.", "--json"]).expect_code(0);
    assert_eq!(ended.bodies("restored").len(), 0, "nothing was lost");
    let found = answer(&ended, 0);
    assert_eq!(found.lines().skip(1).take(2).collect::<Vec<_>>(), ["one", "1"]);
}

#[test]
fn what_was_cut_off_long_ago_is_swept_and_goes_on_from_what_was_put_away() {
    let mut scene = scene();
    let killed = start(&scene).killed(KillAt::Event("checkpointed"));
    assert!(killed.was_killed(), "{}", killed.stdout);
    let cut_off = uppers(&scene);
    let config = scene.stage.home().join(".config/quire/config.toml");
    std::fs::write(&config, "checkpoint_seconds = 1\nkeep_cut_off_hours = 0\n").unwrap();
    scene.stage.model_says([shell_within("sleep 4", 20), Turn::say("Slept.")]);
    scene.quire(["ask", "Sleep."]).expect_code(0);
    assert!(!cut_off.iter().any(|dir| dir.exists()), "its time was over");
    scene.stage.model_says(turns());
    let resumed = scene.quire(["task", "resume", "1", "--json"]).expect_code(0);
    assert_eq!(outcome(&resumed), "changed");
    assert_eq!(resumed.bodies("restored").len(), 1);
    assert_eq!(answer(&scene.log("1"), 2).lines().nth(2), Some("two"));
}
