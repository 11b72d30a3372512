//! What a server, or what stands in its place, can do to whoever speaks to it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quire_api::{NewRepository, ProblemKind, Repository, ServerInfo};
use quire_client::{Call, Client, ClientError, Config, Heard, ServerAddress};
use quire_domain::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// The far end of the wire: answers each connection with the next of `answers`, the last for ever;
/// an empty one hangs up. Gives its address, and what it was asked.
async fn far_end(answers: &[&str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, answers) =
        (asked.clone(), answers.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
    let count = AtomicUsize::new(0);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let at = count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            let (answer, heard) = (answers[at].clone(), heard.clone());
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let n = socket.read(&mut buffer).await.unwrap_or(0);
                    if n == 0 {
                        return;
                    }
                    request.extend_from_slice(&buffer[..n]);
                }
                heard.lock().await.push(String::from_utf8_lossy(&request).into_owned());
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.shutdown().await;
            });
        }
    });
    (address, asked)
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn client(address: &str) -> Client {
    let address = ServerAddress::parse(address).unwrap();
    let token = Some(Secret::new("quire_secret".to_owned()));
    let config = Config { timeout: Duration::from_secs(2), ..Config::new(address, token) };
    Client::new(config).unwrap()
}

async fn asks(answers: &[&str]) -> Result<ServerInfo, ClientError> {
    let (address, _) = far_end(answers).await;
    client(&address).ask(Call::get(&["server"]).patience(Duration::from_secs(2))).await
}

const INFO: &str =
    r#"{"version":"9.0","api":["v1"],"single_user":true,"max_body_bytes":1,"new":{"x":[1]}}"#;

#[tokio::test]
async fn what_is_no_server_of_ours_is_told_as_that() {
    let cases = [
        answer("200 OK", "text/html", "<html>hello</html>"),
        answer("404 Not Found", "text/html", "nothing here"),
        "HTTP/1.1 302 Found\r\nlocation: https://sso.example/\r\ncontent-length: 0\r\n\r\n"
            .to_owned(),
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
    ];
    for case in &cases {
        let error = asks(&[case]).await.unwrap_err();
        let told = error.to_string();
        assert!(
            matches!(
                error,
                ClientError::NotQuire { .. }
                    | ClientError::BadAnswer { .. }
                    | ClientError::Unreachable { .. }
            ),
            "{told}"
        );
        assert!(!told.contains("quire_secret"), "{told}");
    }
    let error = asks(&[&cases[2]]).await.unwrap_err().to_string();
    assert!(error.contains("sso.example"), "{error}");
    // Nobody listens there any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = client(&address).tell(Call::get(&["server"])).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_newer_servers_fields_are_passed_over_and_a_busy_one_is_asked_again() {
    let busy = answer(
        "503 Service Unavailable",
        "application/problem+json",
        r#"{"type":"/problems/unavailable","title":"t","status":503,"detail":"d","advice":"a"}"#,
    );
    let info = asks(&[&busy, "", &answer("200 OK", "application/json", INFO)]).await.unwrap();
    assert_eq!(info.version, "9.0");
    let denied = answer(
        "401 Unauthorized",
        "application/problem+json",
        r#"{"type":"/problems/not-signed-in","title":"t","status":401,"detail":"d\u001b[31m","advice":"a","x":1}"#,
    );
    let error = asks(&[&denied]).await.unwrap_err();
    assert_eq!(error.kind(), Some(ProblemKind::NotSignedIn));
    assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
}

#[tokio::test]
async fn what_makes_something_is_sent_again_with_the_key_it_had() {
    let made = answer(
        "201 Created",
        "application/json",
        r#"{"name":"shop","pushed":true,"team":"00000000-0000-7000-8000-000000000002","created_at":1}"#,
    );
    let (address, asked) = far_end(&["", &made]).await;
    let new = NewRepository { name: "shop".to_owned(), place: None, team: None };
    let call = Call::post(&["repositories"]).json(&new);
    let made: Repository = client(&address).ask(call).await.unwrap();
    assert_eq!(made.name, "shop");
    let asked = asked.lock().await;
    let keys: Vec<&str> = asked
        .iter()
        .map(|one| one.lines().find(|line| line.starts_with("idempotency-key")).unwrap())
        .collect();
    assert_eq!((keys.len(), keys[0]), (2, keys[1]));
    assert!(asked[0].starts_with("POST /api/v1/repositories "), "{}", asked[0]);
    assert!(asked[0].contains("authorization: Bearer quire_secret"), "{}", asked[0]);
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_whole_event() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let first =
        format!("{head}: here\n\nid: a:1\nevent: one\ndata: x\ndata: y\n\nid: a:2\ndata: cut");
    let second = format!("{head}id: a:2\r\ndata: whole\r\n\r\ndata: live\n\n");
    let (address, asked) = far_end(&[&first, "", &second]).await;
    let mut feed =
        client(&address).feed(Call::get(&["tasks", "1", "events"]), None, Duration::from_secs(20));
    let mut heard = Vec::new();
    while heard.len() < 6 {
        heard.push(feed.next().await.unwrap());
    }
    let event =
        |kind: &str, data: &str| Heard::Event { kind: kind.to_owned(), data: data.to_owned() };
    assert_eq!(heard[..2], [Heard::Open, event("one", "x\ny")]);
    assert!(matches!(heard[2], Heard::Lost { .. }), "{heard:?}");
    assert_eq!(heard[3..], [Heard::Back, event("message", "whole"), event("message", "live")]);
    assert_eq!(feed.last_id(), Some("a:2"));
    let asked = asked.lock().await;
    assert!(asked[1].contains("last-event-id: a:1"), "{}", asked[1]);
}
