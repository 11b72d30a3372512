//! Streams as providers send them, cut and split at every byte.

#![allow(clippy::unwrap_used, reason = "a scenario fails by a panic")]

mod stage;

use std::time::Duration;

use quire_domain::budget::Usage;
use quire_domain::model::ModelError;
use quire_domain::transcript::{Reply, ReplyItem, StopReason, ToolInput};
use quire_models::Settings;
use serde_json::json;

use stage::{Ears, Raw, ask, raw_server, scripted, settings, user};

const SSE: &str = "text/event-stream; charset=utf-8";
const STREAMS: [(&str, &[u8]); 3] = [
    ("demo", include_bytes!("streams/responses.sse")),
    ("chat", include_bytes!("streams/chat.sse")),
    ("messages", include_bytes!("streams/messages.sse")),
];

fn once(url: &str) -> Settings {
    Settings { tries: 1, idle_timeout: Duration::from_secs(10), ..settings(url).0 }
}

async fn reply_to(dialect: &str, answer: Raw) -> Result<Reply, ModelError> {
    let answer = std::sync::Mutex::new(Some(answer));
    let url = raw_server(move |_| answer.lock().unwrap().take().unwrap()).await;
    let model = scripted(dialect, &once(&url)).await;
    ask(model.as_ref(), &[user("go")], &Ears::default()).await
}

/// What all three streams say.
fn check(dialect: &str, reply: &Reply) {
    assert_eq!(reply.text(), "I run the \"tésts\" 🦀", "{dialect}");
    assert_eq!(reply.stop, StopReason::ToolUse);
    let call = reply.tool_calls().next().unwrap();
    assert_eq!(call.name, "shell");
    assert!(call.id.0.ends_with("_A1"));
    assert_eq!(call.input, ToolInput::Json(r#"{"command":"pytest -q"}"#.to_owned()));
    assert!(matches!(
        &reply.items[0],
        ReplyItem::Reasoning { summary, raw: Some(_) } if summary == "**Looking**"
    ));
    assert_eq!(reply.items.len(), 3);
    assert!(reply.model.contains("-2026"));
    assert!(reply.provider_id.is_some());
}

fn counted(dialect: &str) -> Usage {
    Usage {
        input_tokens: 1200,
        cached_input_tokens: 1024,
        cache_write_tokens: 100,
        output_tokens: 60,
        reasoning_tokens: if dialect == "messages" { 0 } else { 20 },
    }
}

#[tokio::test]
async fn a_stream_is_read_whole_with_all_that_is_unknown_in_it() {
    for (dialect, bytes) in STREAMS {
        let reply = reply_to(dialect, Raw::Whole(SSE, vec![bytes.to_vec()])).await.unwrap();
        check(dialect, &reply);
        assert_eq!(reply.usage, counted(dialect), "{dialect}");
    }
}

#[tokio::test]
async fn a_stream_that_comes_byte_by_byte_is_the_same() {
    for (dialect, bytes) in STREAMS {
        let pieces = bytes.iter().map(|byte| vec![*byte]).collect();
        let reply = reply_to(dialect, Raw::Whole(SSE, pieces)).await.unwrap();
        check(dialect, &reply);
        assert_eq!(reply.usage, counted(dialect), "{dialect}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_anywhere_gives_the_whole_reply_or_an_error() {
    // Every byte is a matter of the reader alone, and is tested there.
    for (dialect, bytes) in STREAMS {
        let url = raw_server(move |n| Raw::Cut(SSE, bytes[..n * 41].to_vec())).await;
        let model = scripted(dialect, &once(&url)).await;
        let mut is_whole = false;
        for cut in (0..bytes.len()).step_by(41) {
            match ask(model.as_ref(), &[user("go")], &Ears::default()).await {
                Ok(reply) => {
                    check(dialect, &reply);
                    is_whole = true;
                }
                Err(ModelError::Unavailable { .. } | ModelError::Unreadable { .. }) => {
                    assert!(!is_whole, "{dialect}: whole before {cut} and cut there");
                }
                Err(error) => panic!("{dialect} cut at {cut}: {error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_stream_whose_line_ends_are_exchanged_is_the_same() {
    for (dialect, bytes) in STREAMS {
        let text = std::str::from_utf8(bytes).unwrap().replace("\r\n", "\n");
        for ends in ["\n", "\r\n", "\r"] {
            let bytes = text.replace('\n', ends).into_bytes();
            check(dialect, &reply_to(dialect, Raw::Whole(SSE, vec![bytes])).await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_chat_without_done_and_without_usage_is_whole_and_its_usage_is_estimated() {
    let text = std::str::from_utf8(STREAMS[1].1).unwrap();
    let (start, _) = text.split_once(r#""finish_reason": "tool_calls""#).unwrap();
    let bytes = format!("{start}\"finish_reason\": \"tool_calls\"}}]}}\r\n\r\n").into_bytes();
    let reply = reply_to("chat", Raw::Whole(SSE, vec![bytes])).await.unwrap();
    check("chat", &reply);
    assert!(reply.usage.input_tokens > 50 && reply.usage.output_tokens > 5, "{:?}", reply.usage);
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let chat = json!({
        "id": "c", "model": "local", "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": "hi", "tool_calls": null },
        }],
    });
    let responses = json!({
        "id": "r", "model": "local", "status": "completed", "output": [{
            "type": "message", "role": "assistant",
            "content": [{ "type": "output_text", "text": "hi" }],
        }],
    });
    let messages = json!({
        "id": "m", "model": "local", "stop_reason": "end_turn", "type": "message",
        "content": [{ "type": "text", "text": "hi" }],
    });
    for (dialect, answer) in [("chat", chat), ("demo", responses), ("messages", messages)] {
        // Also where the type of the content is wrong.
        for kind in ["application/json", SSE] {
            let pieces = answer.to_string().into_bytes().chunks(7).map(<[u8]>::to_vec).collect();
            let reply = reply_to(dialect, Raw::Whole(kind, pieces)).await.unwrap();
            assert_eq!((reply.text().as_str(), reply.model.as_str()), ("hi", "local"), "{dialect}");
            assert_eq!(reply.stop, StopReason::EndTurn);
        }
    }
}

#[tokio::test]
async fn what_is_no_reply_at_all_is_told_as_such() {
    let page = b"<!doctype html><title>Sign in</title>".to_vec();
    for (dialect, _) in STREAMS {
        let error =
            reply_to(dialect, Raw::Whole("text/html", vec![page.clone()])).await.unwrap_err();
        assert!(matches!(error, ModelError::Unreadable { .. }), "{error:?}");
        let empty = reply_to(dialect, Raw::Whole(SSE, Vec::new())).await.unwrap_err();
        assert!(empty.to_string().contains("cut before the reply was complete"), "{empty}");
        let list = b"{\"object\":\"list\"}".to_vec();
        let error = reply_to(dialect, Raw::Whole("application/json", vec![list])).await;
        // A Responses answer without output is an empty reply by its own rules.
        assert!(error.is_err() || dialect == "demo", "{dialect}");
    }
}

#[tokio::test]
async fn an_error_inside_a_stream_is_judged_as_one_outside() {
    let quota =
        r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
    let busy = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let failed = r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"context_length_exceeded","message":"too long"}}}"#;
    let stream = |data: &str| Raw::Whole(SSE, vec![format!("data: {data}\n\n").into_bytes()]);
    assert!(matches!(reply_to("chat", stream(quota)).await, Err(ModelError::QuotaExceeded { .. })));
    assert!(matches!(
        reply_to("messages", stream(busy)).await,
        Err(ModelError::Unavailable { .. })
    ));
    assert!(matches!(
        reply_to("demo", stream(failed)).await,
        Err(ModelError::ContextTooLong { .. })
    ));
}

#[tokio::test]
async fn calls_of_servers_that_number_them_badly_are_kept_apart() {
    let call = |index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str| {
        let mut call = json!({ "type": "function", "function": { "arguments": arguments } });
        if let Some(index) = index {
            call["index"] = index.into();
        }
        if let Some(id) = id {
            call["id"] = id.into();
        }
        if let Some(name) = name {
            call["function"]["name"] = name.into();
        }
        call
    };
    let streams = [
        // All at index 0, with ids.
        vec![
            call(Some(0), Some("a"), Some("x"), "{}"),
            call(Some(0), Some("b"), Some("y"), "{\"n\":1}"),
        ],
        // No index and no id.
        vec![
            call(None, None, Some("x"), "{}"),
            call(None, None, Some("y"), "{\"n\":"),
            call(None, None, None, "1}"),
        ],
        // The id again with every piece.
        vec![
            call(Some(0), Some("a"), Some("x"), "{}"),
            call(Some(1), Some("b"), Some("y"), "{\"n\""),
            call(Some(1), Some("b"), Some("y"), ":1}"),
        ],
    ];
    for calls in streams {
        let mut text = String::new();
        for call in &calls {
            let chunk = json!({ "choices": [{ "delta": { "tool_calls": [call] } }] });
            text.extend(["data: ", &chunk.to_string(), "\n\n"]);
        }
        text.push_str("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
        let reply = reply_to("chat", Raw::Whole(SSE, vec![text.into_bytes()])).await.unwrap();
        let read: Vec<(&str, &str)> =
            reply.tool_calls().map(|call| (call.name.as_str(), call.input.as_str())).collect();
        assert_eq!(read, [("x", "{}"), ("y", "{\"n\":1}")], "{calls:?}");
        assert_eq!(reply.stop, StopReason::ToolUse);
        let ids: std::collections::HashSet<_> = reply.tool_calls().map(|c| &c.id).collect();
        assert_eq!(ids.len(), 2);
    }
}

#[tokio::test]
async fn an_endless_reply_is_ended_by_its_bound() {
    let delta = json!({ "type": "response.output_text.delta", "delta": "x".repeat(1024 * 1024) });
    let event = format!("data: {delta}\n\n").into_bytes();
    let error = reply_to("demo", Raw::Whole(SSE, vec![event; 40])).await.unwrap_err();
    assert!(error.to_string().contains("32 MiB"), "{error}");
}
