//! Deaths: the loop goes on from whatever the log holds.

mod support;

use std::sync::Arc;

use quire_agent::{End, Limits, Transcript, next_step};
use quire_domain::event::{EndedBy, EventBody, InterruptedWhat};
use quire_domain::transcript::ToolInput;
use support::Stage;
use support::player::{calls, patch, say, shell};
use support::record::Record;

const LIMITS: Limits = Limits {
    budget: None,
    stand_still: None,
    model_calls: 100,
    window_tokens: 100_000,
    max_output_tokens: 10_000,
};

fn stage() -> Stage {
    let input = |text: &str| ToolInput::Json(text.to_owned());
    Stage::new(vec![
        shell("echo one >> log.txt; cat web/a.txt"),
        patch("*** Begin Patch\n*** Update File: a.txt\n@@\n-old\n+new\n*** End Patch"),
        calls(vec![
            ("shell", input(r#"{"command":"echo two >> log.txt"}"#)),
            ("update_plan", input(r#"{"plan":[{"step":"look","status":"completed"}]}"#)),
        ]),
        say("Done."),
    ])
    .file("a.txt", "old\n")
    .file("web/a.txt", "x\n")
    .file("web/AGENTS.md", "Be brief.\n")
    .file("AGENTS.md", "Be exact.\n")
}

#[tokio::test]
async fn a_run_that_dies_after_any_event_goes_on_to_the_same_end() {
    let whole = stage();
    let end = whole.run().await;
    let events = whole.record.bodies();
    assert!(events.len() > 15, "{}", events.len());
    for died_after in 1..events.len() {
        let mut stage = stage();
        stage.record = Arc::new(Record::holding(events[..died_after].to_vec()));
        assert_eq!(stage.run().await, end, "after {died_after}");
        let log = stage.record.bodies();
        assert_eq!(log[..died_after], events[..died_after], "the past is not changed");
        for (kind, most) in [("submitted", 1), ("model_replied", 4), ("tool_answered", 4)] {
            let count = log.iter().filter(|body| body.kind() == kind).count();
            assert!(count <= most, "after {died_after}: {count} {kind}");
        }
        // Every request that was sent had a result for every call.
        for items in stage.requests() {
            support::every_call_has_its_result(&items);
        }
    }
}

#[tokio::test]
async fn a_record_that_fails_at_any_append_stops_the_loop_at_once() {
    let whole = stage();
    whole.run().await;
    let appends = whole.record.appends.lock().unwrap().len();
    for lasts in 0..appends {
        let stage = stage();
        *stage.record.lasts.lock().unwrap() = Some(lasts);
        assert!(stage.try_run().await.is_err(), "{lasts}");
        *stage.record.lasts.lock().unwrap() = None;
        assert!(matches!(stage.run().await, End::Finished { .. }), "{lasts}");
    }
}

#[tokio::test]
async fn nothing_that_was_cut_off_runs_again() {
    let whole = stage();
    whole.run().await;
    let events = whole.record.bodies();
    let started = events.iter().position(|body| body.kind() == "command_started").unwrap();
    let mut stage = stage();
    stage.record = Arc::new(Record::holding(events[..=started].to_vec()));
    stage.run().await;
    let log = stage.record.bodies();
    let cut_off = log.iter().any(|body| {
        matches!(body, EventBody::Interrupted(interrupted)
            if matches!(interrupted.what, InterruptedWhat::Command(_)))
    });
    assert!(cut_off);
    assert_eq!(stage.read("log.txt"), "two\n");
    let answer = stage.answers().remove(0);
    assert!(answer.contains("cut off") && answer.contains("was not run again"), "{answer}");
}

#[tokio::test]
async fn a_command_whose_chunk_was_closed_by_the_next_worker_is_said_to_be_cut_off_once() {
    let whole = stage();
    whole.run().await;
    let mut events = whole.record.bodies();
    let started = events.iter().position(|body| body.kind() == "command_started").unwrap();
    let mut finished = events.remove(started + 1);
    if let EventBody::CommandFinished(finished) = &mut finished {
        finished.ended_by = Some(EndedBy::SandboxGone);
    }
    events.truncate(started + 1);
    events.push(finished);
    let mut stage = stage();
    stage.record = Arc::new(Record::holding(events));
    stage.run().await;
    let answer = stage.answers().remove(0);
    assert!(answer.contains("[a00001] cut off"), "{answer}");
    assert_eq!(stage.kinds().matches("interrupted").count(), 1);
    stage.run().await;
    assert_eq!(stage.kinds().matches("interrupted").count(), 1, "told once");
}

#[tokio::test]
async fn a_request_in_flight_is_asked_again() {
    let whole = Stage::new(vec![say("Done.")]);
    whole.run().await;
    let events = whole.record.bodies();
    let mut stage = Stage::new(vec![say("Done.")]);
    stage.record = Arc::new(Record::holding(events[..3].to_vec()));
    assert_eq!(stage.record.bodies()[2].kind(), "model_requested");
    stage.run().await;
    assert!(stage.kinds().ends_with("interrupted\nmodel_requested\nmodel_replied"));
}

#[tokio::test]
async fn a_follow_up_goes_on_with_all_that_was_said() {
    let first = Stage::new(vec![shell("echo hi"), say("First.")]);
    first.run().await;
    let mut second = Stage::new(vec![shell("echo hi"), say("First."), say("Second.")]);
    second.earlier = first.record.all();
    "and now?".clone_into(&mut second.prompt);
    assert_eq!(second.answer().await.0, "Second.");
    let request = second.requests().remove(0);
    let before = first.requests().remove(1);
    assert_eq!(request[..before.len()], before[..]);
    assert_eq!(request.len(), before.len() + 2, "the answer, and the new request");
    insta::assert_snapshot!(second.kinds(), @r"
    submitted
    model_requested
    model_replied
    ");
}

#[tokio::test]
async fn the_next_step_is_the_same_from_the_whole_log_as_event_by_event() {
    let whole = stage();
    whole.run().await;
    let events = whole.record.all();
    let mut grown = Transcript::default();
    for (at, event) in events.iter().enumerate() {
        grown.push(&event.body);
        let folded = Transcript::of(&events[..=at]);
        assert_eq!(grown, folded);
        assert_eq!(next_step(&grown, &LIMITS), next_step(&folded, &LIMITS));
    }
}
