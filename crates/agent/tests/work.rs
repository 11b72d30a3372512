//! The ordinary course of an attempt.

mod support;

use quire_agent::End;
use quire_domain::event::EventBody;
use quire_domain::task::Mode;
use support::Stage;
use support::player::{calls, patch, say, shell};

#[tokio::test]
async fn a_failing_command_is_shown_to_the_model_and_the_attempt_goes_on() {
    let stage = Stage::new(vec![shell("printf 'one\\ntwo\\n'; exit 3"), say("It fails.")]);

    assert_eq!(stage.answer().await, ("It fails.".to_owned(), vec![]));

    insta::assert_snapshot!(stage.kinds(), @r"
    submitted
    instructions_loaded
    model_requested
    model_replied
    command_started
    command_finished
    tool_answered
    model_requested
    model_replied
    ");
    let answer = stage.answers().remove(0);
    assert!(answer.starts_with("[a00001] exit 3 · "), "{answer}");
    assert!(answer.ends_with(" · 2 lines\none\ntwo"), "{answer}");
}

#[tokio::test]
async fn a_turn_of_the_model_is_two_appends() {
    let stage = Stage::new(vec![shell("true"), shell("echo x"), say("Done.")]);
    stage.run().await;
    let appends = stage.record.appends.lock().unwrap().clone();
    let lines: Vec<String> = appends.iter().map(|kinds| kinds.join(" ")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    instructions_loaded model_requested
    model_replied command_started
    command_finished tool_answered model_requested
    model_replied command_started
    command_finished tool_answered model_requested
    model_replied
    ");
}

#[tokio::test]
async fn a_patch_is_applied_and_a_wrong_one_changes_nothing() {
    let good = "*** Begin Patch\n*** Update File: a.txt\n@@\n-old\n+new\n*** Add File: b/c.txt\n+hi\n*** End Patch";
    let bad = "*** Begin Patch\n*** Update File: a.txt\n@@\n-gone\n+new\n*** End Patch";
    let stage = Stage::new(vec![patch(bad), patch(good), say("Done.")]).file("a.txt", "old\n");
    stage.run().await;
    assert_eq!((stage.read("a.txt").as_str(), stage.read("b/c.txt").as_str()), ("new\n", "hi\n"));
    let answers = stage.answers();
    assert!(answers[0].contains("a.txt") && answers[0].contains("gone"), "{}", answers[0]);
    assert_eq!(answers[1], "The patch was applied:\nM a.txt +1 −1\nA b/c.txt +1 −0");
    assert!(stage.kinds().contains("patch_rejected\ntool_answered"));
    assert!(stage.kinds().contains("patch_applied\ntool_answered"));
}

#[tokio::test]
async fn a_patch_written_as_a_heredoc_is_applied_as_a_patch() {
    let command = "apply_patch <<'EOF'\n*** Begin Patch\n*** Update File: a.txt\n@@\n-old\n+new\n*** End Patch\nEOF\n";
    let stage = Stage::new(vec![shell(command), say("Done.")]).file("a.txt", "old\n");
    stage.run().await;
    assert_eq!(stage.read("a.txt"), "new\n");
    assert!(!stage.kinds().contains("command_started"));
}

#[tokio::test]
async fn files_that_a_command_changes_are_recorded_unless_git_ignores_them() {
    let command = "mkdir -p target/deep src web/out .git/info && echo 2 > a.txt && touch \
                   target/deep/x src/new.rs src/x.pyc src/keep.pyc web/out/x web/only x.local \
                   .git/index";
    let stage = Stage::new(vec![shell(command), say("Done.")])
        .file("a.txt", "1\n")
        .file(".gitignore", "target/\n*.pyc\n/only\n")
        .file(".git/info/exclude", "*.local\n")
        .file("target/.gitignore", "!*\n")
        .file("src/.gitignore", "!keep.pyc\n")
        .file("web/.gitignore", "out/\n");
    stage.run().await;
    let changed = stage.record.bodies().into_iter().find_map(|body| match body {
        EventBody::FilesChanged(changed) => Some(changed.paths),
        _ => None,
    });
    let changed = changed.unwrap_or_default();
    assert_eq!(changed, ["a.txt", "src/keep.pyc", "src/new.rs", "web/only"]);
}

#[tokio::test]
async fn a_long_command_goes_to_the_background_and_is_waited_for() {
    let stage = Stage::playing(support::player::Player::saying(|items| {
        let heard = items.iter().filter(|item| is_reply(item)).count();
        let input = |text: &str| quire_domain::transcript::ToolInput::Json(text.to_owned());
        Ok(match heard {
            0 => calls(vec![(
                "shell",
                input(r#"{"command":"echo start; sleep 0.4; echo end","timeout":0.1}"#),
            )]),
            1 => calls(vec![("write_stdin", input(r#"{"session":"a00001","wait":5}"#))]),
            2 => calls(vec![("write_stdin", input(r#"{"session":"a00001"}"#))]),
            _ => say("Done."),
        })
    }));
    stage.run().await;
    let answers = stage.answers();
    assert!(answers[0].contains("running · "), "{}", answers[0]);
    assert!(answers[0].ends_with("session a00001\nstart"), "{}", answers[0]);
    assert!(
        answers[1].contains("exit 0 · ")
            && answers[1].ends_with("2 lines\n… line 1 was shown before …\nend"),
        "{answers:?}"
    );
    assert!(answers[2].starts_with("No command `a00001` runs."), "{}", answers[2]);
}

fn is_reply(item: &quire_domain::transcript::Item) -> bool {
    matches!(item, quire_domain::transcript::Item::Reply(_))
}

#[tokio::test]
async fn outside_of_code_mode_there_is_no_patch() {
    for mode in [Mode::Ask, Mode::Plan, Mode::Review] {
        let stage = Stage::new(vec![say("Here.")]).mode(mode);
        assert_eq!(stage.run().await, End::Finished { answer: "Here.".to_owned(), faults: vec![] });
        let (system, tools) = stage.player.preambles.lock().unwrap()[0].clone();
        assert!(tools.iter().all(|tool| tool.name != "apply_patch"), "{mode}");
        assert!(!system.contains("apply_patch"), "{mode}");
    }
}

#[tokio::test]
async fn instructions_and_tools_of_the_first_request_are_small() {
    let stage = Stage::new(vec![say("Done.")]);
    stage.run().await;
    let (system, tools) = stage.player.preambles.lock().unwrap()[0].clone();
    let tools_text = serde_json::to_string(&tools).unwrap();
    assert!(system.len() + tools_text.len() < 10_000, "{} + {}", system.len(), tools_text.len());
    insta::assert_snapshot!(serde_json::to_string_pretty(&tools).unwrap());
}
