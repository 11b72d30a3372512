//! What a model is sent, to the letter.

#![allow(clippy::unwrap_used, reason = "a scenario fails by a panic")]

mod stage;

use quire_domain::ids::CallId;
use quire_domain::transcript::{Item, Message, Part, Role, ToolResult};
use quire_models::play::Turn;

use stage::{Stage, developer, picture, user};

async fn last_request(dialect: &str) -> String {
    let mut look = Turn::shell("cat a.txt");
    look.reasoning = Some("First the file.".to_owned());
    look.say = Some("I look at the file.".to_owned());
    let stage =
        Stage::turns([look, Turn::call_text("apply_patch", "*** Begin Patch\n"), Turn::say("ok")])
            .await;
    let parts = vec![Part::text("mend \"it\""), picture()];
    let mut items =
        vec![developer("Be brief."), Item::Message(Message { role: Role::User, parts })];
    for text in ["[3f9a2c] exit 1 · 0.1 s\nno such file", "the patch does not end"] {
        let reply = stage.ask(dialect, &items).await.unwrap();
        let call_id = CallId(reply.tool_calls().next().unwrap().id.0.clone());
        items.push(Item::Reply(reply));
        let ok = !text.contains("patch");
        let parts = vec![Part::text(text)];
        items.push(Item::ToolResults { results: vec![ToolResult { call_id, parts, ok }] });
    }
    items.push(user("go on"));
    stage.ask(dialect, &items).await.unwrap();
    let body = stage.server.requests().pop().unwrap().body;
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[tokio::test]
async fn a_request_in_the_responses_dialect() {
    insta::assert_snapshot!(last_request("demo").await);
}

#[tokio::test]
async fn a_request_in_the_chat_dialect() {
    insta::assert_snapshot!(last_request("chat").await);
}

#[tokio::test]
async fn a_request_in_the_messages_dialect() {
    insta::assert_snapshot!(last_request("messages").await);
}
