//! The scripted provider itself: which conversation, which turn, what is filled in.

#![allow(clippy::unwrap_used, reason = "a scenario fails by a panic")]

mod stage;

use std::time::Duration;

use quire_domain::transcript::{Item, StopReason};
use quire_models::play::{PlayError, PlayOptions, Script, ScriptError, Turn, serve};

use stage::{DIALECTS, Ears, Stage, ask, developer, loopback, results, scripted, settings, user};

const SCRIPT: &str = r#"
[[conversations]]
name = "fix"
word = "flaky"
[[conversations.turns]]
reasoning = "Run it first."
calls = [
  { tool = "shell", input = { command = "pytest -q" } },
  { tool = "shell", input = { command = "git log -1" } },
]
[[conversations.turns]]
calls = [{ tool = "apply_patch", text = """
*** Begin Patch
*** Update File: a.py
@@
-sleep(1)
+wait()
*** End Patch
""" }]
[[conversations.turns]]
say = "It failed 【{{chunk 1}}†L{{line 1 /FAILED/}}】 before 【F:a.py†L3】 and {{line 3 /Done/}}."

[[conversations]]
name = "endless"
word = "endless"
repeat = true
turns = [{ calls = [{ tool = "shell", input = { command = "true" } }] }]

[[conversations]]
name = "other"
turns = [{ say = "Hello." }]
"#;

const FAILED: &str = "[3f9a2c] exit 1 · 2.4 s · 3,330 lines\nrunning\n… lines 2–3,328 omitted …\n\
                      FAILED test_a\n1 failed";

#[tokio::test]
async fn a_script_is_played_to_its_end_with_the_places_of_its_citations_filled_in() {
    for dialect in DIALECTS {
        let stage = Stage::with(Script::from_toml(SCRIPT).unwrap()).await;
        let mut items = vec![developer("Be brief."), user("mend the flaky test")];
        for shown in [FAILED, "[00ff11] exit 0 · 0 s · 1 line\nDone!"] {
            let reply = stage.ask(dialect, &items).await.unwrap();
            assert_eq!(reply.stop, StopReason::ToolUse);
            let answers = results(&reply, shown);
            items.extend([Item::Reply(reply), answers]);
        }
        let reply = stage.ask(dialect, &items).await.unwrap();
        assert_eq!(
            reply.text(),
            "It failed 【3f9a2c†L3329】 before 【F:a.py†L3】 and 1.",
            "{dialect}"
        );
        items.extend([Item::Reply(reply), user("and now?")]);
        let reply = stage.ask(dialect, &items).await.unwrap();
        assert_eq!(reply.text(), "The script ends here, after 3 turns.");
    }
}

#[tokio::test]
async fn a_conversation_is_chosen_by_its_path_or_by_a_word_or_is_the_one_for_all() {
    let stage = Stage::with(Script::from_toml(SCRIPT).unwrap()).await;
    assert_eq!(stage.ask("demo", &[user("hi")]).await.unwrap().text(), "Hello.");
    let calls = stage.ask("chat", &[user("an endless one")]).await.unwrap();
    assert_eq!(calls.tool_calls().count(), 1);
    let (settings, _) = settings(&stage.server.url_of("run-7", "fix"));
    let model = scripted("messages", &settings).await;
    let reply = ask(model.as_ref(), &[user("hi")], &Ears::default()).await.unwrap();
    assert_eq!(reply.tool_calls().count(), 2);
    assert_eq!(stage.server.requests()[2].path, "/r/run-7/fix/v1/messages");
}

#[tokio::test]
async fn any_number_of_conversations_run_at_once_without_mixing() {
    let stage = Stage::with(Script::from_toml(SCRIPT).unwrap()).await;
    let one = |n: usize| {
        let (stage, dialect) = (&stage, DIALECTS[n % 3]);
        async move {
            let mut items = vec![user(&format!("flaky {n}"))];
            for _ in 0..2 {
                let reply = stage.ask(dialect, &items).await.unwrap();
                let shown = format!("[{n:06x}] exit 1\nFAILED here");
                let answers = results(&reply, &shown);
                items.extend([Item::Reply(reply), answers]);
            }
            let reply = stage.ask(dialect, &items).await.unwrap();
            let expected = format!("It failed 【{n:06x}†L1】 before 【F:a.py†L3】 and 0.");
            assert_eq!(reply.text(), expected);
        }
    };
    futures::future::join_all((0..60).map(one)).await;
    assert_eq!(stage.server.asked(), 180);
}

#[tokio::test]
async fn an_endless_conversation_never_ends() {
    let stage = Stage::with(Script::from_toml(SCRIPT).unwrap()).await;
    let mut items = vec![user("endless")];
    for _ in 0..30 {
        let reply = stage.ask("demo", &items).await.unwrap();
        assert_eq!(reply.stop, StopReason::ToolUse);
        let answers = results(&reply, "ok");
        items.extend([Item::Reply(reply), answers]);
    }
}

#[test]
fn a_script_that_cannot_be_played_is_refused_with_its_place() {
    let bad = [
        ("", "no turns"),
        ("[[turns]]\nsay = \"{{chunk 0}}\"", "turn 1 of `demo`: `{{chunk 0}}`"),
        ("[[turns]]\n[[turns]]\nfault = { status = 200 }", "turn 2 of `demo`"),
        ("[[turns]]\ncalls = [{ tool = \"a\", text = \"x\", raw = \"y\" }]", "more than one input"),
    ];
    for (text, expected) in bad {
        let error = Script::from_toml(text).unwrap_err();
        assert!(matches!(error, ScriptError::Unplayable(_)), "{text}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(matches!(Script::from_toml("turns = 1"), Err(ScriptError::Toml(_))));
    assert!(matches!(Script::from_json("{\"turn\": []}"), Err(ScriptError::Json(_))));
}

#[test]
fn a_script_is_the_same_in_json_and_in_toml() {
    let dir = tempfile::tempdir().unwrap();
    let from_toml = Script::from_toml(SCRIPT).unwrap();
    let json = dir.path().join("script.json");
    std::fs::write(&json, serde_json::to_string(&from_toml).unwrap()).unwrap();
    assert_eq!(Script::read(&json).unwrap(), from_toml);
    let toml = dir.path().join("script.toml");
    std::fs::write(&toml, SCRIPT).unwrap();
    assert_eq!(Script::read(&toml).unwrap(), from_toml);
    assert!(matches!(
        Script::read(&dir.path().join("none.toml")),
        Err(ScriptError::Unreadable { .. })
    ));
}

#[tokio::test]
async fn only_this_machine_is_served_and_a_dropped_server_is_gone() {
    let script = || Script::of([Turn::say("x")]);
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = serve(script(), everywhere, PlayOptions::default()).await;
    assert!(matches!(refused, Err(PlayError::NotLoopback(_))));

    let server = serve(script(), loopback(), PlayOptions::default()).await.unwrap();
    let address = server.address();
    assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    server.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_paced_reply_grows_while_it_is_shown() {
    let mut script = Script::of([Turn::say("word ".repeat(60))]);
    script.conversations[0].pace_ms = 10;
    let stage = Stage::with(script).await;
    let start = std::time::Instant::now();
    let reply = stage.ask("demo", &[user("hi")]).await.unwrap();
    assert_eq!(reply.text(), "word ".repeat(60));
    assert!(stage.ears.heard().len() >= 6, "{:?}", stage.ears.heard());
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn what_is_no_turn_is_answered_as_an_error() {
    let stage = Stage::turns([Turn::say("x")]).await;
    let http = |request: &str| {
        let (request, address) = (request.to_owned(), stage.server.address());
        async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }
    };
    let end = "host: x\r\nconnection: close\r\n";
    let models = http(&format!("GET /v1/models HTTP/1.1\r\n{end}\r\n")).await;
    assert!(models.starts_with("HTTP/1.1 200") && models.contains(r#""id":"demo""#), "{models}");
    let lost = http(&format!("GET /v1/elsewhere HTTP/1.1\r\n{end}\r\n")).await;
    assert!(lost.starts_with("HTTP/1.1 404"), "{lost}");
    let get = http(&format!("GET /v1/responses HTTP/1.1\r\n{end}\r\n")).await;
    assert!(get.starts_with("HTTP/1.1 405"), "{get}");
    let bad = format!("POST /v1/responses HTTP/1.1\r\n{end}content-length: 3\r\n\r\n{{]}}");
    assert!(http(&bad).await.starts_with("HTTP/1.1 400"));
    // Without `stream` the answer comes whole.
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let whole = http(&format!(
        "POST /v1/chat/completions HTTP/1.1\r\n{end}content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(whole.await.contains(r#""message":{"role":"assistant","content":"x"}"#));
}
