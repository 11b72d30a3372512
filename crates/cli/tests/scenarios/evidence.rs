//! `quire verify`: what a task left can be checked elsewhere, and a changed byte is noticed.

use quire_testkit::Turn;
use serde_json::Value;

use crate::scene::{Bytes, Scene, stage};

fn report(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap()
}

#[test]
fn a_bundle_is_verified_offline_by_an_installation_that_knows_only_the_key() {
    let scene = Scene::of("python-slugs");
    scene.run(&[]).expect_code(0);
    let bundle = scene.stage.path().join("bundle.json");
    let path = bundle.to_str().unwrap();
    scene.quire(["verify", "1", "--export", path]).expect_code(0);
    let key = scene.stage.data().join("keys/installation.pub");

    let elsewhere = stage();
    let known =
        elsewhere.quire(["verify", path, "--key", key.to_str().unwrap()]).run().expect_code(0);
    assert!(known.stdout.contains("signed by a trusted key"), "{}", known.stdout);
    let unknown = elsewhere.quire(["verify", path]).run().expect_code(7);
    assert!(unknown.stdout.contains("signed by an unknown key"), "{}", unknown.stdout);
    assert!(!unknown.stdout.contains("broken"), "{}", unknown.stdout);
    assert!(!elsewhere.data().exists(), "a check of a file leaves nothing behind");

    let told = elsewhere.quire(["verify", path, "--json"]).run().expect_code(7);
    let told = report(&told.stdout);
    assert_eq!((&told["intact"], &told["trusted"]), (&true.into(), &false.into()));
}

#[test]
fn a_changed_byte_of_a_bundle_is_noticed_wherever_it_is() {
    let scene = Scene::of("python-slugs");
    scene.run(&["--check", "true"]).expect_code(0);
    let path = scene.stage.path().join("bundle.json");
    scene.quire(["verify", "1", "--export", path.to_str().unwrap()]).expect_code(0);
    let bundle = std::fs::read(&path).unwrap();
    let key = scene.stage.data().join("keys/installation.pub");
    let changed = scene.stage.path().join("changed.json");
    let verify =
        || scene.quire(["verify", changed.to_str().unwrap(), "--key", key.to_str().unwrap()]);
    std::fs::write(&changed, &bundle).unwrap();
    verify().expect_code(0);

    let places = 24;
    for place in 0..places {
        let mut bytes = bundle.clone();
        let at = bytes.len() * place / places + 7;
        let at = (at..bytes.len()).find(|at| bytes[*at].is_ascii_alphanumeric()).unwrap();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        std::fs::write(&changed, &bytes).unwrap();
        let ended = verify();
        let around =
            String::from_utf8_lossy(&bytes[at.saturating_sub(40)..(at + 40).min(bytes.len())])
                .into_owned();
        assert!(
            matches!(ended.code(), Some(2 | 7)),
            "not noticed at {at}: {around}\n{}",
            ended.stdout
        );
    }
}

#[test]
fn commands_that_are_repeated_are_reproduced_differ_or_are_not_repeatable() {
    let scene = Scene::where_model_says([
        Turn::shell("cat README.md"),
        Turn::shell("echo '- More.' >> README.md && git commit -qam 'Say more'"),
        Turn::shell("wc -l < README.md"),
        Turn::shell("date +%s%N"),
        Turn::shell("cat /tmp/left-by-nobody || echo gone"),
        Turn::say(
            "It has lines 【{{chunk 3}}†L1】 at a time 【{{chunk 4}}†L1】, before 【{{chunk 1}}†L1】; no tests were run.",
        ),
        Turn::say(
            "It has lines 【{{chunk 3}}†L1】 at a time 【{{chunk 4}}†L1】, before 【{{chunk 1}}†L1】; no tests were run.",
        ),
        Turn::say(
            "It has lines 【{{chunk 3}}†L1】 at a time 【{{chunk 4}}†L1】, before 【{{chunk 1}}†L1】; no tests were run.",
        ),
        Turn::say(
            "It has lines 【{{chunk 3}}†L1】 at a time 【{{chunk 4}}†L1】, before 【{{chunk 1}}†L1】; no tests were run.",
        ),
    ]);
    scene.run(&[]).expect_code(0);
    let again = scene.quire(["verify", "1", "--rerun"]);
    let lines: Vec<&str> = again.stdout.lines().filter(|line| line.starts_with('【')).collect();
    assert_eq!(lines.len(), 3, "{}", again.stdout);
    for (line, word) in lines.iter().zip(["reproduced", "not repeatable", "earlier"]) {
        assert!(line.contains(word), "{word} is missing: {line}");
    }
}

#[test]
fn a_rerun_of_a_sound_answer_holds() {
    let scene = Scene::of("python-slugs");
    scene.run(&[]).expect_code(0);
    let again = scene.quire(["verify", "1", "--rerun"]);
    let repeated: Vec<&str> = again.stdout.lines().filter(|line| line.starts_with('【')).collect();
    assert_eq!(repeated.len(), 2, "{}", again.stdout);
    assert!(repeated.iter().any(|line| line.contains("reproduced")), "{}", again.stdout);
}

#[test]
fn what_is_no_bundle_and_no_task_says_so() {
    let scene = Scene::where_model_says([Turn::say("Nothing.")]);
    scene.repository.write("bundle.json", "{\"no\": \"bundle\"}");
    for what in ["bundle.json", "absent.json", "9"] {
        let ended = scene.quire(["verify", what]).expect_code(2);
        assert_eq!(ended.stderr.lines().filter(|line| line.starts_with("error:")).count(), 1);
    }
    let key = scene.quire(["verify", "bundle.json", "--key", "bundle.json"]).expect_code(2);
    assert!(key.stderr.contains("bundle.json"), "{}", key.stderr);
}

#[test]
fn output_that_was_changed_after_it_was_signed_is_noticed() {
    let scene = Scene::of("python-slugs");
    scene.run(&[]).expect_code(0);
    let shown = scene.show("1");
    let chunk = shown["citations"][2]["citation"]["target"]["chunk"].as_str().unwrap().to_owned();
    scene.quire(["verify", "1"]).expect_code(0);
    let files: Vec<_> = Bytes::of(&scene.stage.data().join("chunks")).into_paths();
    let of_chunk = |path: &&std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        path.is_file() && name.starts_with(&chunk)
    };
    let mut changed = 0;
    for path in files.iter().filter(of_chunk) {
        let text = std::fs::read(path).unwrap();
        if let Some(at) = text.windows(5).position(|window| window == b"Ran 9") {
            let mut text = text;
            text[at + 4] = b'8';
            std::fs::remove_file(path).unwrap();
            std::fs::write(path, text).unwrap();
            changed += 1;
        }
    }
    assert_eq!(changed, 1, "the output is kept in one file: {files:?}");
    let ended = scene.quire(["verify", "1"]).expect_code(7);
    assert!(ended.stdout.contains("broken"), "{}", ended.stdout);
}

#[test]
fn the_evidence_of_one_attempt_does_not_stand_for_anothers() {
    let scene = Scene::of("python-slugs");
    scene.run(&["--attempts", "2"]).expect_code(0);
    scene.quire(["verify", "1.1"]).expect_code(0);
    let bundles: Vec<_> = Bytes::of(&scene.stage.data().join("evidence")).into_paths();
    let bundles: Vec<_> = bundles.into_iter().filter(|path| path.is_file()).collect();
    let [one, two] = &bundles[..] else { panic!("one bundle for each: {bundles:?}") };
    let (of_one, of_two) = (std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    std::fs::write(one, of_two).unwrap();
    std::fs::write(two, of_one).unwrap();
    for attempt in ["1.1", "1.2"] {
        let ended = scene.quire(["verify", attempt]).expect_code(7);
        let expected = "broken  the evidence is that of this attempt: it is that of attempt ";
        assert!(ended.stdout.contains(expected), "{}", ended.stdout);
    }
}

#[test]
fn evidence_that_is_no_evidence_is_called_damaged_and_never_waited_for() {
    let scene = Scene::where_model_says([Turn::say("Nothing.")]);
    scene.run(&[]).expect_code(0);
    let bundles = Bytes::of(&scene.stage.data().join("evidence")).into_paths();
    let path = bundles.into_iter().find(|path| path.is_file()).unwrap();
    let good = std::fs::read(&path).unwrap();
    let cut = good[..good.len() / 2].to_vec();
    let expect = |what: &str| {
        let limit = std::time::Duration::from_secs(20);
        let ended = scene.call(["verify", "1"]).within(limit).run().expect_code(7);
        let expected = format!("the evidence for 1 is {what}");
        assert!(ended.stderr.contains(&expected), "{expected}: {}", ended.stderr);
        assert!(!ended.stdout.contains("holds"), "{}", ended.stdout);
    };
    for garbage in [&b""[..], b"garbage\n", &[0xff, 0xfe, 0x00], &cut] {
        std::fs::write(&path, garbage).unwrap();
        expect("damaged: ");
    }
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    expect("damaged: it is not a regular file");
    let name = path.to_str().unwrap();
    for args in [&["verify", name][..], &["verify", "1", "--key", name]] {
        let ended = scene.quire(args.iter().copied()).expect_code(2);
        assert!(ended.stderr.contains("it is not a regular file"), "{}", ended.stderr);
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    expect("damaged: it is not a regular file");
    std::fs::remove_dir(&path).unwrap();
    let ended = scene.quire(["verify", "1"]).expect_code(7);
    assert!(ended.stderr.contains("there is no evidence for 1"), "{}", ended.stderr);
    std::fs::write(&path, &good).unwrap();
    scene.quire(["verify", "1"]).expect_code(0);
}

#[test]
fn a_bundle_without_its_contents_does_not_claim_that_cited_lines_stand_in_them() {
    let scene = Scene::of("python-slugs");
    scene.run(&[]).expect_code(0);
    let path = scene.stage.path().join("bundle.json");
    let path = path.to_str().unwrap();
    scene.quire(["verify", "1", "--export", path]).expect_code(0);
    let key = scene.stage.data().join("keys/installation.pub");
    let verify = |more: &[&str]| {
        let args = ["verify", path, "--key", key.to_str().unwrap()];
        scene.quire(args.into_iter().chain(more.iter().copied())).expect_code(0)
    };
    let whole = verify(&[]);
    assert!(whole.stdout.contains("holds   the cited lines stand in the contents\n"));
    assert!(!whole.stdout.contains("not looked up"), "{}", whole.stdout);

    let text = std::fs::read_to_string(path).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("{\"content")).collect();
    std::fs::write(path, without.join("\n")).unwrap();
    let without = verify(&[]);
    assert!(!without.stdout.contains("the cited lines stand"), "{}", without.stdout);
    let told = report(&verify(&["--json"]).stdout);
    let cited = &told["cited"];
    let count = |name: &str| cited[name].as_u64().unwrap();
    assert!(count("citations") > 0 && count("not_in_bundle") > 0, "{told}");
    assert_eq!(count("looked_up"), 0);
    let claimed = |check: &Value| check["check"].as_str().unwrap().contains("cited lines");
    assert!(!told["checks"].as_array().unwrap().iter().any(claimed), "{told}");
    let (all, absent) = (count("citations"), count("not_in_bundle"));
    let expected = format!(
        "not looked up: the lines of {all} of {all} citations; {absent} cited contents are not in the bundle"
    );
    assert!(without.stdout.contains(&expected), "{expected}: {}", without.stdout);
}

#[test]
fn verify_names_what_was_signed_and_numbers_that_were_swapped_are_noticed() {
    let scene = Scene::where_model_says([Turn::say("Nothing."), Turn::say("Nothing.")]);
    let first = "First\u{1b}[2J of two\nand more";
    scene.quire(["run", "--json", first]).expect_code(0);
    scene.quire(["run", "--json", "Second of two"]).expect_code(0);
    let base = scene.repository.head();
    let one = scene.quire(["verify", "1"]).expect_code(0);
    let expected = format!(
        "The signed record is of task 1, attempt 1\n  request  First\u{241b}[2J of two\n  base     {base}\n"
    );
    assert!(one.stdout.starts_with(&expected), "{expected}: {}", one.stdout);
    let two = report(&scene.quire(["verify", "2", "--json"]).expect_code(0).stdout);
    let about = &two["about"];
    let said = ["number", "ordinal", "request", "base"].map(|name| about[name].clone());
    assert_eq!(Value::from(said.to_vec()), serde_json::json!([2, 1, "Second of two", base]));

    let swap = "import sqlite3, sys\n\
                db = sqlite3.connect(sys.argv[1])\n\
                for old, new in ((1, 99), (2, 1), (99, 2)):\n    \
                    db.execute('UPDATE tasks SET number = ? WHERE number = ?', (new, old))\n\
                db.commit()\n";
    let store = scene.stage.data().join("quire.db");
    let swapped = std::process::Command::new("python3").args(["-c", swap]).arg(store).output();
    let swapped = swapped.unwrap();
    assert!(swapped.status.success(), "{}", String::from_utf8_lossy(&swapped.stderr));
    let one = scene.quire(["verify", "1"]).expect_code(7);
    assert!(one.stdout.contains("of task 2, attempt 1\n  request  Second of two\n"));
    let expected = "broken  the evidence is that of this attempt: it is that of task 2, not of 1";
    assert!(one.stdout.contains(expected), "{}", one.stdout);
}
