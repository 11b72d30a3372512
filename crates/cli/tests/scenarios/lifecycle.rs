//! What people say to a task from another process while it works, stands still, waits or was killed:
//! pause, resume, steer, cancel, retry, fork and choose.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quire_testkit::{Ended, KillAt, Turn};
use serde_json::Value;

use crate::scene::{Scene, commits, expect_in_order, outcome};

/// No step of these takes longer.
const SOON: Duration = Duration::from_secs(30);

fn done() -> Turn {
    Turn::say("Done; no tests were run.")
}

/// Work that was begun, a command of some seconds, and more of it.
fn slow(seconds: u32) -> Scene {
    Scene::where_model_says([
        Turn::shell("echo '- Begun.' >> README.md && git commit -qam 'Begin'"),
        Turn::shell(&format!("sleep {seconds}; echo slept")),
        Turn::shell("echo '- Ended.' >> README.md && git commit -qam 'End'"),
        done(),
        done(),
        done(),
    ])
}

/// Starts `quire run` in a process of its own.
fn start(scene: &Scene) -> JoinHandle<Ended> {
    let call = scene.call(["run", "--json", "Go on."]);
    std::thread::spawn(move || call.run())
}

/// Waits until the model was asked so often.
fn asked(scene: &Scene, times: usize) {
    let deadline = Instant::now() + SOON;
    while scene.stage.requests().len() < times {
        assert!(Instant::now() < deadline, "request {times} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the newest attempt of a task stands there.
fn stands(scene: &Scene, task: &str, state: &str) -> Value {
    let deadline = Instant::now() + SOON;
    loop {
        let shown = scene.quire(["task", "show", task, "--json"]);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
        if shown["state"]["state"] == state {
            return shown["state"].clone();
        }
        assert!(Instant::now() < deadline, "task {task} is {}, not {state}", shown["state"]);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn attempts(ended: &Ended) -> Value {
    ended.json().pop().unwrap()["attempts"].clone()
}

#[test]
fn a_run_that_another_process_pauses_ends_its_step_and_resume_goes_on_with_the_next() {
    let scene = slow(3);
    let running = start(&scene);
    asked(&scene, 2);
    let told = scene.quire(["task", "pause", "1"]).expect_code(0);
    assert!(told.stderr.contains("when its step is done"), "{}", told.stderr);
    let ended = running.join().unwrap().expect_code(5);
    assert_eq!(ended.bodies("suspended")[0]["reason"]["why"], "paused");
    assert_eq!(ended.bodies("command_finished")[1]["exit"]["code"], 0, "it was given its end");
    let again = scene.quire(["task", "pause", "1"]).expect_code(2);
    assert!(again.stderr.contains("stands still (paused)"), "{}", again.stderr);
    assert!(again.stderr.contains("quire task resume 1"), "{}", again.stderr);

    scene.quire(["task", "resume", "1", "--json"]).expect_code(0);

    let log = scene.log("1");
    expect_in_order(&log);
    assert_eq!(commits(&log), ["agent: Begin", "agent: End"]);
    assert_eq!(log.bodies("resumed").len(), 1);
    scene.quire(["verify", "1"]).expect_code(0);
}

#[test]
fn a_pause_that_does_not_wait_cuts_off_what_runs_and_the_model_is_told() {
    let scene = slow(50);
    let running = start(&scene);
    asked(&scene, 2);
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    let told = scene.quire(["task", "pause", "--now", "--json", "1"]).expect_code(0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(attempts(&told)[0]["state"]["reason"]["why"], "paused");
    let ended = running.join().unwrap().expect_code(5);
    assert_eq!(ended.bodies("interrupted").len(), 0, "nobody cancelled it");

    scene.quire(["task", "resume", "1", "--json"]).expect_code(0);

    let log = scene.log("1");
    expect_in_order(&log);
    assert_eq!(commits(&log), ["agent: Begin", "agent: End"]);
    let answer = log.bodies("tool_answered")[1]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert!(answer.contains("look before you repeat it"), "{answer}");
}

#[test]
fn a_pause_that_is_taken_back_before_it_comes_to_it_changes_nothing() {
    let scene = slow(4);
    let running = start(&scene);
    asked(&scene, 2);
    scene.quire(["task", "pause", "1"]).expect_code(0);
    let told = scene.quire(["task", "resume", "1"]).expect_code(0);
    assert!(told.stderr.contains("is at work"), "{}", told.stderr);
    let ended = running.join().unwrap().expect_code(0);
    assert!(ended.bodies("suspended").is_empty());
    assert_eq!(commits(&ended), ["agent: Begin", "agent: End"]);
}

#[test]
fn what_is_steered_is_told_once_at_the_next_model_call_also_when_a_kill_comes_between() {
    let scene = slow(3);
    let call = scene.call(["run", "--json", "Go on."]);
    let running = std::thread::spawn(move || call.killed(KillAt::Nth("command_finished", 2)));
    asked(&scene, 2);
    for words in ["Mind the gap.", "And the step."] {
        let told = scene.quire(["task", "steer", "1", words]).expect_code(0);
        assert!(told.stderr.contains("at its next model call"), "{}", told.stderr);
    }
    assert!(running.join().unwrap().was_killed());
    let told = scene.quire(["task", "steer", "1", "Still there?", "--json"]).expect_code(0);
    assert_eq!(attempts(&told)[0]["attempt"], 1);
    scene.quire(["task", "resume", "1", "--json"]).expect_code(0);
    let log = scene.log("1");
    expect_in_order(&log);
    let told: Vec<String> = log
        .bodies("steered")
        .iter()
        .map(|said| said["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, ["Mind the gap.", "And the step.", "Still there?"]);
    let late = scene.quire(["task", "steer", "1", "Too late."]).expect_code(2);
    assert!(
        late.stderr.contains("task 1 has ended (changed): follow up with `quire task message 1")
    );
}

#[test]
fn a_cancel_ends_what_waits_stands_still_or_was_killed_at_once_and_keeps_what_was_done() {
    // It waits for a worker, and nobody has begun with it.
    let scene = slow(50);
    scene.quire(["task", "new", "Go on."]).expect_code(0);
    let begun = Instant::now();
    scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(scene.show("1")["state"]["outcome"]["outcome"], "cancelled");
    scene.quire(["task", "show", "1"]).expect_code(0);

    // It waits, was paused there, and is cancelled.
    scene.quire(["task", "new", "Go on."]).expect_code(0);
    scene.quire(["task", "pause", "2"]).expect_code(0);
    assert_eq!(scene.show("2")["state"]["reason"]["why"], "paused");
    scene.quire(["task", "cancel", "2"]).expect_code(0);
    assert_eq!(scene.show("2")["state"]["outcome"]["outcome"], "cancelled");
    assert!(scene.stage.requests().is_empty(), "nothing of it ran");

    // It stands still at a limit, with work done.
    let scene = slow(50);
    scene.run(&["--budget", "1c"]).expect_code(5);
    let begun = Instant::now();
    scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let log = scene.log("1");
    expect_in_order(&log);
    assert_eq!((outcome(&log).as_str(), commits(&log)), ("cancelled", vec!["agent: Begin".into()]));
    scene.quire(["task", "apply", "1"]).expect_code(0);

    // It was paused in the midst of a command.
    let scene = slow(50);
    let running = start(&scene);
    asked(&scene, 2);
    scene.quire(["task", "pause", "--now", "1"]).expect_code(0);
    running.join().unwrap().expect_code(5);
    scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert_eq!(commits(&scene.log("1")), ["agent: Begin"]);

    // The cancel itself is killed, and done again.
    let scene = slow(50);
    scene.run(&["--budget", "1c"]).expect_code(5);
    let killed =
        scene.call(["task", "cancel", "1"]).killed(KillAt::After(Duration::from_millis(120)));
    let again = scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert!(again.stderr.contains("cancel") || again.stderr.contains("ended"), "{}", killed.stderr);
    let log = scene.log("1");
    expect_in_order(&log);
    assert_eq!((outcome(&log).as_str(), commits(&log)), ("cancelled", vec!["agent: Begin".into()]));
}

#[test]
fn a_cancel_reaches_an_attempt_whose_setup_runs() {
    let scene = slow(1);
    scene.repository.write(".quire/environment.toml", "setup = \"sleep 60\"\n");
    let call = scene.call(["run", "--json", "Go on."]);
    let running = std::thread::spawn(move || call.run());
    stands(&scene, "1", "preparing");
    std::thread::sleep(Duration::from_millis(700));
    let begun = Instant::now();
    scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    running.join().unwrap().expect_code(130);
    assert_eq!(scene.show("1")["state"]["outcome"]["outcome"], "cancelled");
}

#[test]
fn a_retry_is_another_attempt_of_the_same_request_and_what_was_before_stays() {
    // A script is played from its beginning again, so the moment makes the difference.
    let scene = Scene::where_model_says([
        Turn::shell(
            "tail -n 1 README.md; echo \"- At $(date +%s%N).\" >> README.md; git commit -qam 'At'",
        ),
        done(),
        done(),
    ]);
    scene.run(&[]).expect_code(0);
    let ended = scene.quire(["task", "retry", "1", "--json"]).expect_code(0);
    assert_eq!(ended.json()[0]["attempt"], 2);
    let first = ended.bodies("tool_answered")[0]["parts"][0]["text"].to_string();
    assert!(!first.contains("At"), "it begins where the first began: {first}");
    assert_eq!(scene.show("1")["attempt"], 2, "the newest counts");
    assert_eq!(scene.show("1")["turn"], 1);
    let both = scene.quire(["task", "diff", "1.1", "1.2"]).expect_code(0).stdout;
    assert!(both.contains("-- At") && both.contains("+- At"), "{both}");
    let chosen = scene.quire(["task", "choose", "1.1", "--json"]).expect_code(0);
    assert_eq!(attempts(&chosen)[0]["attempt"], 1);
    let change = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert_eq!(scene.repository.git(["diff", "--full-index"]), change);
    let of_first = change.lines().find(|line| line.starts_with("+- At")).unwrap();
    assert!(both.contains(&of_first.replacen('+', "-", 1)), "{both}");
    scene.quire(["verify", "1.2"]).expect_code(0);
}

#[test]
fn what_has_not_ended_can_be_neither_retried_nor_chosen_nor_forked() {
    let scene = slow(50);
    scene.run(&["--budget", "1c"]).expect_code(5);
    for command in [
        vec!["task", "retry", "1"],
        vec!["task", "choose", "1.1"],
        vec!["task", "fork", "1", "Otherwise."],
    ] {
        let refused = scene.quire(command).expect_code(2);
        assert!(refused.stderr.contains("stands still (budget)"), "{}", refused.stderr);
        assert!(refused.stderr.contains("`quire task resume 1"), "{}", refused.stderr);
    }
}

#[test]
fn a_fork_goes_on_from_any_turn_in_a_task_of_its_own_with_the_whole_change() {
    // A script is played by how far the conversation is: a fork plays what the next turn would.
    let line =
        "git log --format=%s; echo \"- At $(date +%s%N).\" >> README.md; git commit -qam 'At'";
    let scene = Scene::where_model_says([
        Turn::shell(&line.replace("At", "One")),
        done(),
        done(),
        Turn::shell(line),
        done(),
        done(),
        Turn::shell(&line.replace("At", "Six")),
        done(),
        done(),
        Turn::shell(&line.replace("At", "Nine")),
        done(),
        done(),
    ]);
    scene.run(&[]).expect_code(0);
    scene.quire(["task", "message", "1", "And two."]).expect_code(0);
    let whole = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;

    let forked = scene
        .quire(["task", "fork", "1", "Three instead.", "--turn", "1", "--json"])
        .expect_code(0);

    assert_eq!(forked.json()[0]["task"], 2);
    let first = forked.bodies("tool_answered")[0]["parts"][0]["text"].to_string();
    assert!(first.contains("One") && !first.contains("At"), "{first}");
    let asked = scene.stage.requests();
    let words = String::from_utf8_lossy(&asked[asked.len() - 1].body).into_owned();
    assert!(words.contains("Go on.") && words.contains("Three instead."));
    assert!(!words.contains("And two."), "another turn's words");
    let diff = scene.quire(["task", "diff", "2"]).expect_code(0).stdout;
    assert!(diff.contains("+- One") && diff.contains("+- At") && diff != whole, "{diff}");
    let own = scene.quire(["task", "diff", "2", "--turn"]).expect_code(0).stdout;
    assert!(own.contains("+- At") && !own.contains("+- One"), "{own}");
    scene.quire(["verify", "2"]).expect_code(0);
    assert_eq!(scene.quire(["task", "diff", "1"]).stdout, whole, "what it was made from stays");

    // The sandboxes are gone: a fork begins with the commits alone.
    scene.quire(["task", "archive", "1", "--json"]).expect_code(0);
    scene.quire(["task", "fork", "1", "Four instead."]).expect_code(0);
    let diff = scene.quire(["task", "diff", "3"]).expect_code(0).stdout;
    for line in ["+- One", "+- At", "+- Six"] {
        assert!(diff.contains(line), "{line} is not in {diff}\n{}", scene.log("3").stdout);
    }
    scene.quire(["task", "message", "3", "And five."]).expect_code(0);
    scene.quire(["task", "apply", "3"]).expect_code(0);
    let text = scene.repository.read("README.md");
    let last = text.lines().rev().take(4).collect::<Vec<_>>();
    assert!(last[0].starts_with("- Nine") && last[3].starts_with("- One"), "{text}");
}

#[test]
fn a_server_hears_what_is_said_from_elsewhere_and_ends_what_is_cancelled_without_a_slot() {
    let scene = slow(4);
    let mut server = scene.call(["serve", "--listen", "0", "--slots", "1"]).start();
    server.until_it_says("attempts at once");
    for _ in 0..3 {
        scene.quire(["task", "new", "Go on."]).expect_code(0);
    }
    // The first is at work; the others wait for its slot.
    asked(&scene, 2);
    scene.quire(["task", "pause", "--now", "--json", "1"]).expect_code(0);
    stands(&scene, "1", "suspended");
    stands(&scene, "2", "working");
    let told = scene.quire(["task", "pause", "3"]).expect_code(0);
    assert!(told.stderr.contains("stands still"), "{}", told.stderr);

    // The only slot is taken, and a cancel waits for none.
    let begun = Instant::now();
    scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let log = scene.log("1");
    expect_in_order(&log);
    assert_eq!(commits(&log), ["agent: Begin"]);
    scene.quire(["task", "cancel", "2"]).expect_code(0);
    assert_eq!(scene.show("2")["state"]["outcome"]["outcome"], "cancelled");

    let told = scene.quire(["task", "resume", "3"]).expect_code(0);
    assert!(told.stderr.contains("waits for a worker of the server"), "{}", told.stderr);
    let ended = stands(&scene, "3", "done");
    assert_eq!(ended["outcome"]["outcome"], "changed");
    expect_in_order(&scene.log("3"));
    server.signal("TERM");
    assert!(server.end(Duration::from_secs(30)).success());
}

#[test]
fn what_was_cancelled_before_it_began_can_be_followed_up_and_tried_again() {
    let scene = slow(0);
    for command in [vec!["message", "1", "Go on after all."], vec!["retry", "2"]] {
        scene.quire(["task", "new", "Say what was begun."]).expect_code(0);
        let number = command[1];
        scene.quire(["task", "cancel", number]).expect_code(0);
        scene.quire(["task"].into_iter().chain(command.iter().copied())).expect_code(0);
        assert_eq!(scene.show(number)["state"]["outcome"]["outcome"], "changed");
        let asked = scene.stage.requests();
        let words = String::from_utf8_lossy(&asked[asked.len() - 1].body).into_owned();
        assert!(words.contains("Say what was begun."), "the request is told: {command:?}");
    }
}
