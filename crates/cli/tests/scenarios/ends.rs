//! Models that do not leave things as they should: told at most three times, then put right or
//! shown by the system.

use quire_testkit::Turn;
use serde_json::json;

use crate::scene::{Scene, commits, faults, outcome, shell_within, told};

/// A first turn, and then the same words as often as the gate asks.
fn stubborn(first: Turn, words: &str) -> Scene {
    let again = std::iter::repeat_n(Turn::say(words), 6);
    Scene::where_model_says(std::iter::once(first).chain(again))
}

#[test]
fn what_is_left_uncommitted_is_told_three_times_and_then_committed_by_the_system() {
    let scene = stubborn(
        Turn::shell("echo scratch > scratch.txt && echo '- More.' >> README.md"),
        "Done; no tests were run.",
    );
    let ended = scene.run(&[]).expect_code(0);
    let told = told(&ended);
    assert_eq!(told.len(), 3, "{told:?}");
    for text in &told {
        assert!(text.contains("`README.md`, `scratch.txt`") && text.contains("Commit"), "{text}");
    }
    assert_eq!(scene.stage.requests().len(), 5, "the model is not asked a fifth time for an end");
    let made = commits(&ended);
    assert!(made.len() == 1 && made[0].starts_with("system: "), "{made:?}");
    assert!(faults(&scene.show("1")).contains(&"dirty"));
    let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(text.contains("Fault    ") && text.contains("scratch.txt"), "{text}");
    let stat = scene.quire(["task", "diff", "1", "--stat"]).expect_code(0).stdout;
    assert!(stat.contains("README.md") && stat.contains("scratch.txt"), "{stat}");
}

#[test]
fn a_file_that_git_cannot_take_keeps_none_of_the_others_out() {
    let scene = stubborn(
        Turn::shell(
            "echo kept > kept.txt && git add -A && git commit -qm 'Keep' && echo '- More.' >> \
             README.md && echo x > closed.txt && chmod 0 closed.txt && echo y > '.git '",
        ),
        "Done; no tests were run.",
    );
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(commits(&ended), ["agent: Keep", "system: Work that was not committed"]);
    let stat = scene.quire(["task", "diff", "1", "--stat"]).expect_code(0).stdout;
    assert!(stat.contains("kept.txt") && stat.contains("README.md"), "{stat}");
    assert!(faults(&scene.show("1")).contains(&"dirty"));
}

#[test]
fn where_git_can_take_nothing_the_commits_are_handed_back_as_the_agents_own() {
    let scene = stubborn(
        Turn::shell("echo k > k.txt && git add -A && git commit -qm 'Keep' && echo y > '.git '"),
        "Done; no tests were run.",
    );
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(commits(&ended), ["agent: Keep"]);
    assert!(faults(&scene.show("1")).contains(&"dirty"));
}

#[test]
fn a_commit_that_was_forgotten_is_made_when_told_and_no_fault_stays() {
    let scene = Scene::where_model_says([
        Turn::shell("echo '- More.' >> README.md"),
        Turn::say("Done."),
        Turn::shell("git commit -qam 'Say more' && python3 -m unittest discover -s tests"),
        Turn::say(
            "Done; two tests failed before, and still do 【{{chunk 2}}†L{{line 2 /^FAILED/}}】.",
        ),
    ]);
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(told(&ended).len(), 1);
    assert_eq!(commits(&ended), ["agent: Say more"]);
    assert_eq!(faults(&scene.show("1")), Vec::<&str>::new());
}

#[test]
fn commits_on_another_branch_are_told_shown_and_still_handed_back() {
    let scene = stubborn(
        Turn::shell(
            "git switch -qc other && echo '- More.' >> README.md && git commit -qam 'Say more'",
        ),
        "Done; no tests were run.",
    );
    let ended = scene.run(&[]).expect_code(0);
    let told = told(&ended);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("The branch is `other` and was `main` at the start"), "{told:?}");
    let shown = scene.show("1");
    assert!(faults(&shown).contains(&"branch_changed"), "{shown}");
    assert_eq!(commits(&ended), ["agent: Say more"]);
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert!(scene.repository.read("README.md").ends_with("- More.\n"));
    assert_eq!(scene.repository.git(["branch", "--format=%(refname)"]), "refs/heads/main\n");
}

#[test]
fn a_branch_that_was_switched_back_when_told_is_no_fault() {
    let scene = Scene::where_model_says([
        Turn::shell(
            "git switch -qc other && echo '- More.' >> README.md && git commit -qam 'Say more'",
        ),
        Turn::say("Done."),
        Turn::shell(
            "git switch -q main && git merge -q --ff-only other && python3 -m unittest discover -s tests; true",
        ),
        Turn::say(
            "Done; two tests failed before, and still do 【{{chunk 2}}†L{{line 2 /^FAILED/}}】.",
        ),
    ]);
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(told(&ended).len(), 1);
    assert_eq!(faults(&scene.show("1")), Vec::<&str>::new());
}

#[test]
fn rewritten_history_is_told_and_shown_and_recorded_as_wished_where_it_was_allowed() {
    let amend = "echo more >> README.md && git add -A && git commit -q --amend -m 'Better'";
    let scene = stubborn(Turn::shell(amend), "Done; no tests were run.");
    let ended = scene.run(&[]);
    let texts = told(&ended);
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains("no longer part of the history"), "{texts:?}");
    assert!(faults(&scene.show("1")).contains(&"history_rewritten"));

    let allowed = scene.run(&["--allow-rewrite"]).expect_code(0);
    assert!(told(&allowed).iter().all(|text| !text.contains("part of the history")));
    assert!(!faults(&scene.show("2")).contains(&"history_rewritten"));
    assert_eq!(allowed.bodies("submitted")[0]["request"]["allow_rewrite"], true);
}

#[test]
fn a_command_left_running_is_told_and_ended_with_the_attempt() {
    let scene = stubborn(shell_within("sleep 600", 1), "Nothing to do.");
    let ended = scene.run(&[]).expect_code(0);
    let texts = told(&ended);
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains("`sleep 600` still runs"), "{texts:?}");
    assert!(faults(&scene.show("1")).contains(&"command_runs"));
    assert_eq!(ended.bodies("command_finished")[0]["ended_by"], "attempt_end");
    assert!(!ended.left_behind, "something outlived the run");
}

#[test]
fn a_process_in_the_background_does_not_hold_up_the_end_and_is_gone_after_it() {
    let marker = format!("98{}", std::process::id());
    let command = format!("setsid sleep {marker} >/dev/null 2>&1 & disown; echo started");
    let scene = stubborn(Turn::shell(&command), "It runs.");
    let ended = scene.run(&[]).expect_code(0);
    assert!(ended.took.as_secs() < 20, "{:?}", ended.took);
    assert!(!ended.left_behind);
    let alive = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line == format!("sleep\0{marker}\0").into_bytes()
    });
    assert!(!alive, "`sleep {marker}` outlived the run");
}

#[test]
fn the_hook_of_the_checkout_is_met_mended_and_passed() {
    let mut scene = Scene::of("python-slugs");
    scene.stage.plays_file("hostile/untidy").conversation("failing-hook");
    scene.repository.refuse_tabs();
    let ended = scene.run(&[]).expect_code(0);
    let finished = ended.bodies("command_finished");
    let codes: Vec<_> = finished.iter().map(|one| one["exit"].clone()).collect();
    assert_eq!(codes[..2], [json!({"code": 1}), json!({"code": 0})]);
    let answer = ended.bodies("tool_answered")[0]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert!(answer.contains("pre-commit: a tab was added"), "{answer}");
    assert_eq!(commits(&ended), ["agent: Say more"]);
}

#[test]
fn a_hook_of_core_hooks_path_is_carried_in_too() {
    let scene = Scene::where_model_says([
        Turn::shell("echo '- More.' >> README.md && git commit -qam 'Say more'"),
        Turn::shell("git commit -qam 'Say more, ticket 7' && git log --format=%s -n 1"),
        Turn::say("Committed 【{{chunk 2}}†L1】; no tests were run."),
        Turn::say("Committed 【{{chunk 2}}†L1】; no tests were run."),
    ]);
    let hook =
        "#!/bin/sh\ngrep -q ticket \"$1\" || { echo 'commit-msg: name a ticket' >&2; exit 1; }\n";
    scene.repository.hook("commit-msg", hook);
    scene.repository.git(["config", "core.hooksPath", "tools/hooks"]);
    std::fs::create_dir_all(scene.repository.path().join("tools")).unwrap();
    std::fs::rename(
        scene.repository.path().join(".git/hooks"),
        scene.repository.path().join("tools/hooks"),
    )
    .unwrap();
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(commits(&ended), ["agent: Say more, ticket 7"]);
    assert_eq!(outcome(&ended), "changed");
}

#[test]
fn a_failing_check_goes_back_once_with_its_output_and_an_honest_answer_stands() {
    let scene = stubborn(
        Turn::shell("echo '- More.' >> README.md && git commit -qam 'Say more'"),
        "The README says more. Two tests fail as before; they are not mine to mend.",
    );
    let check = "python3 -m unittest discover -s tests";
    let ended = scene.run(&["--check", check]).expect_code(6);
    let checks: Vec<String> = told(&ended)
        .into_iter()
        .filter(|text| text.contains("fails on your final commit"))
        .collect();
    assert_eq!(checks.len(), 1, "{checks:?}");
    assert!(checks[0].contains("FAILED (failures=2)"), "{checks:?}");
    assert_eq!(outcome(&ended), "changed");
    assert!(faults(&scene.show("1")).contains(&"check_failed"));

    let skipped = scene.run(&["--check", check, "--skip-checks"]).expect_code(0);
    assert!(!skipped.kinds().contains(&"check_finished".to_owned()));
    assert_eq!(skipped.bodies("submitted")[0]["request"]["skip_checks"], true);
}
