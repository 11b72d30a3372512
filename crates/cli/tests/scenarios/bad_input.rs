//! Bad input: one clear message that says what to do, a documented exit code, nothing left behind.

use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use quire_testkit::{Ended, Repository, Turn};

use crate::scene::{Bytes, Scene, expect_untouched, outcome, stage};

/// A model that looks at all there is, adds a line, and says so.
fn looker() -> Scene {
    Scene::where_model_says([
        Turn::shell("git status --short && git ls-files -z | tr '\\0' '\\n' && ls -la"),
        Turn::shell("echo more >> more.txt && git add more.txt && git commit -q -m 'Say more'"),
        Turn::say("More is said 【F:more.txt†L1】; no tests were run."),
        Turn::say("More is said 【F:more.txt†L1】; no tests were run."),
    ])
}

/// One error, with this code, that names each of these; no task, no request.
fn expect_refusal(scene: &Scene, ended: Ended, code: i32, words: &[&str]) {
    let ended = ended.expect_code(code);
    let errors = ended.stderr.lines().filter(|line| line.starts_with("error:")).count();
    assert_eq!(errors, 1, "{}", ended.stderr);
    assert!(ended.stderr.len() < 1_200, "the message is long: {}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is missing: {}", ended.stderr);
    }
    assert_eq!(ended.stdout, "");
    assert_eq!(scene.stage.requests().len(), 0, "the model was asked");
    assert!(!ended.left_behind);
    let tasks = scene.quire(["task", "list", "--json"]).expect_code(0);
    assert_eq!(tasks.stdout, "", "a task was left");
}

fn run_in(scene: &Scene, dir: &Path) -> Ended {
    scene.stage.quire(["run", "Go on."]).in_dir(dir).run()
}

#[test]
fn a_model_without_a_key_says_which_variable_to_set_and_asks_nobody() {
    let scene = looker();
    let list = scene.quire(["model", "list"]).expect_code(0).stdout;
    for (provider, variable) in [("openai/", "OPENAI_API_KEY"), ("anthropic/", "ANTHROPIC_API_KEY")]
    {
        let model = list.split_whitespace().find(|word| word.starts_with(provider)).unwrap();
        let ended = scene.quire(["run", "Go on.", "--model", model]);
        expect_refusal(&scene, ended, 8, &[variable]);
    }
}

#[test]
fn an_unknown_model_is_named_with_the_command_that_lists_them() {
    let scene = looker();
    let ended = scene.quire(["run", "Go on.", "--model", "no-such/model"]);
    expect_refusal(&scene, ended, 8, &["no-such/model", "quire model list"]);
}

#[test]
fn a_directory_outside_of_git_an_empty_and_a_bare_repository_are_told_apart() {
    let scene = looker();
    let outside = tempfile::Builder::new().prefix("quire-outside-").tempdir_in("/var/tmp").unwrap();
    let root = outside.path();
    expect_refusal(&scene, run_in(&scene, root), 2, &["not in a git repository"]);
    let absent = scene.quire(["run", "Go on.", "--repo", "/no/such/place"]);
    expect_refusal(&scene, absent, 2, &["/no/such/place"]);

    let empty = scene.stage.empty_repository("empty");
    expect_refusal(&scene, run_in(&scene, empty.path()), 2, &["commit"]);

    let bare = root.join("bare.git");
    let made = Command::new("git").args(["init", "-q", "--bare"]).arg(&bare).status().unwrap();
    assert!(made.success());
    expect_refusal(&scene, run_in(&scene, &bare), 2, &["bare"]);
}

#[test]
fn a_detached_head_is_worked_on_and_applied() {
    let scene = looker();
    scene.repository.git(["checkout", "-q", "--detach", "HEAD~1"]);
    let before = Bytes::of(scene.repository.path());
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(outcome(&ended), "changed");
    assert!(ended.bodies("base_captured")[0]["branch"].is_null());
    assert!(
        ended.bodies("gate_failed").iter().all(|gate| !gate.to_string().contains("branch_changed"))
    );
    expect_untouched(&scene.repository, &before);
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert_eq!(scene.repository.read("more.txt"), "more\n");
}

#[test]
fn a_missing_ref_is_named_and_one_that_is_there_is_the_start() {
    let scene = looker();
    let missing = scene.quire(["run", "Go on.", "--ref", "no-such-branch"]);
    expect_refusal(&scene, missing, 2, &["no-such-branch"]);
    let ended = scene.run(&["--ref", "HEAD~2"]).expect_code(0);
    let first = scene.repository.git(["rev-parse", "HEAD~2"]);
    assert_eq!(ended.bodies("base_captured")[0]["base"], first.trim());
    let option = scene.quire(["run", "Go on.", "--ref=--upload-pack=touch /tmp/x"]);
    assert_eq!(option.code(), Some(2), "{}", option.stderr);
}

#[test]
fn conflicts_in_the_tree_are_named_before_anything_starts() {
    let scene = looker();
    let repository = &scene.repository;
    repository.git(["switch", "-qc", "other"]);
    repository.write("README.md", "theirs\n");
    repository.commit("Theirs");
    repository.git(["switch", "-q", "main"]);
    repository.write("README.md", "ours\n");
    repository.commit("Ours");
    let merged = Command::new("git")
        .args(["merge", "-q", "other"])
        .current_dir(repository.path())
        .output()
        .unwrap();
    assert!(!merged.status.success());
    let before = Bytes::of(repository.path());
    let ended = scene.quire(["run", "Go on."]);
    expect_refusal(&scene, ended, 2, &["README.md"]);
    expect_untouched(repository, &before);
}

#[test]
fn submodules_and_files_of_large_file_storage_do_not_stop_a_run() {
    let scene = looker();
    let repository = &scene.repository;
    let other = scene.stage.repository("rust-sessions");
    let url = other.path().to_str().unwrap();
    repository.git([
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        url,
        "vendor/sessions",
    ]);
    repository.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    repository.write("data.bin", pointer);
    repository.git([
        "-c",
        "filter.lfs.clean=",
        "-c",
        "filter.lfs.process=",
        "-c",
        "filter.lfs.required=false",
        "add",
        "-A",
    ]);
    repository.git(["commit", "-q", "-m", "Add what is elsewhere"]);
    let before = Bytes::of(repository.path());

    let ended = scene.run(&[]).expect_code(0);

    assert_eq!(outcome(&ended), "changed");
    for told in ["submodules are empty inside: vendor/sessions", "1 file is a pointer into LFS"] {
        assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
    expect_untouched(repository, &before);
    let diff = scene.quire(["task", "diff", "1"]).expect_code(0).stdout;
    assert!(
        diff.contains("more.txt") && !diff.contains("data.bin") && !diff.contains("vendor"),
        "{diff}"
    );
    scene.quire(["task", "apply", "1"]).expect_code(0);
    assert_eq!(repository.read("data.bin"), pointer);
    assert!(repository.path().join("vendor/sessions/src/lib.rs").exists());
}

/// Names that programs trip over.
fn odd_names() -> Vec<std::ffi::OsString> {
    let long = "n".repeat(255);
    let mut names: Vec<std::ffi::OsString> =
        ["new\nline.txt", "Übung 字.txt", "-rf", " lead and trail ", "quo\"te'$(x).txt", &long]
            .map(Into::into)
            .into();
    names.push(std::ffi::OsString::from_vec(b"not\xff\xfeutf8.txt".to_vec()));
    names
}

#[test]
fn files_with_odd_names_are_seen_changed_and_applied() {
    let scene = Scene::where_model_says([
        Turn::shell(
            "for f in *; do case $f in README.md|CHANGES.md|AGENTS.md|slugs|tests) ;; *) echo agent >> \"./$f\"; esac; done; rm -f ./-rf; git add -A && git commit -q -m 'Say agent' && git status --short && ls -b",
        ),
        Turn::say("All files say agent; no tests were run."),
        Turn::say("All files say agent; no tests were run."),
    ]);
    let root = scene.repository.path();
    for (number, name) in odd_names().iter().enumerate() {
        std::fs::write(root.join(name), format!("{number}\n")).unwrap();
        if number == 2 {
            scene.repository.git(["add", "-A"]);
            scene.repository.git(["commit", "-q", "-m", "Some odd names"]);
        }
    }
    symlink("/etc/passwd", root.join("out")).unwrap();
    symlink("../../../../../outside", root.join("dangling")).unwrap();
    std::fs::remove_file(root.join("out")).unwrap();
    let before = Bytes::of(root);

    let ended = scene.run(&[]).expect_code(0);

    expect_untouched(&scene.repository, &before);
    assert_eq!(outcome(&ended), "changed");
    assert_eq!(ended.bodies("base_captured")[0]["uncommitted"], 5);
    scene.quire(["task", "show", "1"]).expect_code(0);
    scene.quire(["task", "diff", "1", "--stat"]).expect_code(0);
    scene.quire(["task", "apply", "1"]).expect_code(0);
    for (number, name) in odd_names().iter().enumerate() {
        let path = root.join(name);
        if name == "-rf" {
            assert!(!path.exists());
        } else {
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                format!("{number}\nagent\n"),
                "{name:?}"
            );
        }
    }
}

#[test]
fn a_link_out_of_the_repository_leads_nowhere_from_inside() {
    let scene = Scene::where_model_says([
        Turn::shell("cat out; echo agent > out; echo agent > up"),
        Turn::call_text(
            "apply_patch",
            "*** Begin Patch\n*** Update File: up\n@@\n-canary-link\n+agent\n*** End Patch\n",
        ),
        Turn::say("Nothing came of it."),
        Turn::say("Nothing came of it."),
    ]);
    let kept = tempfile::Builder::new().prefix("quire-outside-").tempdir_in("/var/tmp").unwrap();
    let far = kept.path().join("outside.txt");
    let near = scene.stage.path().join("outside.txt");
    for file in [&far, &near] {
        std::fs::write(file, "canary-link\n").unwrap();
    }
    symlink(&far, scene.repository.path().join("out")).unwrap();
    symlink("../../outside.txt", scene.repository.path().join("up")).unwrap();
    scene.repository.commit("Link out");
    let ended = scene.run(&[]);
    assert!(matches!(ended.code(), Some(0)), "{}", ended.stderr);
    for file in [&far, &near] {
        assert_eq!(std::fs::read_to_string(file).unwrap(), "canary-link\n");
    }
    let shown: String = ended
        .bodies("command_finished")
        .iter()
        .map(|one| one["chunk"]["id"].as_str().unwrap().to_owned())
        .collect();
    let output = scene.quire(["task", "logs", "1", "--chunk", &shown]).expect_code(0).stdout;
    assert!(!output.contains("canary-link"), "{output}");
}

#[test]
fn a_prompt_comes_as_a_word_from_a_file_or_from_standard_input_and_is_never_empty() {
    let scene = looker();
    for args in [vec!["run"], vec!["run", ""], vec!["run", " \n "], vec!["ask"]] {
        let ended = scene.quire(args.clone());
        expect_refusal(&scene, ended, 2, &["prompt"]);
    }
    let nothing = scene.call(["run", "-"]).stdin("").run();
    expect_refusal(&scene, nothing, 2, &["prompt"]);
    let bytes = scene.call(["run", "-"]).stdin(b"\xff\xfe".to_vec()).run();
    expect_refusal(&scene, bytes, 2, &["UTF-8"]);
    let absent = scene.quire(["run", "--prompt-file", "absent.md"]);
    expect_refusal(&scene, absent, 2, &["absent.md"]);
    let large = scene.call(["run", "-"]).stdin("x".repeat((1 << 20) + 1)).run();
    expect_refusal(&scene, large, 2, &["1 MiB"]);

    scene.call(["run", "-"]).stdin("From standard input.\nTwo lines.").run().expect_code(0);
    assert_eq!(scene.show("1")["prompt"], "From standard input.\nTwo lines.");
    let file = scene.stage.path().join("prompt.md");
    std::fs::write(&file, "From a file.").unwrap();
    scene.quire(["run", "--prompt-file", file.to_str().unwrap()]).expect_code(0);
    assert_eq!(scene.show("2")["prompt"], "From a file.");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named_with_where_it_was_set() {
    let scene = looker();
    let file = scene.stage.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data");
    for (call, origin) in [
        (scene.call(["run", "Go on.", "--data-dir", below.to_str().unwrap()]), "--data-dir"),
        (scene.call(["run", "Go on."]).env("QUIRE_DATA_DIR", &below), "QUIRE_DATA_DIR"),
    ] {
        let ended = call.run();
        expect_refusal(&scene, ended, 2, &["a-file/data", origin]);
    }
    let relative = scene.call(["run", "Go on."]).env("QUIRE_DATA_DIR", "data").run();
    expect_refusal(&scene, relative, 2, &["QUIRE_DATA_DIR", "absolute"]);
    if is_root() {
        println!("SKIPPED: root may write into a directory that nobody may write");
        return;
    }
    let closed = scene.stage.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o500)).unwrap();
    let ended = scene.quire(["run", "Go on.", "--data-dir", closed.join("data").to_str().unwrap()]);
    expect_refusal(&scene, ended, 2, &["closed/data"]);
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[test]
fn what_is_kept_can_be_read_by_its_owner_alone() {
    let stage = stage();
    let data = stage.path().join("first/data");
    stage.quire(["task", "list", "--data-dir", data.to_str().unwrap()]).run().expect_code(0);
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let other = stage.path().join("second/data");
    stage.quire(["doctor"]).env("QUIRE_DATA_DIR", &other).run();
    assert_eq!(other.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_place_with_blanks_and_unicode_in_its_name_is_as_good_as_any() {
    let scene = looker();
    let place = scene.stage.path().join("my work/Übung 字 'q\"");
    std::fs::create_dir_all(&place).unwrap();
    let moved = place.join("the repo");
    std::fs::rename(scene.repository.path(), &moved).unwrap();
    let data = place.join("data dir");
    let repository = Repository::at(&moved);
    let call = |args: &[&str]| {
        scene.stage.quire(args).in_repository(&repository).env("QUIRE_DATA_DIR", &data).run()
    };
    let ended = call(&["run", "--json", "Go on.", "--check", "test -s more.txt"]).expect_code(0);
    assert_eq!(outcome(&ended), "changed");
    assert_eq!(ended.bodies("base_captured")[0]["workspace"], moved.to_str().unwrap());
    call(&["task", "apply", "1"]).expect_code(0);
    assert_eq!(repository.read("more.txt"), "more\n");
    call(&["verify", "1"]).expect_code(0);
}

#[test]
fn a_run_from_a_directory_below_the_root_starts_there() {
    let scene =
        Scene::where_model_says([Turn::shell("pwd"), Turn::say("Here 【{{chunk 1}}†L1】.")]);
    let below = scene.repository.path().join("slugs");
    let ended =
        scene.stage.quire(["ask", "--json", "Where am I?"]).in_dir(&below).run().expect_code(0);
    assert_eq!(ended.bodies("cited")[0]["verdict"]["text"], below.to_str().unwrap());
}

#[test]
fn without_a_home_data_is_kept_where_the_variable_says() {
    let scene = looker();
    let data = scene.stage.path().join("data");
    let ended = scene
        .call(["run", "--json", "Go on."])
        .env("HOME", "")
        .env("QUIRE_DATA_DIR", &data)
        .run()
        .expect_code(0);
    assert_eq!(outcome(&ended), "changed");
    assert!(data.join("quire.db").exists());
}

#[test]
fn words_stay_plain_without_a_terminal_and_with_no_color() {
    let scene = looker();
    let ended = scene
        .call(["run", "Go on."])
        .env("NO_COLOR", "1")
        .env("TERM", "xterm-256color")
        .run()
        .expect_code(0);
    assert!(!(ended.stdout + &ended.stderr).contains('\x1b'));
}

#[test]
fn a_wrong_recipe_and_a_wrong_configuration_are_named_with_file_and_line() {
    let scene = looker();
    scene.repository.write(".quire/environment.toml", "\n[[checks]]\nnam = 1\n");
    let ended = scene.quire(["run", "Go on."]);
    expect_refusal(&scene, ended, 2, &[".quire/environment.toml", "nam"]);
    std::fs::remove_dir_all(scene.repository.path().join(".quire")).unwrap();

    let file = scene.stage.home().join(".config/quire/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "modle = \"x\"\n").unwrap();
    let ended = scene.quire(["run", "Go on."]).expect_code(2);
    assert!(
        ended.stderr.contains("config.toml") && ended.stderr.contains("modle"),
        "{}",
        ended.stderr
    );
    std::fs::remove_file(&file).unwrap();

    scene.repository.write(".quire/config.toml", "data_dir = \"/tmp/elsewhere\"\n");
    let ended = scene.quire(["run", "Go on."]).expect_code(2);
    assert!(ended.stderr.contains(".quire/config.toml"), "{}", ended.stderr);
}

#[test]
fn wrong_flags_and_tasks_that_do_not_exist_are_usage() {
    let scene = looker();
    for args in [
        vec!["run", "Go on.", "--attempts", "5"],
        vec!["run", "Go on.", "--attempts", "0"],
        vec!["run", "Go on.", "--no-such-flag"],
        vec!["review", "--base", "main", "--commit", "HEAD"],
        vec!["task", "show", "17"],
        vec!["task", "show", "1.x"],
        vec!["task", "resume", "17"],
        vec!["task", "cancel", "17"],
        vec!["task", "apply", "17"],
        vec!["task", "diff", "17"],
        vec!["task", "logs", "17"],
        vec!["verify", "17"],
        vec!["run", "Go on.", "--image-file", "README.md"],
    ] {
        let ended = scene.quire(args.clone());
        assert_eq!(ended.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert!(!ended.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_setting_of_a_repository_does_not_drive_the_terminal() {
    let scene = looker();
    scene.repository.write(".quire/config.toml", "budget = \"\\u001b[2J\\u0007\"\n");
    let shown = scene.quire(["config", "show"]).expect_code(0).stdout;
    assert!(shown.contains("␛[2J␇"), "{shown:?}");
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
}

#[test]
fn what_cannot_be_printed_is_a_failure_and_a_reader_that_went_away_is_none() {
    let scene = looker();
    scene.run(&[]).expect_code(0);
    for words in [
        &["task", "list"][..],
        &["task", "show", "1"],
        &["task", "diff", "1"],
        &["task", "logs", "1", "--json"],
        &["verify", "1", "--json"],
        &["--help"],
    ] {
        let to = |line| {
            let call = scene.call(words.iter().copied());
            call.beneath(&["bash", "-c", line, "bash"]).run()
        };
        let full = to("exec \"$@\" > /dev/full").expect_code(1);
        assert!(full.stderr.contains("error: cannot write to standard output"), "{words:?}");
        let gone = to("\"$@\" | true; exit ${PIPESTATUS[0]}").expect_code(0);
        assert!(!gone.stderr.contains("error"), "{words:?}: {}", gone.stderr);
    }
}

#[test]
fn a_directory_that_was_deleted_is_named_as_what_it_is() {
    let scene = looker();
    let gone = tempfile::Builder::new().prefix("quire-gone-").tempdir_in("/var/tmp").unwrap();
    let call = scene.stage.quire(["run", "Go on."]).in_dir(gone.path());
    let ended = call.beneath(&["bash", "-c", "rmdir \"$PWD\" && exec \"$@\"", "bash"]).run();
    expect_refusal(&scene, ended, 2, &["was deleted"]);
}

#[test]
fn a_recipe_that_is_no_file_of_text_is_not_passed_over() {
    let scene = looker();
    let recipe = scene.repository.path().join(".quire/environment.toml");
    let refused = |word: &str| {
        expect_refusal(&scene, scene.quire(["run", "Go on."]), 2, &["environment.toml", word]);
        std::fs::remove_file(&recipe).unwrap();
    };
    scene.repository.write(".quire/other.toml", "");
    symlink("other.toml", &recipe).unwrap();
    refused("is a link");
    assert!(Command::new("mkfifo").arg(&recipe).status().unwrap().success());
    refused("is no regular file");
    std::fs::write(&recipe, b"name = '\xff'\n").unwrap();
    refused("is not UTF-8");
    std::fs::write(&recipe, "#".repeat(300_000)).unwrap();
    refused("is longer than");
}
