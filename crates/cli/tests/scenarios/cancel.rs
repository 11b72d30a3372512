//! Ctrl-C and `quire task cancel`: ended in order within five seconds, with what was done kept.

use std::time::{Duration, Instant};

use quire_testkit::{KillAt, Turn};

use crate::scene::{Scene, commits, expect_in_order, outcome};

/// Work that was begun and is followed by a command that takes long.
fn at_work() -> Scene {
    Scene::where_model_says([
        Turn::shell(
            "echo '- Begun.' >> README.md && git commit -qam 'Begin' && echo '- Half.' >> README.md",
        ),
        Turn::shell("sleep 55"),
        Turn::say("Done; no tests were run."),
        Turn::say("Done; no tests were run."),
    ])
}

/// The start of the long command.
const LONG_COMMAND: KillAt<'static> = KillAt::Nth("command_started", 2);

#[test]
fn ctrl_c_cancels_within_five_seconds_and_what_was_done_is_kept() {
    let scene = at_work();
    let ended =
        scene.call(["run", "--json", "Go on."]).interrupted(LONG_COMMAND, 1).expect_code(130);
    let took = ended.answered_in.unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!ended.left_behind);
    assert_eq!(outcome(&ended), "cancelled");
    expect_in_order(&scene.log("1"));
    let finished = &ended.bodies("finished")[0];
    assert_eq!(finished["partial"], true);
    let made = commits(&ended);
    assert_eq!(made[0], "agent: Begin");
    assert!(made.len() == 2 && made[1].starts_with("system: "), "{made:?}");

    let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(text.contains("(partial)") && text.contains("What was done is kept"), "{text}");
    scene.quire(["verify", "1"]).expect_code(0);
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert!(scene.repository.read("README.md").ends_with("- Begun.\n- Half.\n"));
}

#[test]
fn a_follow_up_goes_on_with_what_was_cancelled() {
    let scene = at_work();
    scene.call(["run", "--json", "Go on."]).interrupted(LONG_COMMAND, 1).expect_code(130);
    let ended = scene.quire(["task", "message", "1", "Go on after all.", "--json"]).expect_code(0);
    assert!(ended.bodies("submitted")[0]["continues"].is_object());
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert!(scene.repository.read("README.md").ends_with("- Begun.\n- Half.\n"));
}

#[test]
fn ctrl_c_twice_stops_at_once_and_resume_goes_on() {
    let scene = Scene::where_model_says([
        Turn::shell("echo '- Begun.' >> README.md && git commit -qam 'Begin'"),
        Turn::shell("trap '' INT TERM; sleep 4"),
        Turn::say("Done; no tests were run."),
        Turn::say("Done; no tests were run."),
    ]);
    let ended =
        scene.call(["run", "--json", "Go on."]).interrupted(LONG_COMMAND, 2).expect_code(130);
    let took = ended.answered_in.unwrap();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(!ended.left_behind);
    if outcome_if_any(&ended).is_some() {
        // It was quick enough to end in order before the second one came.
        return;
    }
    let resumed = scene.quire(["task", "resume", "1", "--json"]).expect_code(0);
    assert_eq!(outcome(&resumed), "changed");
    let log = scene.log("1");
    expect_in_order(&log);
    assert_eq!(commits(&log), ["agent: Begin"]);
}

fn outcome_if_any(ended: &quire_testkit::Ended) -> Option<String> {
    ended.bodies("finished").first().map(|one| one["outcome"]["outcome"].to_string())
}

#[test]
fn a_model_that_does_not_answer_can_be_cancelled_too() {
    let silent = Turn { delay_ms: 60_000, ..Turn::say("At last.") };
    let scene = Scene::where_model_says([silent]);
    let ended = scene
        .call(["run", "--json", "Go on."])
        .interrupted(KillAt::Event("model_requested"), 1)
        .expect_code(130);
    let took = ended.answered_in.unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(outcome(&ended), "cancelled");
}

#[test]
fn another_process_cancels_what_is_at_work_here() {
    let scene = at_work();
    let call = scene.call(["run", "--json", "Go on."]);
    let running = std::thread::spawn(move || call.run());
    let deadline = Instant::now() + Duration::from_secs(30);
    while scene.stage.requests().len() < 2 {
        assert!(Instant::now() < deadline, "the second request did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
    let begun = Instant::now();
    let told = scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert!(told.stderr.contains("is cancelled"), "{}", told.stderr);
    let ended = running.join().unwrap().expect_code(130);
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert_eq!(outcome(&ended), "cancelled");
    assert_eq!(commits(&ended)[0], "agent: Begin");
    let again = scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert!(again.stderr.contains("has ended already"), "{}", again.stderr);
}

#[test]
fn what_was_killed_can_be_cancelled_and_what_it_did_is_kept() {
    let scene = at_work();
    let killed = scene.call(["run", "--json", "Go on."]).killed(LONG_COMMAND);
    assert!(killed.was_killed());
    let told = scene.quire(["task", "cancel", "1"]).expect_code(0);
    assert!(told.stderr.contains("is cancelled"), "{}", told.stderr);
    let log = scene.log("1");
    expect_in_order(&log);
    assert_eq!(outcome(&log), "cancelled");
    assert_eq!(commits(&log)[0], "agent: Begin");
}
