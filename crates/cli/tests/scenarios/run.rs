//! `quire run`: from a request to an applied change.

use std::os::unix::fs::PermissionsExt;

use quire_testkit::Turn;

use crate::scene::{Bytes, Scene, commits, expect_in_order, expect_untouched, outcome, verdicts};

/// Kinds in the order in which they first came.
fn first_kinds(kinds: &[String]) -> Vec<&str> {
    let mut seen: Vec<&str> = Vec::new();
    for kind in kinds {
        if !seen.contains(&kind.as_str()) {
            seen.push(kind);
        }
    }
    seen
}

#[test]
fn a_request_becomes_a_checked_change_and_the_checkout_stays_untouched_until_apply() {
    let scene = Scene::of("python-slugs");
    let before = Bytes::of(scene.repository.path());

    let ended = scene.run(&["--check", "python3 -m unittest discover -s tests"]).expect_code(0);

    expect_in_order(&ended);
    assert_eq!(outcome(&ended), "changed");
    let kinds = ended.kinds();
    let order = first_kinds(&kinds);
    let place = |kind: &str| {
        order
            .iter()
            .position(|seen| *seen == kind)
            .unwrap_or_else(|| panic!("no {kind}: {order:?}"))
    };
    let story = [
        "submitted",
        "claimed",
        "base_captured",
        "instructions_loaded",
        "model_requested",
        "model_replied",
        "command_started",
        "command_finished",
        "patch_applied",
        "check_finished",
        "committed",
        "cited",
        "answered",
        "finished",
    ];
    assert!(story.is_sorted_by_key(|kind| place(kind)), "{order:?}");
    assert_eq!(commits(&ended), ["agent: Long titles are cut between words"]);
    let shown = scene.show("1");
    assert_eq!(verdicts(&shown), ["resolved"; 4]);
    assert_eq!(shown["checks"][0]["exit"]["code"], 0);
    assert!(!ended.left_behind);
    expect_untouched(&scene.repository, &before);

    scene.quire(["verify", "1"]).expect_code(0);
    let diff = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert_eq!(
        scene.repository.git(["diff", "--full-index"]),
        diff,
        "what is applied is what was shown"
    );
    assert_eq!(
        scene.repository.git(["status", "--porcelain"]),
        " M CHANGES.md\n M slugs/slugify.py\n"
    );

    let again = scene.quire(["task", "apply", "1"]).expect_code(0);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    assert_eq!(scene.repository.git(["diff", "--full-index"]), diff);
}

#[test]
fn index_refs_and_configuration_of_the_person_are_the_same_bytes_after_a_run_with_uncommitted_work()
{
    let scene = Scene::where_model_says([
        Turn::shell("cat notes.txt README.md && git status --short && git log --oneline -n 1"),
        Turn::shell("echo agent >> README.md && git add -A && git commit -q -m 'Say agent'"),
        Turn::say("The README says so 【F:README.md†L1】."),
    ]);
    let repository = &scene.repository;
    repository.write("README.md", "mine, not committed\n");
    repository.write("notes.txt", "mine, not tracked\n");
    repository.write("CHANGES.md", "mine, staged\n");
    repository.git(["add", "CHANGES.md"]);
    repository.write("__pycache__/cache.pyc", "mine, ignored\n");
    let before = Bytes::of(repository.path());

    let ended = scene.run(&[]).expect_code(0);

    expect_untouched(repository, &before);
    let base = &ended.bodies("base_captured")[0];
    assert_eq!(base["uncommitted"], 3);
    assert_eq!(base["head"], repository.head().as_str());
    assert_ne!(base["base"], base["head"]);
    let seen = ended.bodies("tool_answered")[0]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert!(seen.contains("mine, not tracked\nmine, not committed\n"), "{seen}");
    assert!(!seen.contains(" M ") && !seen.contains("??"), "the agent starts clean: {seen}");

    let diff = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;
    let changed: Vec<&str> =
        diff.lines().filter(|line| line.starts_with("+++") || line.starts_with("---")).collect();
    assert_eq!(changed, ["--- a/README.md", "+++ b/README.md"], "{diff}");
    assert!(!diff.contains("+mine"), "{diff}");

    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert_eq!(repository.read("README.md"), "mine, not committed\nagent\n");
    assert_eq!(repository.read("notes.txt"), "mine, not tracked\n");
    assert_eq!(repository.read("CHANGES.md"), "mine, staged\n");
    assert_eq!(repository.read("__pycache__/cache.pyc"), "mine, ignored\n");
}

#[test]
fn apply_merges_with_what_the_person_did_meanwhile_and_refuses_a_conflict_without_losing_a_byte() {
    let scene = Scene::of("python-slugs");
    scene.run(&[]).expect_code(0);
    let repository = &scene.repository;
    let readme = format!("{}\nMeanwhile.\n", repository.read("README.md"));
    repository.write("README.md", &readme);
    let slugify = repository
        .read("slugs/slugify.py")
        .replace("return slug[:max_length]", "return slug[: max_length - 0]");
    repository.write("slugs/slugify.py", &slugify);
    let before = Bytes::of(repository.path());

    let refused = scene.quire(["task", "apply", "1"]).expect_code(7);

    assert!(refused.stderr.contains("slugs/slugify.py"), "{}", refused.stderr);
    expect_untouched(repository, &before);

    repository.git(["checkout", "-q", "slugs/slugify.py"]);
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert!(repository.read("slugs/slugify.py").contains("rpartition"));
    assert_eq!(repository.read("README.md"), readme);
}

#[test]
fn a_script_that_a_patch_moves_takes_its_mode_and_what_the_person_edits_meanwhile_along() {
    let patch = "*** Begin Patch\n*** Update File: check.sh\n*** Move to: tools/check.sh\n@@\n \
                 #!/bin/sh\n-echo one\n+echo ONE\n*** End Patch\n";
    let scene = Scene::where_model_says([
        Turn::call_text("apply_patch", patch),
        Turn::shell("git add -A && git commit -qm 'Move the check' && tools/check.sh"),
        Turn::say("Moved; it runs 【{{chunk 2}}†L1】."),
        Turn::say("Moved; it runs 【{{chunk 2}}†L1】. No tests were run."),
    ]);
    let lines = ["#!/bin/sh", "echo one", "echo two", "echo three", "echo four", "echo five", ""];
    scene.repository.write("check.sh", &lines.join("\n"));
    let script = scene.repository.path().join("check.sh");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    scene.repository.commit("A check");
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(ended.bodies("cited")[0]["verdict"]["text"], "ONE", "{}", ended.stderr);

    scene.repository.write("check.sh", &lines.join("\n").replace("five", "FIVE"));
    let applied = scene.quire(["task", "apply", "1"]).expect_code(0);

    assert!(applied.stdout.contains("merged  tools/check.sh"), "{}", applied.stdout);
    let merged = scene.repository.read("tools/check.sh");
    assert!(merged.contains("echo ONE") && merged.contains("echo FIVE"), "{merged}");
    let moved = std::fs::metadata(scene.repository.path().join("tools/check.sh")).unwrap();
    assert_eq!(moved.permissions().mode() & 0o111, 0o111);
    assert!(!script.exists());
}

#[test]
fn a_conflict_is_written_with_markers_where_that_is_asked_for() {
    let scene = Scene::of("python-slugs");
    scene.run(&[]).expect_code(0);
    let repository = &scene.repository;
    let mine =
        repository.read("slugs/slugify.py").replace("slug[:max_length]", "slug[0:max_length]");
    repository.write("slugs/slugify.py", &mine);

    let told = scene.quire(["task", "apply", "1", "--conflicts"]).expect_code(7);

    assert!(told.stderr.contains("slugs/slugify.py"), "{}", told.stderr);
    let merged = repository.read("slugs/slugify.py");
    for part in ["<<<<<<<", "slug[0:max_length]", "=======", "rpartition", ">>>>>>>"] {
        assert!(merged.contains(part), "{part} is missing:\n{merged}");
    }
    assert!(repository.read("CHANGES.md").contains("cut between words"));
}

#[test]
fn several_runs_at_once_in_one_checkout_are_fine() {
    let scene = Scene::of("python-slugs");
    let running: Vec<_> = (0..4)
        .map(|_| {
            let call = scene.call(["run", "--json", "Go on."]);
            std::thread::spawn(move || call.run())
        })
        .collect();
    let mut tasks = Vec::new();
    for run in running {
        let ended = run.join().unwrap().expect_code(0);
        assert_eq!(outcome(&ended), "changed");
        tasks.push(ended.json()[0]["task"].as_u64().unwrap());
    }
    tasks.sort_unstable();
    assert_eq!(tasks, [1, 2, 3, 4]);
    for task in ["1", "2", "3", "4"] {
        expect_in_order(&scene.log(task));
        scene.quire(["verify", task]).expect_code(0);
    }
}

#[test]
fn people_see_plain_lines_and_programs_find_the_answer_alone_on_standard_output() {
    let scene = Scene::of("python-slugs");
    let ended = scene.quire(["run", "Make the failing tests pass."]).expect_code(0);
    for part in
        ["task 1 · scripted/demo (a script plays the model)", "python3 -m unittest", "exit 1"]
    {
        assert!(ended.stderr.contains(part), "{part} is missing:\n{}", ended.stderr);
    }
    for part in [
        "Evidence",
        "[1] slugs/slugify.py:19-24 · checked",
        "Commit ",
        "Change ",
        "quire task apply 1",
    ] {
        assert!(ended.stdout.contains(part), "{part} is missing:\n{}", ended.stdout);
    }
    let both = ended.stdout + &ended.stderr;
    assert!(!both.contains('\x1b') && !both.contains('\r'), "control sequences off a terminal");
}

#[test]
fn every_dialect_leads_to_the_same_change() {
    let mut scene = Scene::of("python-slugs");
    for (number, model) in
        ["scripted/demo", "scripted/chat", "scripted/messages"].iter().enumerate()
    {
        scene.stage.model(model);
        let ended = scene.run(&[]).expect_code(0);
        assert_eq!(outcome(&ended), "changed", "{model}");
        assert_eq!(verdicts(&scene.show(&(number + 1).to_string())), ["resolved"; 4], "{model}");
    }
    let diff = |task: &str| scene.quire(["task", "diff", task]).expect_code(0).stdout;
    assert_eq!(diff("1"), diff("2"));
    assert_eq!(diff("1"), diff("3"));
}

#[test]
fn a_repository_named_by_its_address_is_worked_on_without_a_checkout_and_applied_to_one() {
    let scene = Scene::of("python-slugs");
    let address = format!("file://{}", scene.repository.path().display());
    let elsewhere = scene.stage.home();
    let ended = scene
        .stage
        .quire(["run", "--json", "Go on.", "--repo", &address])
        .in_dir(&elsewhere)
        .run()
        .expect_code(0);
    assert_eq!(outcome(&ended), "changed");
    assert_eq!(ended.bodies("base_captured")[0]["workspace"], "/workspace/python-slugs");
    let to = scene.repository.path().to_str().unwrap();
    scene.stage.quire(["task", "apply", "1", "--to", to]).in_dir(&elsewhere).run().expect_code(0);
    assert!(scene.repository.read("slugs/slugify.py").contains("rpartition"));
}
