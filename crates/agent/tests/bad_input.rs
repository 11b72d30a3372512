//! What models get wrong: each is told in a useful sentence, and the attempt goes on.

mod support;

use quire_domain::transcript::{StopReason, ToolInput};
use support::Stage;
use support::player::{calls, patch, say, shell};

async fn told(name: &str, input: ToolInput) -> String {
    let stage = Stage::new(vec![calls(vec![(name, input)]), say("Done.")]).file("a.txt", "x\n");
    assert_eq!(stage.answer().await.0, "Done.");
    stage.answers().remove(0).replace(&stage.repo.path().display().to_string(), "/repo")
}

#[tokio::test]
async fn every_bad_call_is_answered_with_what_to_do() {
    let json = |text: &str| ToolInput::Json(text.to_owned());
    let table = [
        ("fly", json("{}")),
        ("shell", json(r#"{"command": "ls"#)),
        ("shell", json(r#"{"command": 7}"#)),
        ("shell", json("[]")),
        ("shell", json("")),
        ("shell", json(r#"{"command": " "}"#)),
        ("shell", json(r#"{"command": "a\u0000b"}"#)),
        ("shell", json(r#"{"command": "ls", "workdir": "/none"}"#)),
        ("shell", json(&format!(r#"{{"command": "{}"}}"#, "x".repeat(10_000_000)))),
        ("write_stdin", json(r#"{"session": "nope"}"#)),
        ("update_plan", json(r#"{"plan": []}"#)),
        ("update_plan", json(r#"{"plan": [{"step": "a", "status": "maybe"}]}"#)),
        ("view_image", json(r#"{"path": "gone.png"}"#)),
        ("view_image", json(r#"{"path": "a.txt"}"#)),
        ("view_image", json(r#"{"path": "."}"#)),
        ("apply_patch", json(r#"{"patch": 1}"#)),
        ("apply_patch", ToolInput::Text("hello".to_owned())),
        (
            "apply_patch",
            ToolInput::Text("*** Begin Patch\n*** Add File: ../x\n+a\n*** End Patch".to_owned()),
        ),
        ("apply_patch", ToolInput::Text("*** Begin Patch\n*** Add File: a".to_owned())),
    ];
    let mut lines = Vec::new();
    for (name, input) in table {
        lines.push(format!("{name}: {}", told(name, input).await));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_call_written_in_a_near_form_is_understood() {
    for arguments in [
        r#"{"cmd": "echo hi"}"#,
        r#"{"command": ["bash", "-lc", "echo hi"]}"#,
        r#"{"command": ["echo", "hi"], "timeout": 120000, "why": "to see"}"#,
    ] {
        let answer = told("shell", ToolInput::Json(arguments.to_owned())).await;
        assert!(answer.ends_with(" · 1 line\nhi"), "{arguments}: {answer}");
    }
    let text = "*** Begin Patch\n*** Delete File: a.txt\n*** End Patch";
    let json = serde_json::json!({ "input": text }).to_string();
    for input in [ToolInput::Json(json), ToolInput::Json(text.to_owned())] {
        assert_eq!(told("apply_patch", input).await, "The patch was applied:\nD a.txt +0 −1");
    }
}

#[tokio::test]
async fn output_that_is_no_text_and_programs_that_would_wait_do_no_harm() {
    let stage = Stage::new(vec![
        shell(r"printf '\xff\xfe\x1b[31mred\x1b[0m\n\x00'; cat; git log --help | head -1"),
        say("Done."),
    ]);
    stage.run().await;
    let answer = stage.answers().remove(0);
    assert!(answer.contains("\n\u{fffd}\u{fffd}red\n"), "{answer:?}");
}

#[tokio::test]
async fn a_call_at_the_end_of_a_cut_reply_is_not_run() {
    let mut cut = shell("touch made.txt");
    cut.stop = StopReason::MaxTokens;
    let stage = Stage::new(vec![cut, say("Done.")]);
    stage.run().await;
    assert!(stage.answers()[0].contains("output limit"));
    assert!(!stage.repo.path().join("made.txt").exists());
}

#[tokio::test]
async fn more_calls_than_a_reply_may_make_are_answered_all_the_same() {
    let wrong = || ToolInput::Json(r#"{"plan":[{"step":"a","status":"pending"}]}"#.to_owned());
    let stage =
        Stage::new(vec![calls((0..70).map(|_| ("view_image", wrong())).collect()), say("Done.")]);
    assert_eq!(stage.answer().await.0, "Done.");
    assert_eq!(stage.answers().len(), 70);
    let many = (0..70)
        .map(|n| ("shell", ToolInput::Json(format!(r#"{{"command":"echo {n}"}}"#))))
        .collect();
    let stage = Stage::new(vec![calls(many), say("Done.")]);
    assert_eq!(stage.answer().await.0, "Done.");
    let started = stage.kinds().matches("command_started").count();
    assert_eq!(started, 64);
    assert!(stage.answers()[69].starts_with("Not run: this is call 70 of a reply"));
}

#[tokio::test]
async fn in_ask_mode_a_patch_as_a_heredoc_is_declined() {
    let command = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: x\n+a\n*** End Patch\nEOF";
    let stage = Stage::new(vec![shell(command), patch("x"), say("Done.")])
        .mode(quire_domain::task::Mode::Ask);
    stage.run().await;
    assert_eq!(stage.answers()[0], "Patches are not applied in this mode.");
    assert!(stage.answers()[1].starts_with("There is no tool `apply_patch` here."));
    assert!(!stage.repo.path().join("x").exists());
}
