//! What was not committed when a task began: read by the task and what goes on with it, and by no
//! other task of the repository.

use quire_testkit::Turn;

use crate::scene::Scene;

const SECRET: &str = "the token is 1234\n";
/// `git hash-object` of it.
const BLOB: &str = "276f48691c7c904c4063333c72bc2c785013cf0f";

#[test]
fn an_uncommitted_file_is_read_by_its_task_a_follow_up_and_a_rerun_and_by_no_other_task() {
    let read = format!("git cat-file -p {BLOB}");
    let scene = Scene::where_model_says([
        Turn::shell("echo more >> notes.txt && git commit -qam 'More'"),
        Turn::shell(&read),
        Turn::say("It is there 【{{chunk 2}}†L1】; no tests were run."),
        // Asked for once more, as the tests that AGENTS.md names did not run.
        Turn::say("It is there 【{{chunk 2}}†L1】; no tests were run."),
        Turn::shell(&format!("{read} && git log --format=%s -n 2")),
        Turn::say("It is still there 【{{chunk 3}}†L1】; no tests were run."),
        Turn::say("It is still there 【{{chunk 3}}†L1】; no tests were run."),
    ]);
    scene.repository.write("notes.txt", SECRET);
    scene.repository.write("staged.txt", "staged\n");
    scene.repository.git(["add", "staged.txt"]);
    let staged = scene.repository.git(["rev-parse", ":staged.txt"]).trim().to_owned();
    assert_eq!(scene.repository.git(["hash-object", "notes.txt"]).trim(), BLOB);

    let first = scene.run(&[]).expect_code(0);
    let printed = first.bodies("tool_answered");
    assert!(printed.iter().any(|said| said.to_string().contains("the token is 1234")));
    let change = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;
    assert!(change.contains("+more") && !change.contains("+the token"), "{change}");
    let again = scene.quire(["verify", "1", "--rerun"]).expect_code(0).stdout;
    assert!(again.contains("reproduced"), "{again}");

    // The person goes on without it; another task of the repository begins.
    std::fs::remove_file(scene.repository.path().join("notes.txt")).unwrap();
    scene.repository.git(["rm", "-q", "--cached", "staged.txt"]);
    std::fs::remove_file(scene.repository.path().join("staged.txt")).unwrap();
    for blob in [BLOB, staged.as_str()] {
        let other = scene.quire(["sandbox", "--", "git", "cat-file", "-p", blob]);
        assert_ne!(other.code(), Some(0), "{}", other.stdout);
    }
    let all = "git cat-file --batch-all-objects --batch-check; git fsck --lost-found; ls /.quire";
    let all = scene.quire(["sandbox", "--", "bash", "-c", all]).expect_code(0);
    assert!(!all.stdout.contains(BLOB) && !all.stdout.contains(&staged), "{}", all.stdout);
    assert!(all.stdout.ends_with("objects\n"), "{}", all.stdout);

    let follow_up = scene.quire(["task", "message", "1", "Still?", "--json"]).expect_code(0);
    let printed = follow_up.bodies("tool_answered")[0].to_string();
    assert!(printed.contains("the token is 1234") && printed.contains("More"), "{printed}");
    scene.quire(["verify", "1", "--rerun"]).expect_code(0);
    // Rebuilt from commits, where the sandbox of the work so far is gone.
    std::fs::remove_dir_all(scene.stage.data().join("uppers")).unwrap();
    let rebuilt = scene.quire(["verify", "1", "--rerun"]).expect_code(0).stdout;
    assert!(rebuilt.contains("reproduced"), "{rebuilt}");
}

#[test]
fn a_git_directory_that_leads_to_another_repository_of_the_host_gives_nothing_of_it() {
    for trap in ["ln -s {}/.git .git", "echo 'gitdir: {}/.git' > .git"] {
        let mut scene = Scene::where_model_says([]);
        let other = scene.stage.repository("node-csv");
        other.write("private.txt", "of the host\n");
        let private = other.commit("Private");
        let trap = trap.replace("{}", &other.path().display().to_string());
        let done = "Done; no tests were run.";
        scene.stage.model_says([
            Turn::shell(&format!("rm -rf .git && {trap} && echo own > own.txt")),
            Turn::say(done),
            Turn::say(done),
            Turn::say(done),
            Turn::say(done),
        ]);
        let before = other.fingerprint();
        let ended = scene.run(&[]);
        assert!(!ended.stdout.contains("of the host") && !ended.stdout.contains(&private));
        let change = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;
        assert!(change.contains("+own") && !change.contains("private"), "{trap}: {change}");
        assert_eq!(other.fingerprint(), before);
    }
}
