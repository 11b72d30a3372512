//! Models that lie, leave a mess or call what is not there: each is caught, marked or told, and the
//! attempt ends in order.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what is not there is a failed test")]

use quire_testkit::{Ended, Repository, Stage, hostile};
use serde_json::Value;

struct Scene {
    stage: Stage,
    repository: Repository,
}

impl Scene {
    fn of(script: &str, conversation: &str) -> Self {
        let mut stage = Stage::built();
        stage.plays_file(script).conversation(conversation);
        let repository = stage.repository("python-slugs");
        Self { stage, repository }
    }

    fn run(&self, more: &[&str]) -> Ended {
        let args = ["run", "--json", "Do as you see fit."].iter().chain(more);
        self.stage.quire(args).in_repository(&self.repository).run()
    }
}

fn outcome(ended: &Ended) -> String {
    let finished = ended.bodies("finished");
    let last = finished.last().unwrap_or_else(|| panic!("no end: {}", ended.stderr));
    last["outcome"]["outcome"].as_str().unwrap_or_default().to_owned()
}

/// The faults that stand beside the accepted answer.
fn faults(ended: &Ended) -> Vec<String> {
    let answered = ended.bodies("answered");
    let last = answered.last().expect("an answer");
    let faults = last["faults"].as_array().cloned().unwrap_or_default();
    faults.iter().map(|fault| fault["fault"].as_str().unwrap_or_default().to_owned()).collect()
}

fn marks(ended: &Ended) -> Vec<Value> {
    let cited = ended.bodies("cited");
    cited
        .iter()
        .flat_map(|one| one["verdict"]["marks"].as_array().cloned().unwrap_or_default())
        .collect()
}

#[test]
fn a_green_run_from_before_the_last_edit_is_sent_back_and_stays_marked() {
    let ended = Scene::of("hostile/liar", "stale-run").run(&[]).expect_code(0);
    let told = ended.bodies("gate_failed");
    let stale = |gate: &Value| gate["faults"].to_string().contains("stale_citation");
    assert!(told.iter().any(stale), "{told:?}");
    assert!(faults(&ended).contains(&"stale_citation".to_owned()), "{:?}", faults(&ended));
    assert!(marks(&ended).iter().any(|mark| mark == "stale"), "{:?}", ended.bodies("cited"));
}

#[test]
fn a_line_that_was_never_seen_is_marked() {
    let ended = Scene::of("hostile/liar", "unseen-line").run(&[]).expect_code(0);
    assert_eq!(outcome(&ended), "no_change");
    assert!(marks(&ended).iter().any(|mark| mark == "unseen"), "{:?}", ended.bodies("cited"));
}

#[test]
fn citations_that_lead_nowhere_are_sent_back_and_rejected() {
    let ended = Scene::of("hostile/liar", "no-such-change").run(&[]).expect_code(0);
    assert_eq!(outcome(&ended), "no_change");
    assert!(ended.bodies("gate_failed").len() >= 3);
    assert!(faults(&ended).contains(&"bad_citation".to_owned()), "{:?}", faults(&ended));
    let verdicts: Vec<Value> =
        ended.bodies("cited").iter().map(|one| one["verdict"]["verdict"].clone()).collect();
    assert!(verdicts.iter().all(|verdict| verdict == "rejected"), "{verdicts:?}");
}

#[test]
fn a_clean_check_is_not_helped_by_a_file_that_git_ignores() {
    let scene = Scene::of("hostile/liar", "ignored-file");
    let check =
        "[[checks]]\nname = \"made up\"\ncommand = \"test -f __pycache__/made_up\"\nclean = true\n";
    scene.repository.write(".quire/environment.toml", check);
    scene.repository.commit("Declare a check");
    let ended = scene.run(&[]).expect_code(6);
    let checks = ended.bodies("check_finished");
    assert!(
        !checks.is_empty()
            && checks.iter().all(|one| one["exit"] != serde_json::json!({"code": 0})),
        "{checks:?}"
    );
    assert!(faults(&ended).contains(&"check_failed".to_owned()), "{:?}", faults(&ended));
}

#[test]
fn what_is_left_uncommitted_is_told_and_at_last_committed_by_the_system() {
    let ended = Scene::of("hostile/untidy", "dirty").run(&[]).expect_code(0);
    assert_eq!(ended.bodies("gate_failed").len(), 3, "{:?}", ended.bodies("gate_failed"));
    assert!(faults(&ended).contains(&"dirty".to_owned()));
    let by: Vec<Value> = ended.bodies("committed").iter().map(|one| one["by"].clone()).collect();
    assert_eq!(by, ["system"]);
}

#[test]
fn a_model_that_forgot_to_commit_does_so_when_told() {
    let ended = Scene::of("hostile/untidy", "forgets-to-commit").run(&[]).expect_code(0);
    assert_eq!(outcome(&ended), "changed");
    let by: Vec<Value> = ended.bodies("committed").iter().map(|one| one["by"].clone()).collect();
    assert_eq!(by, ["agent"]);
    assert!(!faults(&ended).contains(&"dirty".to_owned()));
}

#[test]
fn a_failing_hook_is_met_mended_and_passed() {
    let scene = Scene::of("hostile/untidy", "failing-hook");
    scene.repository.refuse_tabs();
    let ended = scene.run(&[]).expect_code(0);
    let codes: Vec<Value> =
        ended.bodies("command_finished").iter().map(|one| one["exit"]["code"].clone()).collect();
    assert_eq!(codes[..2], [1, 0]);
    scene.stage.quire(["task", "apply", "1"]).in_repository(&scene.repository).run().expect_code(0);
    assert!(scene.repository.read("README.md").ends_with("\n- More.\n"));
}

#[test]
fn rewritten_history_is_told_and_shown() {
    let ended = Scene::of("hostile/untidy", "rewrites-history").run(&[]);
    assert!(faults(&ended).contains(&"history_rewritten".to_owned()), "{:?}", faults(&ended));
}

#[test]
fn a_command_that_still_runs_is_told_and_ended() {
    let scene = Scene::of("hostile/untidy", "leaves-it-running");
    let ended = scene.run(&[]).expect_code(0);
    assert!(faults(&ended).contains(&"command_runs".to_owned()), "{:?}", faults(&ended));
    let finished = ended.bodies("command_finished");
    assert_eq!(finished.last().unwrap()["ended_by"], "attempt_end");
    assert!(!ended.left_behind);
}

#[test]
fn bad_arguments_are_told_to_the_model_and_the_attempt_goes_on() {
    let ended = Scene::of("hostile/malformed", "bad-arguments").run(&[]).expect_code(0);
    assert_eq!(outcome(&ended), "no_change");
    let answers = ended.bodies("tool_answered");
    assert_eq!(answers.iter().filter(|one| one["ok"] == false).count(), 5, "{answers:?}");
    assert_eq!(ended.bodies("cited")[0]["verdict"]["text"], "well");
}

#[test]
fn tools_that_do_not_exist_are_told_to_the_model() {
    let ended = Scene::of("hostile/malformed", "unknown-tools").run(&[]).expect_code(0);
    let answers = ended.bodies("tool_answered");
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|one| one["ok"] == false), "{answers:?}");
}

#[test]
fn patches_that_do_not_fit_change_nothing() {
    let ended = Scene::of("hostile/malformed", "bad-patches").run(&[]).expect_code(0);
    assert_eq!(ended.bodies("patch_rejected").len(), 3);
    assert_eq!(ended.bodies("patch_applied"), Vec::<Value>::new());
    assert_eq!(ended.bodies("cited")[0]["verdict"]["text"], "clean");
}

#[test]
fn a_model_that_says_nothing_comes_to_an_end() {
    let ended = Scene::of("hostile/malformed", "empty").run(&[]);
    assert!(!ended.bodies("finished").is_empty(), "{}", ended.stderr);
}

#[test]
fn the_same_call_for_ever_ends_as_stuck() {
    let ended = Scene::of("hostile/malformed", "endless-same").run(&[]).expect_code(3);
    let finished = ended.bodies("finished");
    assert_eq!(finished[0]["outcome"]["kind"], "stuck", "{finished:?}");
}

#[test]
fn calls_for_ever_end_at_the_budget_and_can_go_on() {
    let scene = Scene::of("hostile/malformed", "endless-new");
    let ended = scene.run(&["--budget", "12c"]).expect_code(5);
    assert_eq!(ended.bodies("model_replied").len(), 12);
    let more = scene.stage.quire(["task", "resume", "1", "--budget", "15c", "--json"]).run();
    more.expect_code(5);
    assert_eq!(scene.stage.requests().len(), 15);
}

#[test]
fn what_a_provider_declines_ends_as_refused() {
    for conversation in ["refused", "filtered"] {
        let ended = Scene::of("hostile/malformed", conversation).run(&[]).expect_code(4);
        assert_eq!(outcome(&ended), "refused", "{conversation}");
    }
}

#[test]
fn a_bad_line_is_asked_again_and_costs_nothing_twice() {
    let ended = Scene::of("hostile/malformed", "bad-line").run(&[]).expect_code(0);
    assert_eq!(ended.bodies("command_started").len(), 3);
    assert_eq!(ended.bodies("cited")[0]["verdict"]["text"], "three");
}

fn run_with_argument_of(bytes: usize, more: &[&str]) -> Ended {
    let mut stage = Stage::built();
    stage.model_says(hostile::huge_argument(bytes));
    let repository = stage.repository("python-slugs");
    let args = ["run", "--json", "Go."].iter().chain(more);
    stage.quire(args).in_repository(&repository).run()
}

#[test]
fn an_argument_of_ten_megabytes_is_told_to_the_model_and_the_attempt_goes_on() {
    // It fills the window, and after that the script begins again: two calls show enough.
    let ended = run_with_argument_of(10_000_000, &["--budget", "2c"]).expect_code(5);
    let answers = ended.bodies("tool_answered");
    let told = answers[0]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert!(told.contains("10,000,014 bytes") && told.contains("is the limit"), "{told}");
    assert!(ended.kinds().contains(&"compacted".to_owned()));
}

#[test]
fn an_argument_without_end_is_an_end_that_says_why() {
    let ended = run_with_argument_of(16 << 20, &[]).expect_code(3);
    let finished = ended.bodies("finished");
    let detail = finished[0]["outcome"]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("larger than 10 MiB"), "{detail}");
}

#[test]
fn a_hundred_calls_in_one_reply_are_each_answered() {
    let mut stage = Stage::built();
    stage.model_says(hostile::many_calls(100));
    let repository = stage.repository("python-slugs");
    let ended =
        stage.quire(["run", "--json", "Go."]).in_repository(&repository).run().expect_code(0);
    assert_eq!(ended.bodies("tool_answered").len(), 100);
}
