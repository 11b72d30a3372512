//! Calls on a stage: what they print is kept, and they end when they are told to.

#![allow(clippy::unwrap_used, reason = "a stand-in that cannot be made is a failed test")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use quire_testkit::{KillAt, Stage, Turn};

/// A program that stands where `quire` would.
fn stand_in(dir: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = dir.path().join("debug/quire");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn output_and_exit_code_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::new(stand_in(&dir, "cat; echo \"$1 in $HOME\"; echo no >&2; exit 7"));
    let ended = stage.quire(["run"]).stdin("words\n").run().expect_code(7);
    assert_eq!(ended.stdout, format!("words\nrun in {}\n", stage.home().display()));
    assert_eq!(ended.stderr, "no\n");
    assert!(!ended.left_behind);
}

#[test]
fn a_call_is_killed_at_the_event_that_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo '{\"kind\":\"submitted\",\"body\":{\"n\":1}}'; \
                  echo '{\"kind\":\"claimed\",\"body\":{}}'; exec sleep 60";
    let stage = Stage::new(stand_in(&dir, script));
    let ended = stage.quire(["run", "--json"]).killed(KillAt::Event("claimed"));
    assert!(ended.was_killed());
    assert_eq!(ended.kinds(), ["submitted", "claimed"]);
    assert_eq!(ended.bodies("submitted")[0]["n"], 1);
    let soon = stage.quire(["run"]).killed(KillAt::After(Duration::from_millis(50)));
    assert!(soon.was_killed() && soon.took < Duration::from_secs(5), "{:?}", soon.took);
}

#[test]
fn what_is_left_behind_with_the_output_open_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::new(stand_in(&dir, "sleep 7 & exit 0"));
    assert!(stage.quire(["run"]).run().left_behind);
}

#[test]
fn a_played_model_can_be_reached_from_the_stage() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(stand_in(&dir, "echo $QUIRE_SCRIPTED_URL $QUIRE_MODEL"));
    assert_eq!(stage.quire(["run"]).run().stdout, "\n");
    stage.model_says([Turn::say("hello")]).conversation("demo");
    let url = stage.model_url().unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/demo/v1"), "{url}");
    assert_eq!(stage.quire(["run"]).run().stdout, format!("{url} scripted/demo\n"));
}
