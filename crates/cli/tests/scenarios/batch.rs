//! `quire run --from`: many tasks of a file in one process.

use std::time::Duration;

use quire_testkit::{Ended, KillAt, Turn};
use serde_json::Value;

use crate::scene::{Scene, expect_in_order};

/// A model that makes one commit and says so.
fn committing() -> Scene {
    Scene::where_model_says([
        Turn::shell("echo '- Said.' >> README.md && git commit -qam 'Say it'"),
        Turn::say("It is said; no tests were run."),
        Turn::say("It is said; no tests were run."),
    ])
}

fn from_file(scene: &Scene, lines: &str, more: &[&str]) -> Ended {
    let args = ["run", "--from", "-"].iter().chain(more).copied();
    scene.call(args).stdin(lines).run()
}

/// The events of one line of the file.
fn of_line(ended: &Ended, line: u64) -> Vec<Value> {
    ended.json().into_iter().filter(|event| event["line"] == line).collect()
}

fn tasks(scene: &Scene) -> usize {
    scene.quire(["task", "list", "--json"]).expect_code(0).json().len()
}

#[test]
fn two_tasks_of_a_file_run_at_once_and_each_has_its_own_change() {
    let scene = committing();
    scene.repository.write("tasks.jsonl", "{\"prompt\": \"Say it.\", \"id\": \"first\"}\n\n{\"prompt\": \"Say it too.\", \"check\": [\"test -s README.md\"]}\n");
    scene.repository.git(["add", "tasks.jsonl"]);
    scene.repository.commit("The tasks");
    let ended =
        scene.quire(["run", "--from", "tasks.jsonl", "--parallel", "2", "--json"]).expect_code(0);
    let (first, second) = (of_line(&ended, 1), of_line(&ended, 3));
    for events in [&first, &second] {
        let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        assert_eq!(events.last().unwrap()["kind"], "finished");
        assert_eq!(events.last().unwrap()["body"]["outcome"]["outcome"], "changed");
    }
    assert!(first.iter().all(|event| event["id"] == "first"));
    assert!(second.iter().all(|event| event["id"].is_null()));
    assert_ne!(first[0]["task"], second[0]["task"]);
    // Both had begun before either had ended.
    let kinds = ended.kinds();
    let end = kinds.iter().position(|kind| kind == "finished").unwrap();
    let begun = kinds[..end].iter().filter(|kind| *kind == "submitted").count();
    assert_eq!(begun, 2, "{kinds:?}");
    assert_eq!(scene.repository.git(["status", "--porcelain"]), "");
    for event in [&first[0], &second[0]] {
        let number = event["task"].to_string();
        expect_in_order(&scene.log(&number));
        scene.quire(["verify", &number]).expect_code(0);
        scene.quire(["task", "diff", &number]).expect_code(0);
    }
    assert_eq!(scene.show(&second[0]["task"].to_string())["checks"].as_array().unwrap().len(), 1);
}

#[test]
fn people_see_numbered_lines_and_a_table_at_the_end() {
    let scene = committing();
    let lines = "{\"prompt\": \"Say it.\", \"id\": \"first\"}\n{\"prompt\": \"Say it too.\"}\n";
    let ended = from_file(&scene, lines, &["--budget", "0.50"]).expect_code(0);
    assert!(ended.stderr.contains("2 tasks, 2 at once"), "{}", ended.stderr);
    assert!(ended.stderr.contains("at most $1.00"), "{}", ended.stderr);
    assert!(ended.stderr.lines().any(|line| line.starts_with("     1 ")), "{}", ended.stderr);
    assert!(!ended.stderr.contains("echo '- Said.'"), "commands are folded:\n{}", ended.stderr);
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stdout.contains('\u{1b}'));
    for part in ["id or prompt", "first", "Say it too.", "changed", "2 tasks · 2 changed"] {
        assert!(ended.stdout.contains(part), "{part} is missing:\n{}", ended.stdout);
    }
    let all = from_file(&scene, lines, &["-v"]).expect_code(0);
    assert!(all.stderr.contains("echo '- Said.'"), "{}", all.stderr);
}

#[test]
fn a_bad_line_is_told_with_its_number_and_nothing_starts() {
    let scene = committing();
    let lines = "{\"prompt\": \"Say it.\"}\n{\"promt\": \"Say it.\"}\n{\"prompt\": \"a\", \"attempts\": 9}\n";
    let ended = from_file(&scene, lines, &[]).expect_code(2);
    for part in ["line 2: unknown key `promt`; did you mean `prompt`?", "line 3: `attempts`"] {
        assert!(ended.stderr.contains(part), "{part} is missing:\n{}", ended.stderr);
    }
    let elsewhere = "{\"prompt\": \"Say it.\"}\n{\"prompt\": \"a\", \"repo\": \"/nowhere\"}\n";
    let ended = from_file(&scene, elsewhere, &[]).expect_code(2);
    assert!(ended.stderr.contains("line 2: "), "{}", ended.stderr);
    let no_ref = "{\"prompt\": \"a\", \"ref\": \"no-such\"}\n";
    let ended = from_file(&scene, no_ref, &[]).expect_code(2);
    assert!(ended.stderr.contains("line 1: "), "{}", ended.stderr);
    let no_model = "{\"prompt\": \"a\", \"model\": \"no/such\"}\n";
    let ended = from_file(&scene, no_model, &[]).expect_code(8);
    assert!(ended.stderr.contains("line 1: "), "{}", ended.stderr);
    from_file(&scene, "\n\n", &[]).expect_code(2);
    scene.quire(["run", "--from", "absent.jsonl"]).expect_code(2);
    scene.quire(["run", "--from", "-", "a prompt"]).expect_code(2);
    scene.quire(["run", "--parallel", "2", "a prompt"]).expect_code(2);
    assert_eq!(tasks(&scene), 0);
    assert_eq!(scene.stage.requests().len(), 0);
}

#[test]
fn a_line_names_the_environment_of_its_task() {
    let scene = committing();
    for name in ["web", "api"] {
        let recipe = format!("variables.WHO = '{name}'");
        scene.call(["env", "create", name, "--from", "-"]).stdin(recipe).run().expect_code(0);
    }
    let lines = "{\"prompt\": \"Say it.\", \"env\": \"web\"}\n{\"prompt\": \"Say it.\"}\n";
    let ended = from_file(&scene, lines, &["--env", "api", "--json"]).expect_code(0);
    for (line, name) in [(1, "web"), (2, "api")] {
        let submitted = &of_line(&ended, line)[0]["body"]["request"]["environment"];
        assert_eq!(
            (&submitted["name"], &submitted["variables"]["WHO"]),
            (&name.into(), &name.into())
        );
    }
    let lines = "{\"prompt\": \"Say it.\", \"env\": \"wbe\"}\n";
    let ended = from_file(&scene, lines, &[]).expect_code(2);
    assert!(ended.stderr.contains("did you mean `web`?"), "{}", ended.stderr);
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let scene = committing();
    let lines = "{\"prompt\": \"Say it.\", \"check\": \"false\", \"id\": \"red\"}\n\
         {\"prompt\": \"Say it.\", \"repo\": \"file:///nowhere/at/all\", \"id\": \"lost\"}\n\
         {\"prompt\": \"Say it.\", \"id\": \"green\"}\n";
    let ended = from_file(&scene, lines, &["--parallel", "1", "--json"]).expect_code(6);
    assert_eq!(of_line(&ended, 1).last().unwrap()["kind"], "finished");
    let lost = of_line(&ended, 2);
    assert_eq!((lost.len(), &lost[0]["kind"]), (1, &Value::from("not_started")), "{lost:?}");
    assert_eq!(lost[0]["id"], "lost");
    let green = of_line(&ended, 3);
    assert_eq!(green.last().unwrap()["body"]["outcome"]["outcome"], "changed");
    assert_eq!(tasks(&scene), 2);
}

#[test]
fn all_start_from_the_checkout_as_it_was_when_the_first_did() {
    let scene = committing();
    scene.repository.write("new.txt", "not committed\n");
    let lines = "{\"prompt\": \"Say it.\"}\n".repeat(3);
    let ended = from_file(&scene, &lines, &["--parallel", "1", "--json"]).expect_code(0);
    let bases = ended.bodies("base_captured");
    assert_eq!(bases.len(), 3);
    assert!(bases.iter().all(|base| base["base"] == bases[0]["base"]), "{bases:?}");
    assert!(bases.iter().all(|base| base["uncommitted"] == 1), "{bases:?}");
}

#[test]
fn ctrl_c_cancels_what_runs_and_starts_no_more() {
    let scene = Scene::where_model_says([Turn::shell("sleep 55"), Turn::say("Done.")]);
    let lines = "{\"prompt\": \"Wait.\"}\n".repeat(4);
    let ended = scene
        .call(["run", "--from", "-", "--parallel", "2", "--json"])
        .stdin(lines)
        .interrupted(KillAt::Nth("command_started", 2), 1)
        .expect_code(130);
    let took = ended.answered_in.unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!ended.left_behind);
    for line in [1, 2] {
        let last = of_line(&ended, line).last().unwrap().clone();
        assert_eq!(last["body"]["outcome"]["outcome"], "cancelled");
    }
    for line in [3, 4] {
        let told = of_line(&ended, line);
        assert_eq!((told.len(), &told[0]["kind"]), (1, &Value::from("not_started")));
        assert_eq!(told[0]["body"]["why"], "cancelled");
    }
    assert_eq!(tasks(&scene), 2, "what did not start is not recorded");
}

#[test]
fn ctrl_c_twice_stops_a_file_of_tasks_at_once() {
    let scene = Scene::where_model_says([
        Turn::shell("trap '' INT TERM; sleep 4"),
        Turn::say("Done; no tests were run."),
        Turn::say("Done; no tests were run."),
    ]);
    let lines = "{\"prompt\": \"Wait.\"}\n".repeat(3);
    let ended = scene
        .call(["run", "--from", "-", "--parallel", "2", "--json"])
        .stdin(lines)
        .interrupted(KillAt::Nth("command_started", 2), 2)
        .expect_code(130);
    let took = ended.answered_in.unwrap();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(!ended.left_behind);
}
