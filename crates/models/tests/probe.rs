//! A live test of a model, and the servers that know only part of what others do.

#![allow(clippy::unwrap_used, reason = "a scenario fails by a panic")]

mod stage;

use quire_models::play::{Fault, Turn};
use quire_models::probe::probe;
use quire_models::{Catalogue, Settings, connect};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use stage::{DIALECTS, Stage, user};

#[tokio::test]
async fn a_model_that_calls_the_tool_is_usable() {
    for dialect in DIALECTS {
        let stage = Stage::turns([Turn::call("report", json!({ "word": "ready" }))]).await;
        let report = probe(stage.model(dialect).await.as_ref(), &stage.settings).await;
        assert!(report.is_usable(), "{report:?}");
        assert_eq!(report.model, format!("scripted/{dialect}"));
        assert!(report.tokens > 0 && report.advice.is_none());
    }
}

#[tokio::test]
async fn a_model_that_only_talks_is_not_and_the_report_says_what_to_do() {
    let stage = Stage::turns([Turn::say("ready")]).await;
    let report = probe(stage.model("chat").await.as_ref(), &stage.settings).await;
    assert!(!report.is_usable() && report.error.is_none());
    assert!(report.advice.unwrap().contains("did not call the tool"));
}

#[tokio::test]
async fn an_error_comes_with_advice() {
    let fault = Fault { status: Some(401), times: 9, ..Fault::default() };
    let stage = Stage::turns([Turn::say("x").after(fault)]).await;
    let report = probe(stage.model("demo").await.as_ref(), &stage.settings).await;
    assert!(!report.is_usable());
    assert!(report.advice.unwrap().contains("check the key"));
}

/// A server that has Chat Completions and nothing else, as many compatible ones.
async fn chat_only(play: std::net::SocketAddr) -> String {
    let listener = tokio::net::TcpListener::bind(stage::loopback()).await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut start = vec![0; 4096];
            let n = client.read(&mut start).await.unwrap();
            if String::from_utf8_lossy(&start[..n]).starts_with("POST /v1/responses") {
                let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 20\r\n\
                              connection: close\r\n\r\n{\"detail\":\"Not Found\"";
                client.write_all(answer.as_bytes()).await.unwrap();
                continue;
            }
            let mut server = tokio::net::TcpStream::connect(play).await.unwrap();
            server.write_all(&start[..n]).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_compatible_server_without_responses_is_asked_by_chat() {
    let stage = Stage::turns([Turn::shell("ls"), Turn::say("two files")]).await;
    let settings = Settings {
        pace: stage.settings.pace.clone(),
        ..Settings::with_base_url("openai", &chat_only(stage.server.address()).await)
    };
    let resolved =
        Catalogue::load(None).unwrap().resolve(Some("openai/local"), &settings).await.unwrap();
    let model = connect(resolved, &settings);
    let reply = stage::ask(model.as_ref(), &[user("go")], &stage.ears).await.unwrap();
    assert!(reply.dialect.starts_with("chat:"));
    let answers = stage::results(&reply, "a b");
    let items = [user("go"), quire_domain::transcript::Item::Reply(reply), answers];
    let reply = stage::ask(model.as_ref(), &items, &stage.ears).await.unwrap();
    assert_eq!(reply.text(), "two files");
    assert_eq!(stage.ears.heard().iter().filter(|heard| heard.starts_with("retry:")).count(), 0);
}

#[tokio::test]
async fn a_field_that_the_provider_refuses_and_can_do_without_is_left_out() {
    let words = "Your organization must be verified to generate reasoning summaries.";
    let fault = Fault {
        times: 9,
        when: Some("\"summary\":\"auto\"".to_owned()),
        status: Some(400),
        message: Some(words.to_owned()),
        ..Fault::default()
    };
    let stage = Stage::turns([Turn::say("well").after(fault), Turn::say("still well")]).await;
    let settings = Settings::with_base_url("openai", &stage.server.url());
    let resolved =
        Catalogue::load(None).unwrap().resolve(Some("gpt-6.1-sol"), &settings).await.unwrap();
    let model = connect(resolved, &settings);
    let reply = stage::ask(model.as_ref(), &[user("go")], &stage.ears).await.unwrap();
    assert_eq!(reply.text(), "well");
    let items = [user("go"), quire_domain::transcript::Item::Reply(reply), user("on")];
    stage::ask(model.as_ref(), &items, &stage.ears).await.unwrap();
    let asked: Vec<bool> = stage
        .server
        .requests()
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).contains("\"summary\":\"auto\""))
        .collect();
    assert_eq!(asked, [true, false, false]);
}

#[tokio::test]
async fn the_key_goes_to_its_provider_in_the_header_of_the_dialect() {
    use quire_domain::secret::Secret;
    for (provider, model, header) in [
        ("openai", "gpt-6.1-sol", "authorization: Bearer sk-test"),
        ("anthropic", "claude-opus-5-5", "x-api-key: sk-test"),
    ] {
        let listener = tokio::net::TcpListener::bind(stage::loopback()).await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let mut settings = Settings { tries: 1, ..Settings::with_base_url(provider, &url) };
        settings.keys.insert(provider.to_owned(), Secret::new("sk-test\n".to_owned()));
        let resolved =
            Catalogue::load(None).unwrap().resolve(Some(model), &settings).await.unwrap();
        assert!(!format!("{resolved:?}").contains("sk-test"));
        let model = connect(resolved, &settings);
        let asking = tokio::spawn(async move {
            stage::ask(model.as_ref(), &[user("go")], &stage::Ears::default()).await
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let n = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..n]).into_owned();
        assert!(head.contains(header), "{head}");
        drop(stream);
        let error = asking.await.unwrap().unwrap_err();
        assert!(!format!("{error:?}").contains("sk-test"), "{error:?}");
    }
}
