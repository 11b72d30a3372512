//! A host that allows no user namespaces: said before anything is done, with the setting to change.

use std::process::Command;

use quire_testkit::{Call, Turn};

use crate::scene::Scene;

/// In a user namespace of its own that allows no more of them: what the setting does to a host.
const NONE_ALLOWED: [&str; 5] = [
    "unshare",
    "-Ur",
    "sh",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"",
];

#[expect(clippy::print_stdout, reason = "a test says why it was skipped")]
fn can_be_played() -> bool {
    let mut trial = Command::new(NONE_ALLOWED[0]);
    let played = trial.args(&NONE_ALLOWED[1..]).arg("true").output();
    let can = played.is_ok_and(|out| out.status.success());
    if !can {
        println!("SKIPPED: no user namespace can be made here to forbid them in");
    }
    can
}

fn call(scene: &Scene, args: &[&str]) -> Call {
    scene.call(args.iter().copied()).beneath(&NONE_ALLOWED)
}

#[test]
fn a_host_without_user_namespaces_is_told_with_the_setting_before_a_model_is_asked() {
    let scene = Scene::where_model_says([Turn::shell("true"), Turn::say("Done.")]);
    if !can_be_played() {
        return;
    }
    for args in [
        &["run", "Go on."][..],
        &["run", "--json", "Go on."],
        &["ask", "Why?"],
        &["review"],
        &["sandbox", "--", "true"],
    ] {
        let ended = call(&scene, args).run().expect_code(9);
        for word in ["user namespace", "user.max_user_namespaces=10000", "sysctl"] {
            assert!(ended.stderr.contains(word), "`{word}` is missing: {}", ended.stderr);
        }
        // The system's own word for it is that of a full disk.
        assert!(!ended.stderr.contains("space left"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
    assert_eq!(scene.stage.requests().len(), 0, "the model was asked");
    let doctor = call(&scene, &["doctor"]).run().expect_code(9);
    assert!(doctor.stdout.contains("user.max_user_namespaces=10000"), "{}", doctor.stdout);
    let tasks = call(&scene, &["task", "list", "--json"]).run().expect_code(0);
    assert_eq!(tasks.stdout, "", "a task was left");
    // Nothing is left that would be in the way when the setting was changed.
    scene.quire(["run", "Go on."]).expect_code(0);
}
