//! Setup scripts and services, good and bad: each ends in a snapshot or in a failure that says what
//! to do, and the next task works.

use std::thread;

use quire_testkit::{Ended, KillAt, Turn};

use crate::scene::{Scene, commits, outcome};

/// A checkout with this recipe, and a model that runs this command.
fn scene(recipe: &str, command: &str) -> Scene {
    let scene = Scene::where_model_says([Turn::shell(command), Turn::say("Done.")]);
    recipe_is(&scene, recipe);
    scene
}

fn recipe_is(scene: &Scene, recipe: &str) {
    scene.repository.write(".quire/environment.toml", recipe);
    scene.repository.commit("Describe the environment");
}

/// The first line of the log, and whether setup ran.
fn told(ended: &Ended) -> (String, bool) {
    let notes = &ended.bodies("base_captured")[0]["notes"];
    let ran = ended.bodies("command_started").iter().any(|one| one["purpose"] == "setup");
    (notes[0].as_str().unwrap().to_owned(), ran)
}

/// The kind and the words of a failed end.
fn failed(ended: &Ended) -> (String, String) {
    let outcome = ended.bodies("finished").last().unwrap()["outcome"].clone();
    let word = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
    (word("kind"), word("detail"))
}

/// What the model's first command printed.
fn seen(ended: &Ended) -> String {
    ended.bodies("tool_answered")[0]["parts"].to_string()
}

const WRITES: &str = r#"
name = "web"
setup = """
mkdir -p node_modules ~/.tool
echo installed > node_modules/greeting
echo brought > ~/.tool/it
echo "GREETING=good day" >> "$QUIRE_ENV"
printf '#!/bin/sh\ntouch hook-ran\n' > .git/hooks/pre-commit
chmod +x .git/hooks/pre-commit
echo changed >> README.md
echo junk > junk.txt
(setsid sleep 600 &)
"""
"#;

#[test]
fn setup_runs_once_and_later_tasks_stand_on_what_it_wrote() {
    let scene = scene(
        WRITES,
        "cat node_modules/greeting ~/.tool/it; echo \"$GREETING\"; git status --short; \
         echo more > more.txt; git add more.txt; git commit -qm More; ls hook-ran",
    );
    scene.repository.write(".gitignore", "node_modules\nhook-ran\n");
    scene.repository.commit("Ignore");
    let first = scene.run(&[]).expect_code(0);
    let (line, ran) = told(&first);
    assert!(line.starts_with("environment web@1 · base host · snapshot "), "{line}");
    assert!(line.ends_with(" miss: the first of this environment") && ran, "{line}");
    for word in ["installed", "brought", "good day", "hook-ran"] {
        assert!(seen(&first).contains(word), "{word}: {}", seen(&first));
    }
    for gone in ["junk", "README.md"] {
        assert!(!seen(&first).contains(gone), "{gone}: {}", seen(&first));
    }
    assert_eq!(commits(&first), ["agent: More"]);
    let setup = first.bodies("phase_finished");
    let setup = setup.iter().find(|phase| phase["phase"] == "setup").unwrap();
    let words = setup["detail"].as_str().unwrap();
    assert!(
        words.contains("put back: README.md") && words.contains("removed: junk.txt"),
        "{words}"
    );
    let second = scene.run(&[]).expect_code(0);
    let (line, ran) = told(&second);
    assert!(line.contains(" hit (age ") && !ran, "{line}");
    assert!(seen(&second).contains("installed") && seen(&second).contains("good day"));
}

#[test]
fn what_the_scripts_of_another_ref_left_is_stood_on_by_tasks_of_that_ref_alone() {
    let scene = scene("setup = \"sh install.sh\"\n", "cat ~/who");
    scene.repository.write("install.sh", "echo mine > ~/who\n");
    scene.repository.commit("Install");
    scene.repository.git(&["checkout", "-qb", "theirs"]);
    scene.repository.write("install.sh", "echo theirs > ~/who\n");
    scene.repository.commit("Install something else");
    scene.repository.git(&["checkout", "-q", "-"]);
    let theirs = scene.run(&["--ref", "theirs"]).expect_code(0);
    assert!(told(&theirs).1 && seen(&theirs).contains("theirs"), "{}", seen(&theirs));
    let (line, ran) = told(&scene.run(&["--ref", "theirs"]).expect_code(0));
    assert!(line.contains(" hit (age ") && !ran, "{line}");
    let mine = scene.run(&[]).expect_code(0);
    assert!(told(&mine).1 && seen(&mine).contains("mine"), "{}", seen(&mine));
    // What lies in the history of what is checked out stands on the same.
    let before = scene.run(&["--ref", "HEAD~1"]).expect_code(0);
    assert!(told(&before).0.contains(" hit (age "), "{}", told(&before).0);
}

#[test]
fn a_miss_names_what_changed_and_maintenance_stands_in_for_setup() {
    let recipe = "setup = \"echo set up >> ~/steps\"\nmaintenance = \"echo kept up >> ~/steps\"\n";
    let scene = scene(recipe, "cat ~/steps");
    scene.repository.write("package-lock.json", "{}");
    scene.repository.commit("Lock");
    // `npm` is not asked: the recipe has a script.
    assert!(told(&scene.run(&[]).expect_code(0)).1);
    scene.repository.write("package-lock.json", "{ }");
    scene.repository.commit("Lock again");
    let ended = scene.run(&[]).expect_code(0);
    let (line, _) = told(&ended);
    assert!(line.ends_with("miss: package-lock.json changed"), "{line}");
    assert!(seen(&ended).contains("set up\\nkept up"), "{}", seen(&ended));
    scene.repository.write("other.txt", "x");
    scene.repository.commit("Another commit");
    let ended = scene.run(&[]).expect_code(0);
    assert!(seen(&ended).contains("set up\\nkept up\\nkept up"), "{}", seen(&ended));
    let again = scene.run(&[]).expect_code(0);
    assert!(told(&again).0.contains(" hit ") && !told(&again).1);
}

#[test]
fn a_script_that_fails_in_the_middle_is_shown_with_its_last_lines() {
    let script = "setup = \"echo getting ready\\ncat /no/such/file | tail -1\\necho after\"\n";
    let scene = scene(script, "true");
    let ended = scene.run(&[]);
    let (kind, words) = failed(&ended);
    assert_eq!(kind, "setup_failed");
    assert!(words.contains("getting ready") && words.contains("/no/such/file"), "{words}");
    assert!(!words.contains("after"), "{words}");
    assert!(scene.stage.requests().is_empty(), "no request left before setup was done");
    recipe_is(&scene, "setup = \"true\"\n");
    assert_eq!(outcome(&scene.run(&[]).expect_code(0)), "no_change");
}

#[test]
fn a_script_that_hangs_ends_with_the_attempt() {
    let scene = scene("setup = \"sleep 500\"\n", "true");
    let ended =
        scene.call(["run", "--json", "Go on."]).interrupted(KillAt::Event("command_started"), 1);
    assert_eq!(outcome(&ended), "cancelled");
    assert!(scene.stage.requests().is_empty());
}

#[test]
fn a_script_that_prints_much_is_recorded_whole_and_shown_by_its_end() {
    let scene = scene("setup = \"yes | head -c 30000000; false\"\n", "true");
    let ended = scene.run(&[]);
    let finished = ended.bodies("command_finished");
    // And a line that says which one failed.
    let bytes = finished[0]["chunk"]["size"]["bytes"].as_u64().unwrap();
    assert!((30_000_000..30_000_200).contains(&bytes), "{bytes}");
    assert!(failed(&ended).1.len() < 1_000, "{}", failed(&ended).1);
}

#[test]
fn a_script_that_deletes_everything_harms_nothing_outside_of_it() {
    let scene =
        scene("setup = \"rm -rf --no-preserve-root / || true\"\n", "git log --oneline | wc -l");
    let before = scene.repository.fingerprint();
    let ended = scene.run(&[]);
    let (kind, _) = failed(&ended);
    assert!(kind == "setup_failed" || kind.is_empty(), "{kind}");
    assert_eq!(scene.repository.fingerprint(), before);
    recipe_is(&scene, "setup = \"true\"\n");
    assert_eq!(outcome(&scene.run(&[]).expect_code(0)), "no_change");
}

#[test]
fn two_tasks_that_miss_the_same_snapshot_build_it_once() {
    let scene = scene("setup = \"sleep 1; date +%s%N > ~/made\"\n", "cat ~/made");
    let (one, two) = thread::scope(|scope| {
        let run = || scene.run(&[]).expect_code(0);
        let one = scope.spawn(run);
        let two = scope.spawn(run);
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_ne!(told(&one).1, told(&two).1, "one of them ran it");
    let made = |ended: &Ended| seen(ended).split("\\n").nth(1).unwrap().to_owned();
    assert_eq!(made(&one), made(&two));
}

#[test]
fn half_a_snapshot_of_a_killed_run_is_never_used() {
    let scene = scene("setup = \"echo x > ~/x; sleep 30\"\n", "cat ~/x");
    let killed = scene.call(["run", "--json", "Go on."]).killed(KillAt::Event("command_started"));
    assert!(killed.was_killed());
    recipe_is(&scene, "setup = \"echo y > ~/x\"\n");
    let ended = scene.run(&[]).expect_code(0);
    assert!(seen(&ended).contains('y'));
    let snapshots = scene.stage.data().join("layers/snapshots");
    let whole = std::fs::read_dir(snapshots).unwrap().flatten();
    let whole = whole.filter(|entry| entry.path().join("manifest.json").exists());
    assert_eq!(whole.count(), 1);
}

#[test]
fn services_are_ready_before_the_agent_and_beside_checks() {
    let recipe = "[[services]]\nname = \"web\"\n\
        command = \"exec python3 -m http.server 9123 --bind 127.0.0.1\"\n\
        ready = \"python3 -c 'import socket; socket.create_connection((\\\"127.0.0.1\\\", 9123))'\"\n\
        [[checks]]\nname = \"serves\"\n\
        command = \"python3 -c 'import urllib.request as r; \
        print(r.urlopen(\\\"http://127.0.0.1:9123/README.md\\\").status)'\"\n";
    let scene = scene(
        recipe,
        "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:9123/\").status)' \
         && echo x > x && git add x && git commit -qm X",
    );
    let ended = scene.run(&[]).expect_code(0);
    assert!(seen(&ended).contains("200"), "{}", seen(&ended));
    assert_eq!(ended.bodies("check_finished")[0]["exit"]["code"], 0);
    assert_eq!(ended.kinds().last().unwrap(), "finished");
    let request = String::from_utf8_lossy(&scene.stage.requests()[0].body).into_owned();
    assert!(request.contains("The service `web` runs in the sandbox."), "{request}");
}

#[test]
fn a_service_that_ends_at_once_is_shown_with_its_last_lines() {
    let recipe = "[[services]]\nname = \"db\"\ncommand = \"echo no such cluster; exit 3\"\n\
        ready = \"false\"\n";
    let ended = scene(recipe, "true").run(&[]);
    let (kind, words) = failed(&ended);
    assert_eq!(kind, "service_failed");
    assert!(
        words.contains("`db` ended with exit status 3") && words.contains("no such cluster"),
        "{words}"
    );
}

#[test]
fn a_file_that_another_commit_has_otherwise_is_newer_than_what_setup_built() {
    let scene = scene(
        "setup = \"mkdir -p out; cp README.md out/built\"\n",
        "for f in README.md slugs/slugify.py; do test $f -nt out/built && echo newer $f; done; \
         git status --short",
    );
    scene.repository.write(".gitignore", "out\n");
    scene.repository.commit("Ignore");
    assert!(!seen(&scene.run(&[]).expect_code(0)).contains("newer"));
    scene.repository.write("README.md", "Another text.\n");
    scene.repository.git(["add", "-A"]);
    let old = "--date=2020-01-01T00:00:00";
    scene.repository.git(["commit", "-qm", "Of long ago", old]);
    let ended = scene.run(&[]).expect_code(0);
    assert!(!told(&ended).1, "it stands on the snapshot");
    assert!(seen(&ended).contains("newer README.md"), "{}", seen(&ended));
    assert!(!seen(&ended).contains("slugify.py"), "{}", seen(&ended));
}

#[test]
fn a_repetition_stands_on_the_snapshot_that_the_command_ran_on_or_says_that_it_is_gone() {
    let answer = "It was set up 【{{chunk 1}}†L1】.";
    let scene = Scene::where_model_says([Turn::shell("cat $HOME/made"), Turn::say(answer)]);
    let recipe = "setup = \"echo by setup >~/made\"\n[[services]]\nname = \"db\"\n\
                  command = \"sleep 1000\"\nready = \"true\"\n";
    recipe_is(&scene, recipe);
    scene.run(&[]).expect_code(0);
    let again = |code| {
        let again = scene.quire(["verify", "1", "--rerun"]).expect_code(code);
        format!("{}{}", again.stdout, again.stderr)
    };
    assert!(again(0).contains("reproduced: `cat $HOME/made`"));
    // Gone, and what it hangs on is as it was. Moved away: some of it an ordinary user cannot remove.
    let data = scene.stage.data();
    let lose = |name: &str| {
        for dir in ["layers/snapshots", "uppers"] {
            let gone =
                scene.repository.path().with_file_name(format!("{name}-{}", dir.replace('/', "-")));
            std::fs::rename(data.join(dir), gone).unwrap();
        }
    };
    lose("first");
    let text = again(0);
    assert!(text.contains("setup runs once more") && text.contains("reproduced"), "{text}");
    // Gone, and another place of what it was made of.
    lose("second");
    let home = scene.stage.home();
    let more = home.join(".cargo/bin");
    std::fs::create_dir_all(&more).unwrap();
    let text = again(7);
    assert!(text.contains("not repeatable, the snapshot ") && text.contains(" is gone"), "{text}");
}
