//! Every dialect carries the same conversation, played by the scripted provider.

mod stage;

use quire_domain::budget::Usage;
use quire_domain::transcript::{
    Item, Message, Part, ReplyItem, Role, StopReason, ToolInput, ToolResult,
};
use quire_models::play::{Call, Script, Turn};
use serde_json::json;

use stage::{DIALECTS, Ears, Stage, ask, developer, picture, results, user};

#[tokio::test]
async fn a_conversation_of_words_reasoning_and_calls_comes_out_the_same_in_every_dialect() {
    for dialect in DIALECTS {
        let mut look = Turn::shell("pytest -q");
        look.reasoning = Some("Look at the test first, then at the code that it tests.".to_owned());
        look.say = Some("I run the tests: é 🦀 \"quoted\"\n".to_owned());
        let patch = "*** Begin Patch\n*** Add File: a\n+é\n*** End Patch";
        let stage =
            Stage::turns([look, Turn::call_text("apply_patch", patch), Turn::say("Done.")]).await;
        let mut items = vec![developer("Be brief."), user("mend it")];

        let first = stage.ask(dialect, &items).await.unwrap();
        assert_eq!(first.stop, StopReason::ToolUse, "{dialect}");
        assert_eq!(first.text(), "I run the tests: é 🦀 \"quoted\"\n");
        assert!(first.items.iter().any(|item| matches!(
            item,
            ReplyItem::Reasoning { summary, .. } if summary.starts_with("Look at the test")
        )));
        let call = first.tool_calls().next().unwrap();
        assert_eq!(call.name, "shell");
        assert_eq!(call.input, ToolInput::Json(r#"{"command":"pytest -q"}"#.to_owned()));
        assert_eq!(stage.ears.of("text:"), first.text(), "what is shown is what is kept");
        assert_eq!(stage.ears.of("input:"), call.input.as_str());

        let answers = results(&first, "[3f9a2c] exit 1");
        items.extend([Item::Reply(first), answers]);
        let second = stage.ask(dialect, &items).await.unwrap();
        let call = second.tool_calls().next().unwrap();
        let expected = if dialect == "demo" {
            ToolInput::Text(patch.to_owned())
        } else {
            ToolInput::Json(json!({ "input": patch }).to_string())
        };
        assert_eq!(call.input, expected, "{dialect}");

        let answers = results(&second, "ok");
        items.extend([Item::Reply(second), answers]);
        let last = stage.ask(dialect, &items).await.unwrap();
        assert_eq!((last.text().as_str(), last.stop), ("Done.", StopReason::EndTurn));
        assert!(stage.server.requests().iter().all(|request| request.status == 200));
    }
}

#[tokio::test]
async fn several_calls_of_one_reply_keep_their_order_and_their_ids() {
    for dialect in DIALECTS {
        let call = |n: usize| Call {
            tool: "shell".to_owned(),
            input: Some(json!({ "command": format!("step {n}") })),
            ..Call::default()
        };
        let turn = Turn { calls: (0..5).map(call).collect(), ..Turn::default() };
        let stage = Stage::turns([turn, Turn::say("all ran")]).await;

        let reply = stage.ask(dialect, &[user("go")]).await.unwrap();

        let inputs: Vec<String> =
            reply.tool_calls().map(|call| call.input.as_str().to_owned()).collect();
        let expected: Vec<String> =
            (0..5).map(|n| json!({ "command": format!("step {n}") }).to_string()).collect();
        assert_eq!(inputs, expected, "{dialect}");
        let mut ids: Vec<_> = reply.tool_calls().map(|call| call.id.clone()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 5);
        let answers = results(&reply, "ok");
        let reply = stage.ask(dialect, &[user("go"), Item::Reply(reply), answers]).await.unwrap();
        assert_eq!(reply.text(), "all ran", "five results are one step");
    }
}

#[tokio::test]
async fn a_refusal_and_a_content_filter_are_told_apart_from_an_answer() {
    for dialect in DIALECTS {
        let refuse =
            Turn { refuse: Some("I will not help with that.".to_owned()), ..Turn::default() };
        let filter = Turn { content_filter: true, ..Turn::say("Half of a sen") };
        let script = Script {
            conversations: vec![named("refuse", [refuse]), named("filter", [filter])],
            ..Script::default()
        };
        let stage = Stage::with(script).await;
        let reply = stage.ask(dialect, &[user("refuse")]).await.unwrap();
        let words = "I will not help with that.".to_owned();
        assert_eq!(reply.stop, StopReason::Refused { words }, "{dialect}");
        let reply = stage.ask(dialect, &[user("filter")]).await.unwrap();
        assert!(
            matches!(reply.stop, StopReason::Refused { words } if !words.is_empty()),
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn a_reply_that_ran_into_its_limit_says_so() {
    for dialect in DIALECTS {
        let stage = Stage::turns([Turn { max_tokens: true, ..Turn::say("and then") }]).await;
        let reply = stage.ask(dialect, &[user("tell")]).await.unwrap();
        assert_eq!(
            (reply.text().as_str(), &reply.stop),
            ("and then", &StopReason::MaxTokens),
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn what_the_provider_counts_is_what_we_count() {
    let script = r#"
        [[turns]]
        say = "x"
        usage = { input = 1000000, cached = 600000, output = 100000, reasoning = 70000 }
    "#;
    for dialect in DIALECTS {
        let stage = Stage::with(Script::from_toml(script).unwrap()).await;
        let usage = stage.ask(dialect, &[user("count")]).await.unwrap().usage;
        let expected = Usage {
            input_tokens: 1_000_000,
            cached_input_tokens: 600_000,
            cache_write_tokens: 0,
            output_tokens: 100_000,
            // The Messages dialect does not tell.
            reasoning_tokens: if dialect == "messages" { 0 } else { 70_000 },
        };
        assert_eq!(usage, expected, "{dialect}");
    }
}

#[tokio::test]
async fn malformed_input_and_unknown_tools_are_passed_on_as_they_came() {
    let raw = r#"{"command": "ls", "timeout": }"#;
    for dialect in ["demo", "chat"] {
        let call =
            Call { tool: "no_such_tool".to_owned(), raw: Some(raw.to_owned()), ..Call::default() };
        let turn = Turn { calls: vec![call], ..Turn::default() };
        let stage = Stage::turns([turn, Turn::say("sorry")]).await;
        let reply = stage.ask(dialect, &[user("go")]).await.unwrap();
        let call = reply.tool_calls().next().unwrap();
        assert_eq!(
            (call.name.as_str(), &call.input),
            ("no_such_tool", &ToolInput::Json(raw.to_owned()))
        );
        let answers = results(&reply, "the input is not JSON");
        let next = stage.ask(dialect, &[user("go"), Item::Reply(reply), answers]).await.unwrap();
        assert_eq!(next.text(), "sorry", "{dialect}");
    }
}

#[tokio::test]
async fn an_argument_of_nearly_ten_megabytes_is_whole_and_a_larger_one_is_an_error() {
    for dialect in DIALECTS {
        let long = |bytes: usize| Turn::call("shell", json!({ "command": "x".repeat(bytes) }));
        let script = Script {
            conversations: vec![
                named("fits", [long(10 * 1024 * 1024 - 100)]),
                named("bursts", [long(10 * 1024 * 1024 + 100)]),
            ],
            ..Script::default()
        };
        let stage = Stage::with(script).await;
        let reply = stage.ask(dialect, &[user("fits")]).await.unwrap();
        assert!(reply.tool_calls().next().unwrap().input.as_str().len() > 10_485_000);
        let error = stage.ask(dialect, &[user("bursts")]).await.unwrap_err();
        assert!(error.to_string().contains("10 MiB"), "{dialect}: {error}");
        assert_eq!(stage.server.requests().len(), 2, "it is not asked again");
    }
}

#[tokio::test]
async fn pictures_of_the_person_and_of_tools_reach_the_model() {
    for dialect in DIALECTS {
        let stage = Stage::turns([Turn::call("view_image", json!({})), Turn::say("a cat")]).await;
        let message =
            Message { role: Role::User, parts: vec![Part::text("what is it"), picture()] };
        let mut items = vec![Item::Message(message)];
        let reply = stage.ask(dialect, &items).await.unwrap();
        let call_id = reply.tool_calls().next().unwrap().id.clone();
        items.push(Item::Reply(reply));
        let parts = vec![Part::text("here"), picture()];
        items.push(Item::ToolResults { results: vec![ToolResult { call_id, parts, ok: true }] });
        let reply = stage.ask(dialect, &items).await.unwrap();
        assert_eq!(reply.text(), "a cat", "{dialect}");
        let body = String::from_utf8(stage.server.requests().pop().unwrap().body.to_vec()).unwrap();
        assert_eq!(body.matches("iVBORw==").count(), 2, "{dialect}: {body}");
    }
}

#[tokio::test]
async fn what_one_model_encrypted_is_not_sent_to_another() {
    let turns = || {
        let mut first = Turn::shell("ls");
        first.reasoning = Some("secret thoughts".to_owned());
        first.say = Some("I look.".to_owned());
        [first, Turn::say("seen")]
    };
    for from in DIALECTS {
        for to in DIALECTS {
            let stage = Stage::turns(turns()).await;
            let reply = stage.ask(from, &[user("go")]).await.unwrap();
            let answers = results(&reply, "a b c");
            let items = [user("go"), Item::Reply(reply), answers];
            let next = ask(stage.model(to).await.as_ref(), &items, &Ears::default()).await.unwrap();
            assert_eq!(next.text(), "seen", "from {from} to {to}");
            let body = stage.server.requests().pop().unwrap().body;
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(body.contains("secret thoughts"), from == to, "from {from} to {to}: {body}");
            assert!(body.contains("I look.") && body.contains("a b c"));
        }
    }
}

fn named(word: &str, turns: impl IntoIterator<Item = Turn>) -> quire_models::play::Conversation {
    quire_models::play::Conversation {
        name: word.to_owned(),
        word: Some(word.to_owned()),
        turns: turns.into_iter().collect(),
        ..quire_models::play::Conversation::default()
    }
}
