//! Replies that are not as they should be: the model is told, or asked again, and the attempt goes
//! on or ends with a reason.

use quire_testkit::{Ended, Fault, ToolCall, Turn, hostile};
use serde_json::json;

use crate::scene::{Scene, told};

fn answers(ended: &Ended) -> Vec<(bool, String)> {
    let answers = ended.bodies("tool_answered");
    let read = |one: &serde_json::Value| {
        let text = one["parts"][0]["text"].as_str().unwrap_or_default();
        (one["ok"].as_bool().unwrap(), text.to_owned())
    };
    answers.iter().map(read).collect()
}

fn malformed(conversation: &str) -> Scene {
    let mut scene = Scene::of("python-slugs");
    scene.stage.plays_file("hostile/malformed").conversation(conversation);
    scene
}

#[test]
fn malformed_json_wrong_types_and_unknown_tools_are_told_to_the_model_and_it_goes_on() {
    let raw = |text: &str| ToolCall {
        tool: "shell".to_owned(),
        raw: Some(text.to_owned()),
        ..ToolCall::default()
    };
    let odd = |tool: &str| ToolCall {
        tool: tool.to_owned(),
        input: Some(json!({})),
        ..ToolCall::default()
    };
    let calls = vec![
        raw("{\"command\": \"echo "),
        raw("[1, 2]"),
        raw("{\"command\": 7}"),
        raw("\u{0}\u{1}"),
        odd("browse"),
        odd("../../shell"),
        odd(""),
    ];
    let scene = Scene::where_model_says([
        Turn { calls, ..Turn::default() },
        Turn::shell("echo well"),
        Turn::say("It went well in the end 【{{chunk 8}}†L1】."),
    ]);
    let ended = scene.run(&[]).expect_code(0);
    let answers = answers(&ended);
    assert_eq!(answers.len(), 8, "each call is answered");
    for (ok, text) in &answers[..7] {
        assert!(!ok && !text.is_empty() && text.len() < 2_000, "{text}");
    }
    assert_eq!(ended.bodies("cited")[0]["verdict"]["text"], "well");
}

#[test]
fn a_model_that_says_nothing_is_told_three_times_and_then_ended() {
    let ended = malformed("empty").run(&[]);
    assert!(matches!(ended.code(), Some(0 | 3)), "{}", ended.stderr);
    let told = told(&ended);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("Your reply was empty"), "{told:?}");
    assert_eq!(ended.bodies("model_replied").len(), 4);
}

#[test]
fn an_argument_of_ten_megabytes_is_told_and_memory_and_log_stay_small() {
    let mut scene = Scene::of("python-slugs");
    scene.stage.model_says(hostile::huge_argument(10 << 20));
    let ended = scene.run(&["--budget", "2c"]);
    assert!(matches!(ended.code(), Some(0 | 3 | 5)), "{}", ended.stderr);
    let events = std::fs::metadata(scene.stage.data().join("events.db")).unwrap().len();
    assert!(events < 4 << 20, "the log has {events} bytes");
    scene.quire(["verify", "1"]).expect_code(0);
}

#[test]
fn an_argument_over_its_bound_is_told_with_the_bound_and_one_without_end_ends_with_why() {
    let run = |bytes: usize, more: &[&str]| {
        let mut scene = Scene::of("python-slugs");
        scene.stage.model_says(hostile::huge_argument(bytes));
        scene.run(more)
    };
    // It fills the window, and after that the script begins again: two calls show enough.
    let ended = run(10_000_000, &["--budget", "2c"]).expect_code(5);
    let told = &answers(&ended)[0].1;
    assert!(told.contains("10,000,014 bytes") && told.contains("is the limit"), "{told}");
    assert!(ended.kinds().contains(&"compacted".to_owned()));
    let ended = run(16 << 20, &[]).expect_code(3);
    let detail = ended.bodies("finished")[0]["outcome"]["detail"].to_string();
    assert!(detail.contains("larger than 10 MiB"), "{detail}");
}

#[test]
fn a_hundred_calls_in_one_reply_are_each_answered() {
    let mut scene = Scene::of("python-slugs");
    scene.stage.model_says(hostile::many_calls(100));
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(answers(&ended).len(), 100);
}

#[test]
fn patches_that_do_not_fit_change_nothing() {
    let ended = malformed("bad-patches").run(&[]).expect_code(0);
    assert_eq!(ended.bodies("patch_rejected").len(), 3);
    assert!(ended.bodies("patch_applied").is_empty());
    assert_eq!(ended.bodies("cited")[0]["verdict"]["text"], "clean");
}

#[test]
fn streams_that_are_cut_at_any_byte_are_asked_again_and_no_call_runs_twice() {
    for cut in [0, 1, 7, 60, 200, 500, 900, 1_300] {
        let fault = Fault { cut_after: Some(cut), ..Fault::default() };
        let scene = Scene::where_model_says([
            Turn::shell("echo ran >> __ran; cat __ran; rm -f __gone").after(fault.clone()),
            Turn::shell("cat __ran; rm __ran"),
            Turn::say("It ran once 【{{chunk 2}}†L1】.").after(fault),
        ]);
        let ended = scene.run(&[]).expect_code(0);
        assert_eq!(ended.bodies("command_started").len(), 2, "cut after {cut} bytes");
        let text = answers(&ended)[1].1.clone();
        assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), ["ran"], "cut after {cut} bytes");
    }
}

#[test]
fn bytes_that_are_no_text_events_that_are_no_json_and_errors_are_asked_again() {
    let faults = [
        Fault { invalid_utf8: true, ..Fault::default() },
        Fault { malformed: true, ..Fault::default() },
        Fault { end_after: Some(300), ..Fault::default() },
        Fault { status: Some(503), ..Fault::default() },
        Fault { status: Some(429), retry_after_ms: Some("20".to_owned()), ..Fault::default() },
    ];
    let mut turns: Vec<Turn> = faults
        .iter()
        .enumerate()
        .map(|(number, fault)| Turn::shell(&format!("echo {number}")).after(fault.clone()))
        .collect();
    turns.push(Turn::say("All came 【{{chunk 5}}†L1】."));
    let scene = Scene::where_model_says(turns);
    let ended = scene.run(&[]).expect_code(0);
    assert_eq!(ended.bodies("command_started").len(), 5);
    assert_eq!(ended.bodies("cited")[0]["verdict"]["text"], "4");
}

#[test]
fn what_will_not_get_better_ends_with_the_providers_words_and_what_to_do() {
    for (status, code, word) in [
        (401, "invalid_api_key", "key"),
        (404, "model_not_found", "model"),
        (400, "invalid_request_error", "no such thing"),
    ] {
        let fault = Fault {
            times: 1_000,
            status: Some(status),
            code: Some(code.to_owned()),
            message: Some("no such thing".to_owned()),
            ..Fault::default()
        };
        let scene = Scene::where_model_says([Turn::say("Never.").after(fault)]);
        let ended = scene.run(&[]).expect_code(3);
        let end = &ended.bodies("finished")[0]["outcome"];
        assert_eq!(end["outcome"], "failed");
        assert!(end["detail"].as_str().unwrap().contains(word), "{end}");
        assert!(scene.stage.requests().len() <= 2, "{status} was asked again and again");
        let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
        assert!(text.contains("Failed"), "{text}");
    }
}

#[test]
fn what_a_provider_declines_is_refused_with_its_words() {
    let scene = malformed("refused");
    let ended = scene.run(&[]).expect_code(4);
    assert_eq!(ended.bodies("finished")[0]["outcome"]["words"], "I cannot help with that.");
    let text = scene.quire(["task", "show", "1"]).expect_code(0).stdout;
    assert!(text.contains("Refused  I cannot help with that."), "{text}");
    malformed("filtered").run(&[]).expect_code(4);
}

#[test]
fn the_same_call_for_ever_is_ended_as_stuck() {
    let scene = malformed("endless-same");
    let ended = scene.run(&[]).expect_code(3);
    assert_eq!(ended.bodies("finished")[0]["outcome"]["kind"], "stuck");
    assert!(ended.bodies("model_replied").len() <= 8);
}

#[test]
fn output_without_end_is_cut_for_the_model_and_whole_in_the_record() {
    let scene = Scene::where_model_says([
        Turn::shell("seq 1 300000"),
        Turn::say(
            "The last is here 【{{chunk 1}}†L300000】, and the middle is there 【{{chunk 1}}†L150000】.",
        ),
    ]);
    let ended = scene.run(&[]).expect_code(0);
    let shown = &answers(&ended)[0].1;
    assert!(shown.len() < 20_000 && shown.contains("omitted"), "{}", shown.len());
    assert!(shown.contains("\n1\n2\n") && shown.ends_with("\n299999\n300000"), "head and tail");
    let cited = ended.bodies("cited");
    assert_eq!(cited[0]["verdict"]["text"], "300000");
    assert_eq!(
        (&cited[1]["verdict"]["text"], &cited[1]["verdict"]["marks"][0]),
        (&json!("150000"), &json!("unseen"))
    );
    let chunk = ended.bodies("command_finished")[0]["chunk"]["id"].as_str().unwrap().to_owned();
    let whole = scene.quire(["task", "logs", "1", "--chunk", &chunk]).expect_code(0).stdout;
    assert_eq!(whole.lines().count(), 300_000);
}

#[test]
fn control_sequences_of_a_repository_do_not_reach_the_terminal() {
    let scene = Scene::where_model_says([
        Turn::shell(
            "printf 'a\\033[31mred\\033]0;title\\007b\\n' | tee odd.txt; git add -A; git commit -qm $'Odd \\033[31m words'",
        ),
        Turn::say("Red \u{1b}[31mis\u{1b}]0;evil\u{7} said 【F:odd.txt†L1】; no tests were run."),
        Turn::say("Red \u{1b}[31mis\u{1b}]0;evil\u{7} said 【F:odd.txt†L1】; no tests were run."),
    ]);
    let ended = scene.quire(["run", "Go \u{1b}[31mon."]).expect_code(0);
    for args in [vec!["task", "show", "1"], vec!["task", "list"], vec!["task", "logs", "1"]] {
        let shown = scene.quire(args.clone()).expect_code(0);
        assert!(!shown.stdout.contains('\u{1b}') && !shown.stdout.contains('\u{7}'), "{args:?}");
    }
    assert!(!(ended.stdout + &ended.stderr).contains('\u{1b}'));
}
