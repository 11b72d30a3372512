//! The bundled scripts solve the bundled tasks: what the demo shows, held by a test.

#![allow(clippy::unwrap_used, reason = "what is not there is a failed test")]

use quire_testkit::{Ended, Stage};
use serde_json::Value;

fn outcome(ended: &Ended) -> String {
    let finished = ended.bodies("finished");
    finished.last().unwrap()["outcome"]["outcome"].as_str().unwrap_or_default().to_owned()
}

/// Every citation of the answer resolved, and none is marked.
fn expect_sound_citations(ended: &Ended, at_least: usize) {
    let cited = ended.bodies("cited");
    assert!(cited.len() >= at_least, "{} citations", cited.len());
    for citation in cited {
        assert_eq!(citation["verdict"]["verdict"], "resolved", "{citation}");
        assert!(citation["verdict"]["marks"].as_array().is_none_or(Vec::is_empty), "{citation}");
    }
}

fn commands(ended: &Ended) -> Vec<(String, Value)> {
    let started = ended.bodies("command_started");
    let finished = ended.bodies("command_finished");
    let exit_of = |chunk: &Value| {
        let of_chunk = finished.iter().find(|one| one["chunk"]["id"] == *chunk);
        of_chunk.map_or(Value::Null, |one| one["exit"].clone())
    };
    started
        .iter()
        .map(|one| (one["command"].as_str().unwrap().to_owned(), exit_of(&one["chunk"])))
        .collect()
}

fn exits(ended: &Ended, command: &str) -> Vec<Value> {
    commands(ended).into_iter().filter(|(text, _)| text == command).map(|(_, exit)| exit).collect()
}

#[test]
fn the_bug_in_python_slugs_is_seen_mended_tested_and_committed() {
    let mut stage = Stage::built();
    stage.plays_file("python-slugs");
    let repository = stage.repository("python-slugs");
    let before = repository.fingerprint();

    let ended = stage
        .quire(["run", "--json", "Make the failing tests pass."])
        .in_repository(&repository)
        .run()
        .expect_code(0);

    assert_eq!(outcome(&ended), "changed");
    let tests = exits(&ended, "python3 -m unittest discover -s tests");
    assert_eq!(tests, [serde_json::json!({"code": 1}), serde_json::json!({"code": 0})]);
    expect_sound_citations(&ended, 4);
    assert_eq!(ended.bodies("gate_failed"), Vec::<Value>::new());
    assert_eq!(repository.fingerprint(), before, "the checkout was touched");

    stage.quire(["verify", "1"]).run().expect_code(0);
    stage.quire(["task", "apply", "1"]).in_repository(&repository).run().expect_code(0);
    assert!(repository.read("slugs/slugify.py").contains("rpartition"));
}

#[test]
fn the_feature_of_node_csv_is_built_with_a_test_that_fails_first() {
    let mut stage = Stage::built();
    stage.plays_file("node-csv");
    let ended = stage
        .quire(["run", "--json", "Let parse and format take another delimiter."])
        .in_repository(&stage.repository("node-csv"))
        .run()
        .expect_code(0);
    assert_eq!(outcome(&ended), "changed");
    let codes: Vec<Value> = [0, 1, 0].map(|code| serde_json::json!({"code": code})).into();
    assert_eq!(exits(&ended, "node --test"), codes);
    expect_sound_citations(&ended, 7);
    stage.quire(["verify", "1"]).run().expect_code(0);
}

#[test]
fn the_question_about_rust_sessions_is_answered_with_files_alone() {
    let mut stage = Stage::built();
    stage.plays_file("rust-sessions");
    let repository = stage.repository("rust-sessions");
    let before = repository.fingerprint();
    let ended = stage
        .quire(["ask", "--json", "Where are sessions expired?"])
        .in_repository(&repository)
        .run()
        .expect_code(0);
    assert_eq!(outcome(&ended), "answered");
    expect_sound_citations(&ended, 7);
    assert_eq!(repository.fingerprint(), before, "the checkout was touched");
    stage.quire(["verify", "1"]).run().expect_code(0);
}
