//! Questions to the person, and plans that they have a word on: the loop ends and goes on from its
//! log, whatever dies in between.

mod support;

use std::sync::Arc;
use std::time::Duration;

use quire_agent::{End, Judgement};
use quire_domain::event::{Answered, Awaits, EventBody, PlanApproved, Waiting};
use quire_domain::task::Mode;
use quire_domain::transcript::{Reply, ToolInput};
use support::desk::said;
use support::player::{calls, say};
use support::record::Record;
use support::{Stage, texts};

fn input(value: &serde_json::Value) -> ToolInput {
    ToolInput::Json(value.to_string())
}

fn question() -> ToolInput {
    input(&serde_json::json!({
        "question": "Which of the two?",
        "choices": [{ "label": "the first", "detail": "it is older" }, { "label": "the second" }]
    }))
}

fn script() -> Vec<Reply> {
    let shell = |text: &str| input(&serde_json::json!({ "command": text }));
    vec![
        calls(vec![
            ("shell", shell("echo one >> log.txt")),
            ("ask_user", question()),
            ("shell", shell("echo two >> log.txt")),
        ]),
        calls(vec![("shell", shell("echo three >> log.txt; cat log.txt"))]),
        say("Done."),
    ]
}

fn asking() -> Stage {
    let mut stage = Stage::new(script());
    stage.edit_request = |request| request.questions = true;
    stage
}

#[tokio::test]
async fn an_attempt_that_asks_waits_and_its_call_is_answered_by_the_person() {
    let stage = asking();
    assert_eq!(stage.run().await, End::Waiting(Awaits::Answer));
    assert_eq!(stage.read("log.txt"), "one\n", "what came before it was run, and nothing behind");
    assert!(stage.answers()[1].contains("behind a question"), "{:?}", stage.answers());
    let last = stage.record.bodies().pop().unwrap();
    assert_eq!(last, EventBody::Waiting(Waiting { awaits: Awaits::Answer, after: 0 }));

    assert_eq!(stage.run().await, End::Waiting(Awaits::Answer), "nobody has answered");
    assert_eq!(stage.requests().len(), 1, "no model was asked");

    stage.desk.answers.lock().unwrap().push(said(3, "the second"));
    assert_eq!(stage.run().await, End::Finished { answer: "Done.".to_owned(), faults: vec![] });
    let requests = stage.requests();
    for items in &requests {
        support::every_call_has_its_result(items);
    }
    let told = serde_json::to_string(&requests[1]).unwrap();
    assert!(told.contains("The person answers: the second"), "{told}");
    assert_eq!(stage.read("log.txt"), "one\nthree\n");
}

#[tokio::test]
async fn neither_the_question_nor_its_answer_is_lost_where_the_loop_dies() {
    let whole = asking();
    whole.run().await;
    whole.desk.answers.lock().unwrap().push(said(3, "the second"));
    let end = whole.run().await;
    let events = whole.record.bodies();
    for died_after in 1..events.len() {
        let mut stage = asking();
        stage.record = Arc::new(Record::holding(events[..died_after].to_vec()));
        let mut ended = stage.run().await;
        if ended == End::Waiting(Awaits::Answer) {
            stage.desk.answers.lock().unwrap().push(said(4, "the second"));
            ended = stage.run().await;
        }
        assert_eq!(ended, end, "after {died_after}");
        let log = stage.record.bodies();
        for (kind, count) in [("question_asked", 1), ("question_answered", 1), ("model_replied", 3)]
        {
            let found = log.iter().filter(|body| body.kind() == kind).count();
            assert_eq!(found, count, "after {died_after}: {kind}");
        }
        for items in stage.requests() {
            support::every_call_has_its_result(&items);
        }
    }
}

#[tokio::test]
async fn what_was_said_before_a_question_is_no_answer_to_it() {
    let stage = asking();
    stage.desk.answers.lock().unwrap().push(said(2, "of another question"));
    assert_eq!(stage.run().await, End::Waiting(Awaits::Answer));
    assert_eq!(stage.run().await, End::Waiting(Awaits::Answer));
}

#[tokio::test]
async fn a_question_that_nobody_answers_in_time_is_answered_with_that() {
    let mut stage = asking();
    stage.settings.answer_within = Duration::ZERO;
    assert_eq!(stage.run().await, End::Waiting(Awaits::Answer));
    assert!(matches!(stage.run().await, End::Finished { .. }));
    let told = serde_json::to_string(&stage.requests()[1]).unwrap();
    assert!(told.contains("Nobody answered in time"), "{told}");
}

#[tokio::test]
async fn questions_are_offered_where_the_turn_allows_them_and_has_one_attempt() {
    for (edit, offered) in [
        ((|request| request.questions = true) as fn(&mut quire_domain::task::Request), true),
        (|_| {}, false),
        (
            |request| {
                request.questions = true;
                request.attempts = 2;
            },
            false,
        ),
    ] {
        let mut stage = Stage::new(script());
        stage.edit_request = edit;
        let end = stage.run().await;
        assert_eq!(end == End::Waiting(Awaits::Answer), offered, "{end:?}");
        if !offered {
            assert!(stage.answers()[1].contains("There is no tool `ask_user` here"));
        }
    }
}

#[tokio::test]
async fn a_question_without_words_or_with_one_choice_is_sent_back() {
    let one = serde_json::json!({ "question": "Which?", "choices": [{ "label": "this" }] });
    let none = serde_json::json!({ "question": " " });
    let mut stage = Stage::new(vec![
        calls(vec![("ask_user", input(&one)), ("ask_user", input(&none))]),
        say("Done."),
    ]);
    stage.edit_request = |request| request.questions = true;
    assert!(matches!(stage.run().await, End::Finished { .. }));
    let answers = stage.answers();
    assert!(answers[0].contains("2 to 4 choices"), "{answers:?}");
    assert!(answers[1].contains("1 to 4000 characters"), "{answers:?}");
}

/// What the caller records when the loop ends with a plan.
fn offered(stage: &Stage, text: &str, after: u64) {
    let answered = Answered { text: text.to_owned(), faults: vec![] };
    let waiting = Waiting { awaits: Awaits::Approval, after };
    stage.record.put(vec![EventBody::Answered(answered), EventBody::Waiting(waiting)]);
}

#[tokio::test]
async fn a_plan_that_is_rejected_is_thought_over_and_one_that_is_approved_ends() {
    let stage = Stage::new(vec![say("1. This."), say("1. That.")]).mode(Mode::Plan);
    assert_eq!(stage.answer().await.0, "1. This.");
    offered(&stage, "1. This.", 0);
    assert_eq!(stage.run().await, End::Waiting(Awaits::Approval));
    assert_eq!(stage.requests().len(), 1, "no model was asked");

    let rejected = Judgement::Rejected(said(1, "Not this."));
    stage.desk.judgements.lock().unwrap().push((1, rejected));
    assert_eq!(stage.answer().await.0, "1. That.");
    let items = stage.requests().pop().unwrap();
    let last = items.last().unwrap();
    let quire_domain::transcript::Item::Message(message) = last else { panic!("{last:?}") };
    assert_eq!(texts(&message.parts), "Not this.");
    offered(&stage, "1. That.", 1);
    assert_eq!(stage.run().await, End::Waiting(Awaits::Approval));

    let approved = PlanApproved { input: 2, text: None };
    stage.desk.judgements.lock().unwrap().push((2, Judgement::Approved(approved.clone())));
    assert_eq!(stage.run().await, End::Approved);
    assert_eq!(stage.record.bodies().pop(), Some(EventBody::PlanApproved(approved)));
    assert_eq!(stage.run().await, End::Approved, "once more, after a death");
    assert_eq!(stage.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_of_another_form_goes_back_three_times_and_is_then_shown_as_a_fault() {
    let with_schema = |replies: Vec<Reply>| {
        let mut stage = Stage::new(replies).mode(Mode::Ask);
        stage.edit_request = |request| {
            let schema = r#"{"type": "object", "required": ["count"]}"#;
            request.output_schema = Some(schema.to_owned());
        };
        stage
    };
    let fence = "```json\n{\"count\": 2}\n```";
    let stage = with_schema(vec![say("There are two."), say("{}"), say(fence)]);
    assert_eq!(stage.answer().await, (r#"{"count": 2}"#.to_owned(), vec![]));
    let told = serde_json::to_string(&stage.requests()[2]).unwrap();
    assert!(told.contains("not one JSON value") && told.contains("count"), "{told}");

    let stage = with_schema((0..4).map(|number| say(&format!("No {number}."))).collect());
    assert_eq!(stage.answer().await, ("No 3.".to_owned(), vec!["wrong_form".to_owned()]));
}
