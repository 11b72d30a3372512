//! Properties of the fold, for logs of any kind.

use proptest::prelude::*;
use quire_agent::Transcript;
use quire_domain::budget::Usage;
use quire_domain::event::{
    Answered, Awaits, Compacted, EventBody, FilesChanged, GateFailed, InstructionsAt,
    InstructionsLoaded, Interrupted, InterruptedWhat, ModelReplied, ModelRequested, PlanApproved,
    QuestionAsked, Said, ToolAnswered, Waiting,
};
use quire_domain::ids::{CallId, Sha256};
use quire_domain::transcript::{Item, Part, Reply, ReplyItem, StopReason, ToolCall, ToolInput};

#[path = "support/mod.rs"]
mod support;

fn id(number: u8) -> CallId {
    CallId(format!("call_{number}"))
}

fn reply(calls: Vec<u8>, text: &str, stop: StopReason) -> EventBody {
    let mut items = vec![ReplyItem::Text { text: text.to_owned(), raw: None }];
    items.extend(calls.into_iter().map(|number| ReplyItem::ToolCall {
        call: ToolCall {
            id: id(number),
            name: "shell".to_owned(),
            input: ToolInput::Json("{}".to_owned()),
        },
        raw: None,
    }));
    let reply = Reply {
        items,
        stop,
        usage: Usage::default(),
        model: String::new(),
        dialect: String::new(),
        provider_id: None,
    };
    EventBody::ModelReplied(ModelReplied { reply, ms: 1, cost: None, stand_in: None })
}

fn submitted() -> EventBody {
    let request = serde_json::json!({
        "mode": "code", "prompt": "do it", "model": "m", "attempts": 1,
    });
    let body = serde_json::json!({ "request": request, "ordinal": 1 });
    let event = serde_json::json!({ "kind": "submitted", "body": body });
    serde_json::from_value(event).unwrap_or_else(|error| panic!("{error}"))
}

fn requested() -> EventBody {
    let (model, preamble) = (String::new(), Sha256::zero());
    EventBody::ModelRequested(ModelRequested { model, window: 1, items: 0, preamble })
}

fn any_event() -> impl Strategy<Value = EventBody> {
    let loaded = |at| {
        let text = "rules".to_owned();
        EventBody::InstructionsLoaded(InstructionsLoaded { at, files: Vec::new(), text })
    };
    let said = |input| Said { input, text: "words".to_owned() };
    prop_oneof![
        1 => Just(submitted()),
        1 => Just(loaded(InstructionsAt::Start)),
        3 => (0..6_u8).prop_map(move |n| loaded(InstructionsAt::Call(id(n)))),
        8 => Just(requested()),
        8 => (prop::collection::vec(0..6_u8, 0..3), "[a-c]?", 0..8_u8).prop_map(|(calls, text, stop)| {
            reply(calls, &text, match stop {
                0 => StopReason::MaxTokens,
                1 => StopReason::Refused { words: "no".to_owned() },
                _ => StopReason::EndTurn,
            })
        }),
        12 => (0..6_u8, any::<bool>()).prop_map(|(n, ok)| {
            let parts = vec![Part::text("result")];
            EventBody::ToolAnswered(ToolAnswered { call_id: id(n), parts, ok })
        }),
        2 => (1..9_u64).prop_map(move |n| EventBody::Steered(said(n))),
        1 => (1..9_u64).prop_map(move |n| EventBody::MessageReceived(said(n))),
        1 => Just(EventBody::GateFailed(GateFailed {
            round: 1,
            faults: Vec::new(),
            text: Some("not yet".to_owned()),
        })),
        1 => Just(EventBody::Interrupted(Interrupted { what: InterruptedWhat::ModelRequest })),
        1 => Just(EventBody::Interrupted(Interrupted { what: InterruptedWhat::ByPerson })),
        1 => (0..6_u8).prop_map(|n| EventBody::FilesChanged(FilesChanged {
            call_id: id(n),
            paths: vec!["a".to_owned()],
            more: false,
        })),
        2 => (0..6_u8).prop_map(|n| EventBody::QuestionAsked(QuestionAsked {
            call_id: id(n),
            question: "which?".to_owned(),
            choices: Vec::new(),
        })),
        2 => (0..9_u64).prop_map(move |n| EventBody::QuestionAnswered(said(n))),
        1 => Just(EventBody::Answered(Answered { text: "plan".to_owned(), faults: Vec::new() })),
        1 => (1..9_u64).prop_map(move |n| EventBody::PlanRejected(said(n))),
        1 => Just(EventBody::PlanApproved(PlanApproved { input: 1, text: None })),
        1 => Just(EventBody::Waiting(Waiting { awaits: Awaits::Answer, after: 0 })),
        1 => (2..5_u32).prop_map(|window| EventBody::Compacted(Compacted {
            window,
            text: "so far".to_owned(),
            spent: quire_domain::budget::Spent::default(),
            model: String::new(),
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_happens_a_request_is_well_formed_and_begins_with_the_one_before(
        events in prop::collection::vec(any_event(), 0..60)
    ) {
        let mut transcript = Transcript::default();
        let mut before: Vec<Item> = Vec::new();
        for body in &events {
            transcript.push(body);
            match body {
                EventBody::ModelRequested(_) => {
                    let items = transcript.items().to_vec();
                    support::every_call_has_its_result(&items);
                    prop_assert!(items.len() >= before.len());
                    prop_assert_eq!(&items[..before.len()], &before[..]);
                    before = items;
                }
                EventBody::Compacted(_) => before.clear(),
                _ => {}
            }
        }
    }
}
