//! The finish gate, on the whole path.

mod support;

use std::sync::atomic::Ordering;

use quire_agent::Findings;
use quire_domain::event::{EventBody, Fault};
use quire_domain::ids::ChunkId;
use quire_domain::task::Mode;
use quire_domain::transcript::ToolInput;
use support::Stage;
use support::player::{call, calls, patch, reply, say, shell};

const EDIT: &str = "*** Begin Patch\n*** Add File: web/a.txt\n+a\n*** End Patch";

fn changed(path: &str) -> Findings {
    Findings { changed_files: vec![path.to_owned()], ..Findings::default() }
}

fn dirty() -> Findings {
    Findings { faults: vec![Fault::Dirty { paths: vec!["x".to_owned()] }], ..changed("x") }
}

fn rounds(stage: &Stage) -> Vec<String> {
    let bodies = stage.record.bodies();
    bodies
        .into_iter()
        .filter_map(|body| match body {
            EventBody::GateFailed(failed) => failed.text,
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_dirty_tree_goes_back_and_is_accepted_once_clean() {
    let stage = Stage::new(vec![say("Done."), shell("rm -f x"), say("Done now.")]);
    *stage.desk.findings.lock().unwrap() = vec![dirty(), changed("a")];
    assert_eq!(stage.answer().await, ("Done now.".to_owned(), vec![]));
    assert_eq!(rounds(&stage).len(), 1);
    assert_eq!(stage.desk.checked.load(Ordering::Relaxed), 1, "checks run on the last commit");
}

#[tokio::test]
async fn after_three_rounds_the_faults_are_shown_to_the_person() {
    let stage = Stage::new((0..4).map(|n| say(&format!("Answer {n}."))).collect());
    *stage.desk.findings.lock().unwrap() = vec![dirty()];
    assert_eq!(stage.answer().await, ("Answer 3.".to_owned(), vec!["dirty".to_owned()]));
    assert_eq!(rounds(&stage).len(), 3);
}

#[tokio::test]
async fn a_command_that_still_runs_goes_back_and_is_ended_with_the_attempt() {
    let start = call("shell", &serde_json::json!({ "command": "sleep 100", "timeout": 0.05 }));
    let stage = Stage::new(vec![start, say("a"), say("b"), say("c"), say("d")]).mode(Mode::Ask);
    assert_eq!(stage.answer().await, ("d".to_owned(), vec!["command_runs".to_owned()]));
    assert!(rounds(&stage)[0].contains("`sleep 100` still runs"));
    assert_eq!(stage.record.bodies().last().unwrap().kind(), "command_finished");
}

#[tokio::test]
async fn an_empty_answer_is_asked_again() {
    let empty = || reply(vec![], quire_domain::transcript::StopReason::EndTurn);
    // An empty reply is no item of the list, so the player counts requests instead.
    let asked = std::sync::atomic::AtomicU32::new(0);
    let stage = Stage::playing(support::player::Player::saying(move |_| {
        Ok(if asked.fetch_add(1, Ordering::Relaxed) == 0 { empty() } else { say("Here.") })
    }));
    assert_eq!(stage.answer().await.0, "Here.");
    assert!(rounds(&stage)[0].contains("Your reply was empty."));
}

#[tokio::test]
async fn a_failing_check_goes_back_once_with_its_output_and_never_blocks_an_honest_answer() {
    let failed = Fault::CheckFailed { name: "tests".to_owned(), chunk: ChunkId::from_random(1) };
    let stage = Stage::new(vec![say("Done."), say("It fails, and it did before.")]);
    *stage.desk.findings.lock().unwrap() = vec![changed("a")];
    *stage.desk.checks.lock().unwrap() = vec![vec![failed]];
    let (answer, faults) = stage.answer().await;
    assert_eq!(answer, "It fails, and it did before.");
    assert_eq!(faults, vec!["check_failed"]);
    let rounds = rounds(&stage);
    assert_eq!(rounds.len(), 1);
    assert!(rounds[0].contains("```\n1 failed\n```"), "{}", rounds[0]);
}

#[tokio::test]
async fn commands_that_instructions_name_are_asked_for_once_unless_they_ran_after_the_last_change()
{
    let agents = "Run `make test` and `make lint`.\n";
    let stage = Stage::new(vec![
        shell("echo make test; make lint"),
        patch(EDIT),
        shell("make test || true"),
        say("Done."),
        say("make lint is not here."),
    ])
    .file("AGENTS.md", agents);
    *stage.desk.findings.lock().unwrap() = vec![changed("web/a.txt")];
    let (_, faults) = stage.answer().await;
    assert_eq!(faults, vec!["checks_not_run"]);
    let rounds = rounds(&stage);
    assert_eq!(rounds.len(), 1);
    assert!(rounds[0].contains("last change: `make lint`."), "{}", rounds[0]);
}

#[tokio::test]
async fn the_order_of_calls_in_one_reply_decides_what_ran_after_the_last_change() {
    let input =
        |command: &str| ToolInput::Json(serde_json::json!({ "command": command }).to_string());
    for (calls_of_reply, asked) in [
        (vec![("apply_patch", ToolInput::Text(EDIT.to_owned())), ("shell", input("make test"))], 0),
        (vec![("shell", input("make test")), ("apply_patch", ToolInput::Text(EDIT.to_owned()))], 1),
        (vec![("shell", input("echo 2 > b.txt")), ("shell", input("make test"))], 0),
        (vec![("shell", input("make test")), ("shell", input("echo 2 > b.txt"))], 1),
        (vec![("shell", input("echo 2 > b.txt; make test"))], 0),
    ] {
        let shown = format!("{calls_of_reply:?}");
        let stage = Stage::new(vec![calls(calls_of_reply), say("Done."), say("Done.")])
            .file("AGENTS.md", "Run `make test`.\n")
            .file("b.txt", "1\n");
        *stage.desk.findings.lock().unwrap() = vec![changed("web/a.txt")];
        stage.answer().await;
        assert_eq!(rounds(&stage).len(), asked, "{shown}");
    }
}

#[tokio::test]
async fn instructions_of_changed_files_that_were_not_shown_are_shown_by_the_gate() {
    // The change is found in the diff alone: no call and no listing named it.
    let stage = Stage::new(vec![say("Done."), say("Done, and brief.")])
        .file("web/AGENTS.md", "Be brief.\n");
    *stage.desk.findings.lock().unwrap() = vec![changed("web/a.txt")];
    assert_eq!(stage.answer().await, ("Done, and brief.".to_owned(), vec![]));
    let kinds = stage.kinds();
    assert!(kinds.contains("gate_failed\ninstructions_loaded\nmodel_requested"), "{kinds}");
    let told = serde_json::to_string(&stage.requests()[1]).unwrap();
    assert!(told.contains("Be brief."));
}
