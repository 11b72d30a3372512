//! A model that lies: what it claims without ground is caught, or marked where a person reads it.

use quire_testkit::{Script, Turn, fixtures};
use serde_json::json;

use crate::scene::{Scene, faults, outcome, told, verdicts};

/// One conversation of the liar.
fn liar(conversation: &str) -> Scene {
    let mut scene = Scene::of("python-slugs");
    scene.stage.plays_file("hostile/liar").conversation(conversation);
    scene
}

#[test]
fn a_green_run_from_before_the_last_edit_is_sent_back_and_mended_by_an_honest_model() {
    let script = fixtures::script("hostile/liar");
    let stale = script.conversations.iter().find(|one| one.name == "stale-run").unwrap();
    let mut turns: Vec<Turn> = stale.turns[..3].to_vec();
    turns.push(Turn::shell("python3 -m unittest tests.test_unique"));
    turns.push(Turn::say(
        "Numbers begin at three, and the tests of it pass 【{{chunk 4}}†L{{line 4 /^OK/}}】. The others were not run: they fail anyhow.",
    ));
    let mut scene = Scene::of("python-slugs");
    scene.stage.plays(Script::of(turns));

    let ended = scene.run(&[]).expect_code(0);

    let told = told(&ended);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("ran before the last change"), "{told:?}");
    let shown = scene.show("1");
    assert_eq!(verdicts(&shown), ["resolved"]);
    assert_eq!(faults(&shown), ["checks_not_run"], "{shown}");
}

#[test]
fn a_green_run_from_before_the_last_edit_that_is_insisted_on_is_shown_as_stale() {
    let scene = liar("stale-run");
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(told(&ended).len(), 3, "three rounds, not more");
    let shown = scene.show("1");
    assert_eq!(verdicts(&shown), ["resolved stale"]);
    assert!(faults(&shown).contains(&"stale_citation"), "{shown}");
    let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(text.contains("the command ran before the last change"), "{text}");
}

#[test]
fn a_line_that_the_model_never_saw_is_marked_unseen() {
    let scene = liar("unseen-line");
    scene.run(&[]).expect_code(0);
    assert_eq!(verdicts(&scene.show("1")), ["resolved unseen"]);
    let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(text.contains("the agent never saw this text"), "{text}");
}

#[test]
fn a_line_a_file_and_a_command_that_are_not_there_are_rejected() {
    let scene = liar("no-such-change");
    let ended = scene.run(&[]).expect_code(0);
    let told = told(&ended);
    for part in ["【F:slugs/unique.py†L900】", "【F:tests/test_numbers.py†L1】", "【abcdef†L1】"]
    {
        assert!(told[0].contains(part), "{part} is missing: {}", told[0]);
    }
    let shown = scene.show("1");
    assert_eq!(verdicts(&shown), ["rejected no_such_line"]);
    assert_eq!(faults(&shown), ["bad_citation"]);
    assert_eq!(outcome(&ended), "no_change");
}

#[test]
fn a_file_that_the_change_does_not_touch_is_marked_where_it_is_cited_as_changed() {
    let scene = Scene::where_model_says([
        Turn::shell("cat slugs/unique.py"),
        Turn::shell(
            "echo '- More.' >> README.md && git add -A && git commit -q -m 'More' && python3 -m unittest discover -s tests -p 'test_unique.py'",
        ),
        Turn::say(
            "`unique_slug` is mended 【F:slugs/unique.py†L13】. The tests named were not run whole.",
        ),
        Turn::say(
            "`unique_slug` is mended 【F:slugs/unique.py†L13】. The tests named were not run whole.",
        ),
    ]);
    scene.run(&[]).expect_code(0);
    assert_eq!(verdicts(&scene.show("1")), ["resolved unchanged"]);
}

#[test]
fn a_check_that_passes_only_through_an_ignored_file_fails_where_it_is_clean() {
    let scene = liar("ignored-file");
    let check = |name: &str, clean: bool| {
        format!(
            "[[checks]]\nname = \"{name}\"\ncommand = \"test -f __pycache__/made_up\"\nclean = {clean}\n"
        )
    };
    let recipe = check("warm", false) + &check("clean", true);
    scene.repository.write(".quire/environment.toml", &recipe);
    scene.repository.commit("Declare checks");

    scene.run(&[]).expect_code(6);

    let shown = scene.show("1");
    let exits: Vec<_> = shown["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["check"]["name"].as_str().unwrap(), one["exit"].clone()))
        .collect();
    assert_eq!(exits, [("warm", json!({"code": 0})), ("clean", json!({"code": 1}))]);
    assert_eq!(
        shown["answer"]["faults"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["name"] == "clean")
            .count(),
        1
    );
    let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(text.contains("clean failed, exit 1 on the commit alone"), "{text}");
}

#[test]
fn tests_that_are_said_to_have_run_and_did_not_are_asked_for_once_and_then_shown() {
    let scene = Scene::where_model_says([
        Turn::shell("echo '- More.' >> README.md && git add -A && git commit -q -m 'More'"),
        Turn::say("Done, and all tests pass."),
        Turn::say("Done, and I promise that all tests pass."),
    ]);
    let ended = scene.run(&[]).expect_code(0);
    let told = told(&ended);
    assert_eq!(told.len(), 1, "asked once, never blocking: {told:?}");
    assert!(told[0].contains("python3 -m unittest discover -s tests"), "{told:?}");
    let shown = scene.show("1");
    assert_eq!(faults(&shown), ["checks_not_run"]);
    assert_eq!(
        shown["answer"]["faults"][0]["commands"],
        json!(["python3 -m unittest discover -s tests"])
    );
}

#[test]
fn output_that_the_model_made_up_itself_is_cited_as_what_it_is() {
    // It prints what a test run prints: the citation then shows the command that did.
    let scene = Scene::where_model_says([
        Turn::shell("echo 'Ran 9 tests in 0.001s'; echo; echo OK"),
        Turn::say("All tests pass 【{{chunk 1}}†L3】."),
    ]);
    scene.run(&[]).expect_code(0);
    let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(text.contains("`echo 'Ran 9 tests in 0.001s'; echo; echo OK`, exit 0"), "{text}");
}

#[test]
fn git_that_is_told_not_to_look_does_not_hide_what_was_left_and_leaves_nothing_behind() {
    // Each makes the agent's own `git status` blind to what is then written.
    let hidden = [
        "echo >> README.md; git update-index --assume-unchanged README.md",
        "echo >> README.md; git update-index --skip-worktree README.md",
        "git config core.fsmonitor .git/watch; printf '#!/bin/sh\nprintf \"t\\\\0\"\n' > .git/watch; \
         chmod +x .git/watch; git status; git status; echo >> README.md; git status --short; \
         printf '#!/bin/sh\ntouch junk\nprintf \"t\\\\0\"\n' > .git/watch",
        "git config status.showUntrackedFiles no; git config core.ignoreStat true; echo >> README.md; \
         git add README.md; git reset -q --soft; echo >> README.md",
    ];
    for line in hidden {
        let scene = Scene::where_model_says([
            Turn::shell(line),
            Turn::say("Nothing was changed."),
            Turn::say("Nothing was changed."),
            Turn::say("Nothing was changed."),
            Turn::say("Nothing was changed."),
        ]);
        let ended = scene.run(&[]).expect_code(0);
        let told = told(&ended);
        assert!(told.first().is_some_and(|told| told.contains("README.md")), "{line}: {told:?}");
        assert!(told.iter().all(|told| !told.contains("junk")), "{line}: {told:?}");
        let changed = scene.quire(["task", "diff", "1", "--stat"]).expect_code(0).stdout;
        assert!(changed.contains("README.md") && !changed.contains("junk"), "{line}: {changed}");
    }
}
