//! Secrets: values that come in by standard input and are seen nowhere afterwards.

use std::os::unix::process::ExitStatusExt;

use quire_testkit::{Call, Ended, KillAt};

use crate::scene::{Bytes, Scene};

const VALUE: &str = "tok-4f/9c+21 \"Q\u{e4}z\"";

fn scene() -> Scene {
    let scene = Scene::where_model_says([]);
    scene.repository.write(".quire/environment.toml", "name = \"web\"\nsecrets = [\"TOKEN\"]\n");
    scene
}

fn set(scene: &Scene, args: &[&str], value: &str) -> Ended {
    let args = ["env", "secret", "set"].iter().chain(args).copied();
    scene.call(args).stdin(value).run()
}

/// Panics with the names of files that hold the value.
fn expect_nowhere(scene: &Scene, value: &str) {
    let all = Bytes::of(scene.stage.path());
    let held = all.holding(value.as_bytes());
    assert!(held.is_empty(), "the value lies in {held:?}");
}

#[test]
fn a_secret_is_set_listed_and_deleted_and_its_value_is_nowhere() {
    let scene = scene();
    let list = || scene.quire(["env", "secret", "list", "--json"]).expect_code(0);
    assert_eq!(list().json()[0]["version"], serde_json::Value::Null);
    let first = set(&scene, &["TOKEN"], &format!("{VALUE}\n")).expect_code(0);
    assert!(first.stderr.contains("set TOKEN of web, version 1"), "{}", first.stderr);
    let second = set(&scene, &["TOKEN", "--json"], VALUE).expect_code(0);
    let line = &second.json()[0];
    assert_eq!((&line["version"], &line["used"]), (&2.into(), &true.into()));
    assert_eq!(list().json()[0]["version"], 2);
    let shown = scene.quire(["env", "show", "--json"]).expect_code(0);
    for ended in [&first, &second, &list(), &shown, &scene.quire(["env", "show"])] {
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!text.contains(VALUE) && !text.contains("tok-4f"), "{text}");
    }
    expect_nowhere(&scene, "tok-4f");
    let key = scene.stage.data().join("keys/secrets.key");
    assert_eq!(std::fs::metadata(&key).unwrap().len(), 32);

    scene.quire(["env", "secret", "delete", "TOKEN"]).expect_code(0);
    let gone = scene.quire(["env", "secret", "delete", "TOKEN"]).expect_code(2);
    assert!(gone.stderr.contains("`quire env secret list`"), "{}", gone.stderr);
    // A third value is a third version: a snapshot that was made with the first is not its.
    let third = set(&scene, &["TOKEN", "--json"], VALUE).expect_code(0);
    assert_eq!(third.json()[0]["version"], 3);
}

#[test]
fn a_value_on_the_command_line_is_neither_taken_nor_repeated() {
    let scene = scene();
    for args in [&["TOKEN", VALUE][..], &["TOKEN=tok-4f/9c"], &["TOKEN", "--json", VALUE]] {
        let ended = set(&scene, args, "").expect_code(2);
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!text.contains("tok-4f") && text.contains("standard input"), "{text}");
    }
    for (args, value, said) in [
        (&["TOKEN"][..], "", "is empty"),
        (&["TOKEN"], "\n", "is empty"),
        (&["TOKEN"], "a\0b", "no text"),
        (&["1TOKEN"], "x", "is no name"),
        (&["LD_PRELOAD"], "x", "would steer"),
        (&["TOKEN", "--env", "nowhere"], "x", "no environment `nowhere`"),
        (&["TOKEN"], &"x".repeat((64 << 10) + 1), "longer than 64 KiB"),
    ] {
        let ended = set(&scene, args, value).expect_code(2);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
    let unset = scene.quire(["env", "secret", "list", "--json"]).json();
    assert_eq!(unset[0]["version"], serde_json::Value::Null);
}

#[test]
fn what_is_short_or_common_is_refused_and_what_nobody_uses_is_told() {
    let scene = scene();
    for (value, why) in [("abc12", "shorter than 8 bytes"), ("password", "plain word")] {
        let ended = set(&scene, &["TOKEN"], value).expect_code(2);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
        assert!(!ended.stderr.contains(value), "{}", ended.stderr);
    }
    let list = scene.quire(["env", "secret", "list", "--json"]).expect_code(0);
    assert_eq!(list.json()[0]["version"], serde_json::Value::Null);
    let unused = set(&scene, &["OTHER"], VALUE).expect_code(0);
    assert!(unused.stderr.contains("web does not use it yet"), "{}", unused.stderr);
}

#[test]
fn the_secrets_of_a_recipe_are_those_of_its_repository_alone() {
    let scene = scene();
    set(&scene, &["TOKEN"], VALUE).expect_code(0);
    let other = scene.stage.repository("rust-sessions");
    other.write(".quire/environment.toml", "name = \"web\"\nsecrets = [\"TOKEN\"]\n");
    let there = scene.stage.quire(["env", "secret", "list", "--json"]).in_repository(&other).run();
    assert_eq!(there.expect_code(0).json()[0]["version"], serde_json::Value::Null);
    // A stored one of the same name is another one.
    let create = scene.call(["env", "create", "web", "--from", "-"]).stdin("secrets = ['TOKEN']");
    create.run().expect_code(0);
    let stored = scene.quire(["env", "secret", "list", "--env", "web", "--json"]).expect_code(0);
    assert_eq!(stored.json()[0]["version"], serde_json::Value::Null);
    let root = std::path::Path::new("/");
    let outside = scene.call(["env", "secret", "list"]).in_dir(root).run();
    let outside = outside.expect_code(2);
    assert!(outside.stderr.contains("--env NAME"), "{}", outside.stderr);
}

#[test]
fn a_key_that_others_can_read_or_that_was_named_and_is_not_there_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let scene = scene();
    set(&scene, &["TOKEN"], VALUE).expect_code(0);
    let key = scene.stage.data().join("keys/secrets.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = set(&scene, &["TOKEN"], VALUE).expect_code(2);
    assert!(open.stderr.contains("chmod 600"), "{}", open.stderr);
    let call = |file: &str| -> Call {
        let call = scene.call(["env", "secret", "set", "TOKEN"]).stdin(VALUE);
        call.env("QUIRE_SECRETS_KEY_FILE", file)
    };
    let missing = call("/nowhere/key").run().expect_code(2);
    assert!(missing.stderr.contains("QUIRE_SECRETS_KEY_FILE"), "{}", missing.stderr);
    call("relative").run().expect_code(2);
    let own = scene.stage.path().join("own.key");
    std::fs::write(&own, [7; 32]).unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o600)).unwrap();
    call(own.to_str().unwrap()).run().expect_code(0);
}

#[test]
fn a_crash_leaves_no_core_and_the_command_line_no_value() {
    let scene = scene();
    // It waits for the rest of the value and dies meanwhile, with core dumps allowed.
    let script = format!(
        "ulimit -c unlimited 2>/dev/null; printf '{}' > value; mkfifo pipe; \
         (cat value; exec sleep 5) > pipe & writer=$!; \"$@\" < pipe & quire=$!; sleep 1; \
         cat /proc/$quire/cmdline | tr '\\0' ' '; kill -ABRT $quire; wait $quire; code=$?; \
         kill $writer; rm -f value pipe; exit $code",
        "tok-4f9c21Q"
    );
    let dir = tempfile::tempdir().unwrap();
    let call = scene.stage.quire(["env", "secret", "set", "TOKEN", "--env", "web"]);
    scene.env_named_web();
    let ended = call.beneath(&["bash", "-c", &script, "bash"]).in_dir(dir.path()).run();
    assert_eq!(ended.code(), Some(128 + 6), "{ended:?}");
    assert!(ended.stdout.contains("secret set TOKEN") && !ended.stdout.contains("tok-4f9c21Q"));
    assert!(!ended.stderr.contains("core dumped"), "{}", ended.stderr);
    let all = Bytes::of(dir.path());
    let held = all.holding(b"tok-4f9c21Q");
    assert!(held.is_empty(), "the value lies in {held:?}");
}

#[test]
fn where_the_key_is_gone_or_another_the_list_says_what_to_set_anew() {
    let scene = scene();
    set(&scene, &["TOKEN"], VALUE).expect_code(0);
    set(&scene, &["OTHER"], VALUE).expect_code(0);
    let list = || scene.quire(["env", "secret", "list"]).expect_code(0);
    assert!(!list().stdout.contains("does not open") && list().stderr.is_empty());
    std::fs::remove_file(scene.stage.data().join("keys/secrets.key")).unwrap();
    let gone = list();
    assert!(gone.stdout.contains("does not open: `quire env secret set TOKEN`"), "{}", gone.stdout);
    assert!(gone.stderr.contains("from a backup"), "{}", gone.stderr);
    // Setting one makes a key; the other is still sealed with the one before.
    set(&scene, &["TOKEN"], VALUE).expect_code(0);
    let other = scene.quire(["env", "secret", "list", "--json"]).expect_code(0).json();
    let opens: Vec<_> = other.iter().map(|one| (&one["name"], &one["opens"])).collect();
    assert_eq!(opens, [(&"OTHER".into(), &false.into()), (&"TOKEN".into(), &true.into())]);
    assert!(list().stderr.contains("sealed with the key"), "{}", list().stderr);
}

impl Scene {
    fn env_named_web(&self) {
        let call = self.call(["env", "create", "web", "--from", "-"]);
        call.stdin("secrets = ['TOKEN']").run().expect_code(0);
    }
}

#[test]
fn a_kill_in_the_middle_leaves_a_key_and_a_store_that_work() {
    let scene = scene();
    for ms in [1, 5, 10, 20, 40] {
        let call = scene.call(["env", "secret", "set", "TOKEN"]).stdin(VALUE);
        let killed = call.killed(KillAt::After(std::time::Duration::from_millis(ms)));
        assert!(killed.status.success() || killed.status.signal() == Some(9), "{killed:?}");
    }
    set(&scene, &["TOKEN"], VALUE).expect_code(0);
    expect_nowhere(&scene, "tok-4f");
}
