//! What ends or holds an attempt: a person, a budget, circles, a full window.

mod support;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use quire_agent::End;
use quire_domain::attempt::{FailureKind, SuspendReason};
use quire_domain::budget::{Budget, BudgetLimit};
use quire_domain::event::{EndedBy, EventBody};
use quire_domain::model::ModelError;
use quire_domain::transcript::{Item, Reply, ReplyItem, StopReason};
use support::Stage;
use support::desk::{Desk, said};
use support::player::{Player, call, reply, say, shell};

type Make = Box<dyn Fn() -> ModelError + Send + Sync>;

fn heard(items: &[Item]) -> usize {
    items.iter().filter(|item| matches!(item, Item::Reply(_))).count()
}

/// Cancels once the log holds an event of this kind.
fn cancel_at(stage: &Stage, kind: &'static str) -> tokio::task::JoinHandle<Instant> {
    let (record, cancel) = (stage.record.clone(), stage.cancel.clone());
    tokio::spawn(async move {
        while !record.bodies().iter().any(|body| body.kind() == kind) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
        Instant::now()
    })
}

#[tokio::test]
async fn a_cancel_ends_a_running_command_and_keeps_what_it_printed() {
    let stage = Stage::new(vec![shell("echo begun; sleep 100")]);
    let cancelled = cancel_at(&stage, "command_started");
    assert_eq!(stage.run().await, End::Cancelled);
    assert!(cancelled.await.unwrap().elapsed() < Duration::from_secs(3));
    let finished = stage.record.bodies().into_iter().find_map(|body| match body {
        EventBody::CommandFinished(finished) => Some(finished),
        _ => None,
    });
    assert_eq!(finished.unwrap().ended_by, Some(EndedBy::AttemptEnd));
    assert_eq!(stage.record.bodies().last().unwrap().kind(), "interrupted");
}

#[tokio::test]
async fn a_cancel_does_not_wait_for_the_model() {
    let stage = Stage::playing(Player::script(vec![]).silent());
    let cancelled = cancel_at(&stage, "model_requested");
    assert_eq!(stage.run().await, End::Cancelled);
    assert!(cancelled.await.unwrap().elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_budget_suspends_and_once_raised_the_attempt_goes_on_where_it_was() {
    let stage = Stage::new(vec![shell("echo a"), shell("echo b"), say("Done.")]);
    *stage.desk.budget.lock().unwrap() = Budget { model_calls: Some(1), ..Budget::default() };
    let limit = BudgetLimit::ModelCalls;
    assert_eq!(stage.run().await, End::Suspended(SuspendReason::Budget { limit }));
    assert!(stage.kinds().ends_with("command_finished\ntool_answered\nsuspended"));
    *stage.desk.budget.lock().unwrap() = Budget::default();
    assert_eq!(stage.answer().await.0, "Done.");
    assert_eq!(stage.answers().len(), 2);
    assert_eq!(stage.desk.counted.lock().unwrap().len(), 3, "each reply is counted once");
}

#[tokio::test]
async fn endless_calls_end_in_a_suspension_also_without_a_budget() {
    let mut stage =
        Stage::playing(Player::saying(|items| Ok(shell(&format!("echo {}", heard(items))))));
    stage.settings.model_calls = 5;
    assert!(matches!(stage.run().await, End::Suspended(SuspendReason::Budget { .. })));
    assert_eq!(stage.answers().len(), 5);
}

#[tokio::test]
async fn a_circle_is_told_to_the_model_and_then_ends_the_attempt() {
    let stage = Stage::playing(Player::saying(|_| Ok(shell("cat gone.txt"))));
    let End::Failed { kind, detail } = stage.run().await else { panic!() };
    assert_eq!(kind, FailureKind::Stuck);
    assert_eq!(
        detail,
        "the same call gave the same result four times in a row, also after the model was told so"
    );
    let answers = stage.answers();
    assert_eq!(answers.len(), 8);
    assert!(answers[3].contains("Note: the same call gave the same result"), "{}", answers[3]);
}

#[tokio::test]
async fn the_same_error_three_times_is_a_circle_as_well() {
    let stage = Stage::playing(Player::saying(|items| {
        Ok(call("fly", &serde_json::json!({ "to": heard(items) })))
    }));
    assert!(matches!(stage.run().await, End::Failed { kind: FailureKind::Stuck, .. }));
    assert_eq!(stage.answers().len(), 6);
}

#[tokio::test]
async fn a_full_window_is_summed_up_and_the_work_goes_on() {
    let stage = Stage::playing(
        Player::saying(|items| {
            let text = serde_json::to_string(items).unwrap();
            let mut reply = if text.contains("The window is nearly full") {
                say("Found the bug in a.txt.")
            } else if text.contains("Found the bug") {
                say("Done.")
            } else {
                shell(&format!("head -c 9000 /dev/zero | tr '\\0' x; echo {}", heard(items)))
            };
            reply.usage.input_tokens = 0;
            Ok(reply)
        })
        .window(20_000),
    )
    .file("AGENTS.md", "Be exact.\n");
    assert_eq!(stage.answer().await.0, "Done.");
    let opening = stage.requests().last().unwrap()[0].clone();
    let Item::Message(message) = opening else { panic!() };
    let text = support::texts(&message.parts);
    for part in ["Be exact.", "do it", "Found the bug in a.txt.", "- [a00001] `head"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(stage.requests().last().unwrap().len(), 1);
    assert_eq!(stage.kinds().matches("compacted").count(), 1);
}

#[tokio::test]
async fn a_request_that_never_fits_says_so() {
    let mut stage = Stage::playing(Player::script(vec![]).window(2_000));
    stage.prompt = "x".repeat(20_000);
    let End::Failed { kind, detail } = stage.run().await else { panic!() };
    assert_eq!(kind, FailureKind::ContextTooLong);
    assert!(detail.contains("the model's window holds 2000"), "{detail}");
}

#[tokio::test]
async fn a_provider_that_says_the_window_is_full_is_believed() {
    let stage = Stage::playing(Player::saying(|items| {
        let text = serde_json::to_string(items).unwrap();
        if text.contains("# Summary of the work so far") {
            return Ok(say("Done."));
        }
        match heard(items) {
            0 => Ok(shell("echo a")),
            _ => Err(ModelError::ContextTooLong {
                model: "m".to_owned(),
                message: "too long".to_owned(),
            }),
        }
    }));
    assert_eq!(stage.answer().await.0, "Done.");
}

#[tokio::test]
async fn errors_of_the_provider_end_the_attempt_with_their_kind() {
    let provider = || "p".to_owned();
    let message = || "m".to_owned();
    let table: Vec<(Make, FailureKind)> = vec![
        (
            Box::new(move || ModelError::BadKey { provider: provider(), message: message() }),
            FailureKind::ModelRejected,
        ),
        (
            Box::new(move || ModelError::Unavailable {
                provider: provider(),
                tries: 3,
                last: message(),
            }),
            FailureKind::ModelUnavailable,
        ),
        (
            Box::new(move || ModelError::ContextTooLong { model: provider(), message: message() }),
            FailureKind::ContextTooLong,
        ),
    ];
    for (error, expected) in table {
        let stage = Stage::playing(Player::saying(move |_| Err(error())));
        let End::Failed { kind, detail } = stage.run().await else { panic!() };
        assert_eq!(kind, expected);
        assert!(detail.contains('p') && detail.contains('m'), "{detail}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_end_of_its_own() {
    let words = "I will not.".to_owned();
    let stage = Stage::new(vec![reply(vec![], StopReason::Refused { words: words.clone() })]);
    assert_eq!(stage.run().await, End::Refused(words));
}

#[tokio::test]
async fn a_reply_that_was_cut_is_continued_and_joined() {
    let cut = |text: &str| -> Reply {
        let text = text.to_owned();
        reply(vec![ReplyItem::Text { text, raw: None }], StopReason::MaxTokens)
    };
    let stage = Stage::new(vec![cut("One, "), cut("two, "), say("three.")]);
    assert_eq!(stage.answer().await.0, "One, two, three.");
    let stage = Stage::playing(Player::saying(move |_| Ok(cut("again "))));
    assert!(matches!(stage.run().await, End::Failed { kind: FailureKind::Stuck, .. }));
}

#[tokio::test]
async fn people_are_heard_at_the_next_call_or_after_the_turn_once() {
    let stage = Stage::new(vec![shell("echo a"), say("First."), say("Second.")]);
    stage.desk.steers.lock().unwrap().push(said(1, "look at b"));
    stage.desk.messages.lock().unwrap().push(said(2, "and c?"));
    assert_eq!(stage.answer().await.0, "Second.");
    let kinds = stage.kinds();
    assert_eq!(kinds.matches("steered").count(), 1);
    assert_eq!(kinds.matches("message_received").count(), 1);
    assert!(kinds.contains("instructions_loaded\nsteered\nmodel_requested"), "{kinds}");
    assert!(kinds.contains("model_replied\nmessage_received\nmodel_requested"), "{kinds}");
}

#[tokio::test]
async fn a_word_that_came_with_the_last_reply_is_still_told() {
    let desk: Arc<OnceLock<Arc<Desk>>> = Arc::default();
    let there = desk.clone();
    let stage = Stage::playing(Player::saying(move |items| {
        if heard(items) == 0 {
            there.get().unwrap().steers.lock().unwrap().push(said(1, "wait"));
            return Ok(say("First."));
        }
        Ok(say("Second."))
    }));
    desk.set(stage.desk.clone()).ok().unwrap();
    assert_eq!(stage.answer().await.0, "Second.");
    assert!(stage.kinds().ends_with("model_replied\nsteered\nmodel_requested\nmodel_replied"));
}

#[tokio::test]
async fn waiting_with_a_silent_command_is_no_circle() {
    let stage = Stage::playing(Player::saying(|items| {
        Ok(if heard(items) < 18 { shell("true") } else { say("Done.") })
    }));
    assert_eq!(stage.answer().await.0, "Done.");
}
