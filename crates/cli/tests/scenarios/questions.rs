//! `quire ask` and `quire review`: commands may write, and nothing of it stays.

use quire_testkit::Turn;

use crate::scene::{Bytes, Scene, expect_untouched, outcome, verdicts};

#[test]
fn a_question_is_answered_with_files_at_the_base_and_nothing_changes() {
    let scene = Scene::of("rust-sessions");
    let before = Bytes::of(scene.repository.path());
    let ended = scene.quire(["ask", "--json", "Where are sessions expired?"]).expect_code(0);
    assert_eq!(outcome(&ended), "answered");
    let shown = scene.show("1");
    let verdicts = verdicts(&shown);
    assert!(
        verdicts.len() >= 7 && verdicts.iter().all(|verdict| verdict == "resolved"),
        "{verdicts:?}"
    );
    let head = scene.repository.head();
    for cited in shown["citations"].as_array().unwrap() {
        assert_eq!(cited["verdict"]["at"], head.as_str());
    }
    expect_untouched(&scene.repository, &before);
    let none = scene.quire(["task", "diff", "1"]).expect_code(2);
    assert!(none.stderr.contains("has no change"), "{}", none.stderr);
    scene.quire(["task", "apply", "1"]).expect_code(2);
}

#[test]
fn what_commands_of_a_question_write_and_commit_is_thrown_away() {
    let scene = Scene::where_model_says([
        Turn::shell(
            "echo changed > README.md && git add -A && git commit -qm 'No' && cat README.md",
        ),
        Turn::say("It begins with its name 【F:README.md†L1】, and now says 【{{chunk 1}}†L1】."),
    ]);
    let before = Bytes::of(scene.repository.path());
    let ended = scene.quire(["ask", "--json", "What does the README say?"]).expect_code(0);
    assert_eq!(outcome(&ended), "answered");
    assert!(!ended.kinds().contains(&"committed".to_owned()));
    assert_eq!(
        ended.bodies("cited")[0]["verdict"]["text"],
        "# slugs",
        "files are cited at the base"
    );
    expect_untouched(&scene.repository, &before);

    let after = scene.quire(["task", "message", "1", "And now?", "--json"]);
    let first = after.bodies("tool_answered");
    assert!(first.is_empty() || !first[0].to_string().contains("not a git repository"));
}

#[test]
fn patches_are_not_offered_where_nothing_may_change() {
    let scene = Scene::where_model_says([Turn::say("Nothing.")]);
    scene.quire(["ask", "What is this?"]).expect_code(0);
    scene.quire(["run", "Do nothing."]).expect_code(0);
    let bodies: Vec<String> = scene
        .stage
        .requests()
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    let offers = |body: &String| body.contains("\"name\":\"apply_patch\"");
    assert_eq!(bodies.iter().map(offers).collect::<Vec<_>>(), [false, true]);
}

/// What the model of a review is first told.
fn first_words(scene: &Scene) -> String {
    String::from_utf8_lossy(&scene.stage.requests().last().unwrap().body).into_owned()
}

#[test]
fn a_review_is_of_a_branch_of_a_commit_or_of_what_is_not_committed() {
    let scene =
        Scene::where_model_says([Turn::say("The cut is wrong 【F:slugs/slugify.py†L19】.")]);
    let repository = &scene.repository;
    repository.git(["switch", "-qc", "topic"]);
    repository.write("notes.md", "one\n");
    let commit = repository.commit("Take notes");

    for args in [vec!["--base", "main"], vec!["--commit", &commit], vec!["--commit", "HEAD"]] {
        let ended =
            scene.quire(["review", "--json"].into_iter().chain(args.clone())).expect_code(0);
        assert_eq!(outcome(&ended), "answered", "{args:?}");
        assert!(first_words(&scene).contains(args[1]), "{args:?}");
    }

    let nothing = scene.quire(["review"]).expect_code(2);
    assert!(
        nothing.stderr.contains("nothing uncommitted") && nothing.stderr.contains("--base"),
        "{}",
        nothing.stderr
    );

    repository.write("notes.md", "two\n");
    repository.write("more.md", "three\n");
    let before = Bytes::of(repository.path());
    let ended =
        scene.quire(["review", "--uncommitted", "--json", "Look at the notes."]).expect_code(0);
    assert_eq!(outcome(&ended), "answered");
    assert!(first_words(&scene).contains("Look at the notes."));
    assert_eq!(ended.bodies("base_captured")[0]["uncommitted"], 2);
    expect_untouched(repository, &before);
    assert_eq!(verdicts(&scene.show("4")), ["resolved unseen"], "{}", scene.show("4"));
}

#[test]
fn a_review_of_what_is_not_there_says_so() {
    let scene = Scene::where_model_says([Turn::say("Nothing.")]);
    for args in
        [["--base", "no-such-branch"], ["--commit", "0123456789abcdef0123456789abcdef01234567"]]
    {
        let ended = scene.quire(["review"].into_iter().chain(args));
        assert!(matches!(ended.code(), Some(1 | 2)), "{}", ended.stderr);
        assert!(ended.stderr.contains(args[1]), "{}", ended.stderr);
    }
    assert_eq!(scene.stage.requests().len(), 0);
    assert_eq!(scene.quire(["task", "list", "--json"]).expect_code(0).stdout, "");
}

#[test]
fn an_answer_has_the_form_that_was_asked_for_and_standard_output_has_that_value_alone() {
    let scene = Scene::where_model_says([
        Turn::say("There are two modules 【F:README.md†L1】."),
        Turn::say(r#"{"modules": "two"}"#),
        Turn::say("```json\n{\"modules\": 2}\n```"),
    ]);
    let form = scene.repository.path().join("form é.json");
    let write = |text: &str| std::fs::write(&form, text).unwrap();
    write(
        r#"{"type": "object", "properties": {"modules": {"type": "integer"}}, "required": ["modules"]}"#,
    );
    let asked = ["ask", "--output-schema", "form é.json", "How many modules are there?"];
    let ended = scene.quire(asked).expect_code(0);
    assert_eq!(ended.stdout, "{\"modules\": 2}\n");
    assert!(ended.stderr.contains("task 1"), "{}", ended.stderr);
    let last = String::from_utf8_lossy(&scene.stage.requests().last().unwrap().body).into_owned();
    assert!(last.contains("/modules"), "the model is told where it does not fit: {last}");

    for (text, why) in [
        ("{", "EOF"),
        ("[]", "no JSON object"),
        (r#"{"type": "lots"}"#, "type"),
        (r#"{"$ref": "https://example.com/form.json"}"#, "not part of the schema"),
    ] {
        write(text);
        let refused = scene.quire(asked).expect_code(2);
        assert!(
            refused.stderr.contains(why) && refused.stderr.contains("form é.json"),
            "{}",
            refused.stderr
        );
    }
    scene.quire(["review", "--output-schema", "form é.json", "--commit", "HEAD"]).expect_code(2);
    scene.quire(["task", "show", "2"]).expect_code(2);
}
