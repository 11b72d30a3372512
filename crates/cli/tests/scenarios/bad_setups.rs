//! Setups that go wrong, and the limits that they meet: each ends in words that say what to do, and
//! the next task works.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use quire_testkit::{Ended, KillAt, Turn};

use crate::scene::{Scene, outcome, shell_within};

fn scene(recipe: &str, command: &str) -> Scene {
    let scene = Scene::where_model_says([Turn::shell(command), Turn::say("Done.")]);
    recipe_is(&scene, recipe);
    scene
}

fn recipe_is(scene: &Scene, recipe: &str) {
    scene.repository.write(".quire/environment.toml", recipe);
    scene.repository.commit("Describe the environment");
}

/// The kind and the words of a failed end.
fn failed(ended: &Ended) -> (String, String) {
    let outcome = ended.bodies("finished").last().unwrap()["outcome"].clone();
    let word = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
    (word("kind"), word("detail"))
}

/// What was said of the setup.
fn said(ended: &Ended) -> String {
    let phases = ended.bodies("phase_finished");
    let setup = phases.iter().find(|phase| phase["phase"] == "setup").unwrap();
    setup["detail"].as_str().unwrap().to_owned()
}

/// What the model's first command printed.
fn seen(ended: &Ended) -> String {
    ended.bodies("tool_answered")[0]["parts"].to_string()
}

fn ran_setup(ended: &Ended) -> bool {
    ended.bodies("command_started").iter().any(|one| one["purpose"] == "setup")
}

/// The snapshots that are whole, and what is half made.
fn snapshots(scene: &Scene) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = std::fs::read_dir(scene.stage.data().join("layers/snapshots"));
    let dirs = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    let dirs = dirs.filter(|path| path.is_dir());
    dirs.partition(|path| !path.file_name().unwrap().to_string_lossy().starts_with("making-"))
}

#[test]
fn a_setup_that_meets_a_limit_is_told_which_and_the_key_that_raises_it() {
    let python = |code: &str| format!("setup = \"python3 -c '{code}'\"\n");
    let cases = [
        // One large file, and many: the first is refused at once, the second is looked at.
        ("setup = \"head -c 200M /dev/zero > ~/f\"\nlimits.disk_mib = 64\n".to_owned(), "disk_mib"),
        (
            "setup = \"for i in $(seq 900); do head -c 4M /dev/zero > ~/f$i; done\"\n\
             limits.disk_mib = 128\n"
                .to_owned(),
            "disk_mib",
        ),
        (
            "setup = \"cd ~; for i in $(seq 90000); do : > f$i; done; sleep 20\"\n\
             limits.files = 2000\n"
                .to_owned(),
            "files",
        ),
        ("setup = \"head -c 9M /dev/zero > /tmp/f\"\nlimits.tmp_mib = 8\n".to_owned(), "tmp_mib"),
        (
            python("x=bytearray(900<<20); import time; time.sleep(9)")
                + "limits.memory_mib = 128\n",
            "memory_mib",
        ),
    ];
    let scene = scene("", "echo well");
    for (recipe, key) in cases {
        recipe_is(&scene, &recipe);
        let ended = scene.run(&[]).expect_code(3);
        let (kind, words) = failed(&ended);
        assert!(["setup_failed", "disk_full"].contains(&kind.as_str()), "{kind}: {words}");
        assert!(words.contains(&format!("raise `limits.{key}`")), "{recipe}: {words}");
        assert!(scene.stage.requests().is_empty(), "no request left: {recipe}");
    }
    recipe_is(&scene, "setup = \"true\"\n");
    assert!(seen(&scene.run(&[]).expect_code(0)).contains("well"));
}

/// Whether the kernel counts who met this limit.
#[expect(clippy::print_stdout, reason = "a test says why it was skipped")]
fn is_counted(scene: &Scene, limit: &str) -> bool {
    let report = scene.quire(["doctor", "--json"]).expect_code(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let counted = report["findings"].as_array().unwrap().iter().any(|one| {
        one["name"] == limit
            && one["detail"].as_str().is_some_and(|text| text.starts_with("cgroup"))
    });
    if !counted {
        println!("SKIPPED: no control group counts the {limit} here");
    }
    counted
}

#[test]
fn a_limit_that_setup_went_on_from_is_told_with_each_task_on_its_snapshot() {
    let recipe = "setup = \"sh -c 'for i in $(seq 99); do sleep 1 & done' || true\"\n\
        limits.processes = 64\n";
    let scene = scene(recipe, "true");
    if !is_counted(&scene, "process limit") {
        return;
    }
    let first = scene.run(&[]).expect_code(0);
    let words = "the sandbox's limit of processes (64) was reached";
    assert!(said(&first).contains(words), "{}", said(&first));
    let second = scene.run(&[]).expect_code(0);
    assert!(!ran_setup(&second));
    let notes = second.bodies("base_captured")[0]["notes"].to_string();
    assert!(notes.contains(words) && notes.contains("limits.processes"), "{notes}");
}

#[test]
fn what_setup_left_of_itself_or_took_away_is_named() {
    let scene = scene("setup = \"rm -rf .git\"\n", "env");
    let (kind, words) = failed(&scene.run(&[]).expect_code(3));
    assert_eq!(kind, "setup_failed");
    assert!(words.contains("its `.git` is gone or another one"), "{words}");
    recipe_is(&scene, "setup = \"no-such-tool install\"\n");
    let (_, words) = failed(&scene.run(&[]).expect_code(3));
    assert!(words.contains("command not found") && words.contains("have the script"), "{words}");
    recipe_is(
        &scene,
        "setup = \"\"\"\n(setsid sleep 600 &)\ngit config core.hooksPath /opt/hooks\n\
         echo LD_PRELOAD=/x >> $QUIRE_ENV\n\"\"\"\n",
    );
    let ended = scene.run(&[]).expect_code(0);
    let said = said(&ended);
    for word in ["was ended: sleep", "[[services]]", "(/opt/hooks)", "LD_PRELOAD would steer"] {
        assert!(said.contains(word), "`{word}`: {said}");
    }
    assert!(!seen(&ended).contains("LD_PRELOAD"));
}

#[test]
fn names_that_are_no_text_and_trees_of_any_depth_are_cleaned_up_and_removed() {
    let recipe = r#"
setup = """
mkdir -p node_modules ~/d
printf x > "$(printf 'a\\nb')"; printf x > "$(printf '\\377')"; printf x > ':(top)'; printf x > '*'
printf x > "node_modules/$(printf '\\376')"
chmod 000 node_modules
cd ~/d
for i in $(seq 900); do mkdir d; cd d; done
"""
"#;
    let scene = scene("setup = \"true\"\n", "git status --short; ls -a node_modules; ls ~/d");
    scene.repository.write(".gitignore", "node_modules\n");
    recipe_is(&scene, recipe);
    let ended = scene.run(&[]).expect_code(0);
    let printed = seen(&ended);
    assert!(said(&ended).contains("new files that git does not ignore were removed"));
    assert!(!printed.contains("??") && printed.contains('d'), "{printed}");
    assert_eq!(outcome(&ended), "no_change");
    scene.quire(["task", "archive", "1"]).expect_code(0);
    let reset = scene.quire(["env", "reset", "--json"]).expect_code(0);
    assert!(reset.stdout.contains("\"removed\":1"), "{}", reset.stdout);
    assert_eq!(snapshots(&scene).0, [] as [PathBuf; 0]);
}

#[test]
fn who_waits_for_a_snapshot_takes_over_when_its_maker_is_killed() {
    let scene = scene("setup = \"sleep 2; echo made > ~/made\"\n", "cat ~/made");
    let ended = thread::scope(|scope| {
        let maker = scope.spawn(|| {
            let call = scene.call(["run", "--json", "Go on."]);
            call.killed(KillAt::After(Duration::from_millis(1_500)))
        });
        let waits = scope.spawn(|| scene.run(&[]));
        assert!(maker.join().unwrap().was_killed());
        waits.join().unwrap().expect_code(0)
    });
    assert!(seen(&ended).contains("made"), "{}", seen(&ended));
    assert!(ran_setup(&ended));
    assert_eq!(snapshots(&scene).0.len(), 1);
    assert!(!ran_setup(&scene.run(&[]).expect_code(0)));
}

#[test]
fn killed_anywhere_no_half_snapshot_is_ever_stood_on() {
    let scene = scene("", "ls ~/d | wc -l; cat ~/last");
    // More by `QUIRE_KILLS`, for long runs.
    let kills = std::env::var("QUIRE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    for number in 0..kills {
        recipe_is(
            &scene,
            &format!(
                "setup = \"mkdir ~/d; for i in $(seq 300); do echo $i > ~/d/$i; done; sleep 0.1; \
                 echo last{number} > ~/last\"\n"
            ),
        );
        let after = Duration::from_millis(60 + (number * 97) % 560);
        scene.call(["run", "--json", "Go on."]).killed(KillAt::After(after));
        let ended = scene.run(&[]).expect_code(0);
        let printed = seen(&ended);
        assert!(
            printed.contains("300") && printed.contains(&format!("last{number}")),
            "killed after {after:?}: {printed}"
        );
        for whole in snapshots(&scene).0 {
            assert!(whole.join("manifest.json").exists(), "{}", whole.display());
        }
    }
}

#[test]
fn resets_beside_one_another_and_beside_a_task_do_no_harm() {
    let scene = scene("setup = \"sleep 0.5; echo made > ~/made\"\n", "cat ~/made");
    scene.run(&[]).expect_code(0);
    thread::scope(|scope| {
        let run = scope.spawn(|| scene.run(&[]));
        let resets: Vec<_> =
            (0..6).map(|_| scope.spawn(|| scene.quire(["env", "reset", "--json"]))).collect();
        for reset in resets {
            reset.join().unwrap().expect_code(0);
        }
        let ended = run.join().unwrap().expect_code(0);
        assert!(seen(&ended).contains("made"), "{}", seen(&ended));
    });
    let ended = scene.run(&[]).expect_code(0);
    assert!(seen(&ended).contains("made"));
}

#[test]
fn beyond_their_budget_the_snapshots_that_nobody_stands_on_go() {
    // A run sweeps a second after it began.
    let scene = Scene::where_model_says([shell_within("sleep 2.5", 9), Turn::say("Done.")]);
    recipe_is(&scene, "setup = \"echo one > ~/x\"\n");
    scene.run(&[]).expect_code(0);
    scene.quire(["task", "archive", "1"]).expect_code(0);
    let first = snapshots(&scene).0;
    let config = scene.stage.home().join(".config/quire");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "snapshots_gib = 0\n").unwrap();
    recipe_is(&scene, "setup = \"echo two > ~/x\"\n");
    scene.run(&[]).expect_code(0);
    let left = snapshots(&scene).0;
    assert!(first.len() == 1 && left.len() == 1 && first != left, "{first:?} {left:?}");
    let listed = scene.quire(["env", "list"]).expect_code(0);
    assert!(listed.stderr.contains("1 snapshot of setup"), "{}", listed.stderr);
}

#[test]
fn a_check_that_meets_a_limit_has_failed_and_its_output_says_so() {
    let recipe = "limits.tmp_mib = 8\n[[checks]]\nname = \"big\"\n\
        command = \"head -c 9M /dev/zero > /tmp/f\"\n";
    let scene = Scene::where_model_says([
        Turn::shell("echo x > x && git add x && git commit -qm X"),
        Turn::say("Done; no tests were run."),
        Turn::say("Done; the check `big` fails; no tests were run."),
        Turn::say("Done; the check `big` fails; no tests were run."),
    ]);
    recipe_is(&scene, recipe);
    let ended = scene.run(&[]).expect_code(6);
    let check = ended.bodies("check_finished")[0].clone();
    let chunk = check["chunk"].as_str().unwrap();
    let log = scene.quire(["task", "logs", "1", "--chunk", chunk]).expect_code(0);
    assert!(log.stdout.contains("[/tmp is full (8 MiB in all)]"), "{}", log.stdout);
    let told = ended
        .bodies("gate_failed")
        .iter()
        .any(|gate| gate["text"].as_str().is_some_and(|text| text.contains("/tmp is full")));
    assert!(told, "the model is told: {:?}", ended.bodies("gate_failed"));
}

#[test]
fn programs_are_told_the_limits_and_the_recipe_wins() {
    let recipe = "setup = \"env > ~/setup-env\"\nlimits.memory_mib = 512\nlimits.cpus = 1\n\
        [variables]\nGOMEMLIMIT = \"1MiB\"\n";
    let scene = scene(recipe, "nproc; env | grep -e GOMEM -e NODE_OPTIONS; cat ~/setup-env");
    let printed = seen(&scene.run(&[]).expect_code(0));
    assert!(printed.contains("\\n1\\n"), "{printed}");
    assert_eq!(printed.matches("GOMEMLIMIT=1MiB").count(), 2, "{printed}");
    assert_eq!(printed.matches("NODE_OPTIONS=--max-old-space-size=384").count(), 2, "{printed}");
}
