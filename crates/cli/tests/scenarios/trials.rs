//! `quire env test` and `quire env shell`: an environment is tried as a task would have it, and
//! nothing but its snapshot stays.

use std::process::Command;
use std::thread;

use quire_testkit::{Ended, KillAt, Turn};
use serde_json::Value;

use crate::scene::{Scene, stage};

fn scene(recipe: &str) -> Scene {
    let scene = Scene::where_model_says([Turn::shell("cat ~/made"), Turn::say("Done.")]);
    recipe_is(&scene, recipe);
    scene
}

fn recipe_is(scene: &Scene, recipe: &str) {
    scene.repository.write(".quire/environment.toml", recipe);
    scene.repository.commit("Describe the environment");
}

/// `quire env test --json …`.
fn tested(scene: &Scene, args: &[&str]) -> (Ended, Value) {
    let ended = scene.quire(["env", "test", "--json"].iter().chain(args).copied());
    let value = serde_json::from_str(&ended.stdout);
    let value = value.unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended, value)
}

/// Nothing of a trial is left but snapshots.
fn expect_nothing_left(scene: &Scene) {
    for dir in ["uppers", "results", "layers/ways-out", "chunks"] {
        let left = std::fs::read_dir(scene.stage.data().join(dir)).into_iter().flatten();
        let left: Vec<_> = left.flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert_eq!(scene.quire(["task", "list", "--json"]).expect_code(0).stdout, "");
}

const CHECKED: &str = r#"
name = "web"
setup = "echo setting up; date +%s%N > ~/made"
[[checks]]
name = "good"
command = "echo looking; test -s ~/made"
[[checks]]
name = "clean one"
command = "test -s ~/made && test -z \"$(git status --short)\""
clean = true
"#;

#[test]
fn a_test_sets_up_and_checks_once_and_a_task_stands_on_its_snapshot() {
    let scene = scene(CHECKED);
    let before = scene.repository.fingerprint();
    let (first, value) = tested(&scene, &[]);
    first.clone().expect_code(0);
    for shown in ["│ setting up", "│ looking", "runs echo setting up"] {
        assert!(first.stderr.contains(shown), "{shown}: {}", first.stderr);
    }
    assert_eq!(value["result"], "passed");
    assert_eq!(value["snapshot"]["found"], "miss");
    assert_eq!(value["snapshot"]["why"], "the first of this environment");
    let inputs = value["snapshot"]["inputs"].as_object().unwrap();
    assert!(inputs.contains_key("setup script") && inputs.contains_key("base"), "{inputs:?}");
    let checks: Vec<&Value> = value["checks"].as_array().unwrap().iter().collect();
    assert!(checks.len() == 2 && checks.iter().all(|one| one["passed"] == true), "{checks:?}");
    let phases = value["phases"].as_array().unwrap();
    let phases: Vec<&str> = phases.iter().map(|one| one["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["checkout", "setup", "sandbox", "checks"]);
    let layers = value["layers"].as_array().unwrap();
    let home = layers.iter().find(|one| one["name"] == "home").unwrap();
    assert!(home["part"] == "snapshot" && home["files"].as_u64() > Some(0), "{layers:?}");
    expect_nothing_left(&scene);

    let (_, second) = tested(&scene, &["web"]);
    assert_eq!(second["snapshot"]["found"], "hit");
    assert_eq!(second["snapshot"]["key"], value["snapshot"]["key"]);
    let (_, fresh) = tested(&scene, &["--no-cache"]);
    assert_eq!(fresh["snapshot"]["why"], "it was asked for anew");
    let listed = scene.quire(["env", "list", "--json"]).expect_code(0).json();
    assert_eq!(listed[0]["snapshots"]["count"], 1, "the new one took the place of the other");
    let run = scene.run(&[]).expect_code(0);
    let line = &run.bodies("base_captured")[0]["notes"][0];
    assert!(line.as_str().unwrap().contains(" hit (age "), "{line}");
    assert_eq!(scene.repository.fingerprint(), before);

    let text = scene.quire(["env", "test"]).expect_code(0).stdout;
    for shown in ["web@1", "hangs on", "layers", "2 of 2 checks passed"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

#[test]
fn a_setup_that_fails_shows_its_line_and_what_would_help() {
    let scene = scene(
        "setup = \"\"\"\necho getting ready\n\
         python3 -c 'import urllib.request as r; r.urlopen(\"http://refused.example/x\")'\n\
         echo after\"\"\"\n[network]\nsetup = [\"allowed.example\"]\n",
    );
    let (ended, value) = tested(&scene, &[]);
    ended.clone().expect_code(3);
    assert_eq!(value["result"], "setup_failed");
    assert!(ended.stderr.contains("│ getting ready") && !ended.stderr.contains("after"));
    let failure = &value["failure"];
    let detail = failure["detail"].as_str().unwrap();
    assert!(detail.contains("quire: setup ended with 1 at line 2: python3 -c "), "{detail}");
    let advice = failure["advice"][0].as_str().unwrap();
    assert!(advice.ends_with(r#"setup = ["allowed.example", "refused.example"]"#), "{advice}");
    assert_eq!(value["refused"][0]["host"], "refused.example:80");
    let text = scene.quire(["env", "test"]).expect_code(3).stdout;
    assert!(text.contains("line 2: python3"), "{text}");
    let shell = scene.quire(["env", "shell", "--", "true"]).expect_code(3);
    assert!(shell.stderr.contains("line 2: python3"), "{}", shell.stderr);
    expect_nothing_left(&scene);

    let missing = "setup = \"\"\"\ntrue\nno-such-program --now\"\"\"\n";
    recipe_is(&scene, missing);
    let (_, value) = tested(&scene, &[]);
    let said = value["failure"].to_string();
    assert!(said.contains("at line 2: no-such-program --now"), "{said}");
    assert!(said.contains("was not found"), "{said}");
}

#[test]
fn each_way_to_end_has_its_code() {
    let scene = scene("[[checks]]\nname = \"bad\"\ncommand = \"echo wrong; exit 9\"\n");
    let (ended, value) = tested(&scene, &[]);
    ended.expect_code(6);
    assert_eq!(
        (&value["result"], &value["checks"][0]["exit"]),
        (&"checks_failed".into(), &9.into())
    );
    let (ended, value) = tested(&scene, &["--skip-checks"]);
    ended.expect_code(0);
    assert_eq!(value["checks"], Value::Array(Vec::new()));
    recipe_is(
        &scene,
        "[[services]]\nname = \"db\"\ncommand = \"echo no cluster; exit 3\"\n\
        ready = \"false\"\n",
    );
    let (ended, value) = tested(&scene, &[]);
    ended.expect_code(3);
    assert_eq!(value["result"], "service_failed");
    recipe_is(&scene, "setup = \"echo begun; sleep 500\"\n");
    let call = scene.call(["env", "test", "--json"]);
    let ended = call.interrupted(KillAt::After(std::time::Duration::from_secs(3)), 1);
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    assert!(ended.answered_in.unwrap().as_secs() < 5 && !ended.left_behind, "{ended:?}");
    expect_nothing_left(&scene);

    let none = scene.quire(["env", "test", "deflaut"]).expect_code(2);
    assert!(none.stderr.contains("did you mean `default`?"), "{}", none.stderr);
    scene.quire(["env", "test", "--ref", "no-such"]).expect_code(2);
    recipe_is(&scene, "modle = \"x\"\n");
    let wrong = scene.quire(["env", "test"]).expect_code(2);
    assert!(wrong.stderr.contains(".quire/environment.toml:1:1"), "{}", wrong.stderr);
}

#[test]
fn a_stored_environment_is_tried_on_the_repository_that_is_named_or_its_own() {
    let scene = scene("");
    let root = scene.repository.path().display().to_string();
    let create = |name: &str, more: &[&str]| {
        let args = ["env", "create", name, "--from", "-"].into_iter().chain(more.iter().copied());
        scene
            .call(args)
            .stdin("[[checks]]\ncommand = \"test -f README.md\"\n")
            .run()
            .expect_code(0);
    };
    create("web", &["--repo"]);
    create("loose", &[]);
    let elsewhere = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let args = ["env", "test", "--json"].iter().chain(args).copied();
        scene.stage.quire(args).in_dir(elsewhere.path()).run()
    };
    for args in [vec!["web"], vec!["loose", "--repo", &root], vec!["web", "--repo", &root]] {
        let ended = run(&args).expect_code(0);
        let value: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(value["repository"], root.as_str(), "{args:?}");
    }
    let loose = run(&["loose"]).expect_code(2);
    assert!(loose.stderr.contains("--repo PATH|URL"), "{}", loose.stderr);
    run(&[]).expect_code(2);
    let near = run(&["wbe"]).expect_code(2);
    assert!(near.stderr.contains("did you mean `web`?"), "{}", near.stderr);
}

#[test]
fn tests_and_resets_of_one_environment_at_once_all_end_well() {
    let scene = scene("name = \"web\"\nsetup = \"sleep 1; date +%s%N > ~/made\"\n");
    thread::scope(|scope| {
        let test = || tested(&scene, &["--fresh"]).0.expect_code(0);
        let reset = || scene.quire(["env", "reset", "web", "--json"]).expect_code(0);
        let ran: Vec<_> = (0..3).map(|_| scope.spawn(test)).collect();
        let dropped: Vec<_> = (0..3).map(|_| scope.spawn(reset)).collect();
        ran.into_iter().chain(dropped).for_each(|one| drop(one.join().unwrap()));
    });
    let both = thread::scope(|scope| {
        let reset = || scene.quire(["env", "reset", "web", "--json"]).expect_code(0).json();
        let (one, two) = (scope.spawn(reset), scope.spawn(reset));
        [one.join().unwrap(), two.join().unwrap()]
    });
    let removed: u64 = both.iter().map(|one| one[0]["removed"].as_u64().unwrap()).sum();
    assert!(removed >= 1, "{both:?}");
    assert_eq!(tested(&scene, &[]).1["snapshot"]["found"], "miss");
    expect_nothing_left(&scene);
}

#[test]
fn a_trial_that_was_killed_is_swept() {
    let scene = scene("setup = \"sleep 500\"\n");
    let call = scene.call(["env", "test"]);
    assert!(call.killed(KillAt::After(std::time::Duration::from_secs(3))).was_killed());
    let uppers = || std::fs::read_dir(scene.stage.data().join("uppers")).unwrap().count();
    assert_eq!(uppers(), 1);
    // Whoever asks what is in use looks at all of it.
    scene.quire(["env", "reset"]).expect_code(0);
    assert_eq!(uppers(), 0);
}

#[test]
fn a_shell_without_a_terminal_passes_everything_through() {
    let recipe = "variables.WHO = \"me\"\nsetup = \"echo x > ~/made\"\n[[services]]\n\
        name = \"one\"\ncommand = \"touch /tmp/up; exec sleep 600\"\nready = \"test -f /tmp/up\"\n";
    let scene = scene(recipe);
    let shell =
        |command: &[&str]| scene.call(["env", "shell", "--"].iter().chain(command).copied());
    // The first one sets up, and shows that.
    assert!(shell(&["true"]).run().expect_code(0).stderr.contains("runs echo x > ~/made"));
    let script = "cat ~/made; ls /tmp/up; echo $WHO; id -u; cat; echo bad >&2; exit 7";
    let ended = shell(&["sh", "-c", script]).stdin("typed").run().expect_code(7);
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("x\n/tmp/up\nme\n1000\ntyped", "bad\n")
    );
    let piped = scene.call(["env", "shell"]).stdin("echo $((6 * 7))\nexit 3\n").run();
    assert_eq!(piped.expect_code(3).stdout, "42\n");
    let json =
        scene.quire(["env", "shell", "--json", "--", "sh", "-c", "echo o; echo e >&2; exit 4"]);
    let value: Value = serde_json::from_str(&json.expect_code(4).stdout).unwrap();
    let parts = ["stdout", "stderr"].map(|name| value[name].as_str().unwrap().to_owned());
    assert_eq!((value["exit"].as_i64(), parts), (Some(4), ["o\n".into(), "e\n".into()]));
    shell(&["no-such-program"]).run().expect_code(127);
    scene.call(["env", "shell", "nobody"]).run().expect_code(2);
    let ended =
        shell(&["sleep", "500"]).interrupted(KillAt::After(std::time::Duration::from_secs(3)), 1);
    assert_eq!((ended.code(), ended.left_behind), (Some(130), false), "{ended:?}");
    shell(&["touch", "left-behind"]).run().expect_code(0);
    assert!(!scene.repository.path().join("left-behind").exists());
    expect_nothing_left(&scene);
}

#[test]
fn a_shell_as_setup_has_it_is_root_with_setups_network_and_nothing_installed() {
    let scene = scene("setup = \"false\"\n[network]\nsetup = [\"allowed.example\"]\n");
    let ask = "import urllib.request as r; r.urlopen(\"http://refused.example/x\")";
    let script = format!("id -u; echo $QUIRE_ENV; echo x > ~/y; python3 -c '{ask}' 2>/dev/null");
    let ended = scene.quire(["env", "shell", "--setup", "--", "sh", "-c", &script]);
    let ended = ended.expect_code(1);
    assert_eq!(ended.stdout, "0\n/tmp/.quire-env\n");
    let line = r#"setup = ["allowed.example", "refused.example"]"#;
    assert!(ended.stderr.contains(line), "{}", ended.stderr);
    expect_nothing_left(&scene);
}

#[test]
fn a_shell_at_a_terminal_is_one_with_its_keys_its_size_and_its_jobs() {
    let scene = scene("");
    let call = scene.call(["env", "shell"]).env("TERM", "no-such-terminal");
    let mut terminal = call.at_terminal(80, 24);
    terminal.until("nothing that you write is kept");
    terminal.until("$ ");
    terminal.types("stty size; echo term=$TERM; echo $-\n");
    terminal.until("\r24 80\r\n");
    terminal.until("term=xterm-256color\r\n");
    assert!(terminal.until("\r\n").contains('i'), "it is interactive");
    assert!(!terminal.echoes(), "the terminal inside echoes, the one outside does not");
    terminal.types("until test \"$(stty size)\" = '40 132'; do sleep 0.05; done; echo gr''own\n");
    terminal.resize(132, 40);
    terminal.until("grown");
    // As a person does, who waits for the prompt: what is typed before may go with a signal.
    terminal.until("$ ");
    terminal.types("sh -c 'echo as\"\"leep; exec sleep 500'\n");
    terminal.until("asleep\r\n");
    terminal.types("\x03");
    terminal.until("^C");
    terminal.until("$ ");
    terminal.types("cat\n");
    terminal.until("cat\r\n");
    terminal.types("one line\n");
    terminal.until("one line\r\none line\r\n");
    terminal.types("\x1a");
    terminal.until("Stopped");
    terminal.until("$ ");
    terminal.types("kill %1; touch here; ls here; exit 9\n");
    terminal.until("here\r\nexit");
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(9), "{shown}");
    assert!(!scene.repository.path().join("here").exists());
    expect_nothing_left(&scene);
}

#[test]
fn a_shell_that_is_terminated_gives_the_terminal_back() {
    let scene = scene("");
    let mut terminal = scene.call(["env", "shell", "--", "sleep", "500"]).at_terminal(40, 10);
    terminal.until("is kept");
    let process = terminal.process().to_string();
    while terminal.echoes() {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let told = Command::new("bash").args(["-c", "kill -TERM $0", &process]).status().unwrap();
    assert!(told.success());
    while !terminal.echoes() {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(143), "{shown}");
    expect_nothing_left(&scene);
}

#[test]
fn nothing_is_tried_outside_of_a_repository() {
    let stage = stage();
    let elsewhere = tempfile::tempdir().unwrap();
    let call = stage.quire(["env", "shell", "--", "true"]).in_dir(elsewhere.path());
    let ended = call.run().expect_code(2);
    assert!(ended.stderr.contains("this is no checkout"), "{}", ended.stderr);
}
