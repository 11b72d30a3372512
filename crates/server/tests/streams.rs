//! Streams of events: exactly the rest from every id, slow viewers, two attempts, rights.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "for tests")]

mod stage;

use std::time::Duration;

use quire_domain::access::{Limits, Role, TeamName, UserName};
use quire_domain::attempt::{AttemptState, Outcome};
use quire_domain::ids::{AttemptId, Epoch, Seq, Sha256, TeamId, UserId};
use quire_domain::journal::Live;
use quire_domain::time::{Clock, Timestamp};
use quire_engine::StoredEvent;
use quire_server::Settings;
use quire_store::{NewToken, NewUser, Write};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stage::{Stage, SystemClock, told};

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
struct Came {
    id: Option<String>,
    kind: String,
    data: Value,
}

impl Came {
    fn seq(&self) -> u64 {
        self.data["event"]["seq"].as_u64().unwrap()
    }
}

/// Somebody who watches.
struct Viewer {
    response: Response,
    text: String,
}

impl Viewer {
    async fn of(stage: &Stage, path: &str) -> Self {
        Self::with(stage.ask(Method::GET, path)).await
    }

    async fn with(request: reqwest::RequestBuilder) -> Self {
        let response = request.header("accept-encoding", "gzip").send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert!(headers["cache-control"].to_str().unwrap().contains("no-cache"));
        assert_eq!(headers["x-accel-buffering"], "no");
        assert!(!headers.contains_key("content-encoding"));
        Self { response, text: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Came> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let frame: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    frame.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                if let Some(data) = field("data: ") {
                    let kind = field("event: ").unwrap();
                    let data = serde_json::from_str(&data).unwrap();
                    return Some(Came { id: field("id: "), kind, data });
                }
            }
            let piece = tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await;
            match piece.unwrap() {
                Ok(Some(piece)) => self.text.push_str(std::str::from_utf8(&piece).unwrap()),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    async fn until(&mut self, kind: &str) -> Came {
        loop {
            let came = self.next().await.unwrap();
            if came.kind == kind {
                return came;
            }
        }
    }
}

/// Whoever works on an attempt: claims it and writes its log.
struct Hand {
    attempt: AttemptId,
    epoch: Epoch,
    last: u64,
}

async fn submit(stage: &Stage, attempts: u8) -> u64 {
    let wish = json!({ "repository": "/somewhere", "prompt": "do it", "attempts": attempts });
    let (status, task) = stage.post("/api/v1/tasks", wish).await;
    assert_eq!(status, 201, "{task}");
    task["task"].as_u64().unwrap()
}

impl Hand {
    async fn on(stage: &Stage, task: u64, place: usize) -> Self {
        let (_, task) = stage.get(&format!("/api/v1/tasks/{task}")).await;
        let attempt: AttemptId = task["attempts"][place]["id"].as_str().unwrap().parse().unwrap();
        let (store, now) = (&stage.parts.store, SystemClock.now());
        let epoch = store.claim(attempt, "w", now, 600_000).await.unwrap().epoch;
        stage.parts.log.fence(attempt, epoch).await.unwrap();
        Self { attempt, epoch, last: 0 }
    }

    /// Writes events of so many bytes each.
    async fn does(&mut self, stage: &Stage, count: u64, bytes: usize) {
        let text = "x".repeat(bytes);
        let events = (self.last + 1..=self.last + count)
            .map(|seq| StoredEvent {
                seq: Seq(seq),
                at: Timestamp(seq),
                epoch: self.epoch,
                kind: "steered".to_owned(),
                body: json!({ "kind": "steered", "body": { "text": text } }).to_string(),
                prev_hash: Sha256::zero(),
                hash: Sha256::zero(),
            })
            .collect();
        let log = &stage.parts.log;
        log.append(self.attempt, self.epoch, Seq(self.last), events).await.unwrap();
        self.last += count;
    }

    /// Shows a piece of a reply.
    fn says(&self, stage: &Stage, text: &str) {
        stage.parts.bus.publish(self.attempt, Live::Text { text: text.to_owned() });
    }

    async fn ends(&self, stage: &Stage) {
        let write = Write {
            state: AttemptState::Done { outcome: Outcome::Answered },
            spent: quire_domain::budget::Spent::default(),
            result: None,
            now: SystemClock.now(),
        };
        stage.parts.store.set_state(self.attempt, self.epoch, write).await.unwrap();
    }
}

#[tokio::test]
async fn from_each_id_exactly_the_rest_is_told_and_the_end_after_it() {
    let stage = Stage::new().await;
    let task = submit(&stage, 1).await;
    let path = format!("/api/v1/tasks/{task}/events?end=true");
    let mut early = Viewer::of(&stage, &path).await;
    assert_eq!(early.next().await.unwrap().data["state"]["state"], "queued");
    let mut hand = Hand::on(&stage, task, 0).await;
    assert_eq!(early.until("task").await.data["state"]["state"], "preparing");
    hand.does(&stage, 3, 10).await;
    assert_eq!(early.next().await.unwrap().seq(), 1);
    hand.says(&stage, "Hel");
    hand.says(&stage, "lo");
    let live = early.until("live").await;
    assert_eq!((live.id.clone(), live.data["piece"]["text"].as_str()), (None, Some("Hello")));
    hand.does(&stage, 1_200, 10).await;
    hand.ends(&stage).await;
    let mut all = Vec::new();
    while let Some(came) = early.next().await {
        all.push(came);
    }
    let seqs: Vec<u64> = all.iter().filter(|one| one.kind == "event").map(Came::seq).collect();
    assert_eq!(seqs, (4..=1_203).collect::<Vec<_>>());
    let last = &all[all.len() - 2..];
    assert_eq!((last[0].kind.as_str(), last[1].kind.as_str()), ("task", "end"));
    assert_eq!(last[0].data["state"]["state"], "done");

    for seen in (0..=1_203).step_by(241).chain([1_202, 1_203, 5_000]) {
        let id = format!("{}:{seen}", hand.attempt);
        let again = stage.ask(Method::GET, &path).header("last-event-id", &id);
        let mut viewer = Viewer::with(again).await;
        let mut seqs = Vec::new();
        while let Some(came) = viewer.next().await {
            if came.kind == "event" {
                assert_eq!(came.id, Some(format!("{}:{}", hand.attempt, came.seq())));
                seqs.push(came.seq());
            }
        }
        assert_eq!(seqs, (seen + 1..=1_203).collect::<Vec<_>>());
    }
    let log = format!("/api/v1/attempts/{}/events", hand.attempt);
    let of_page = |page: &Value| -> Vec<u64> {
        page["events"].as_array().unwrap().iter().map(|one| one["seq"].as_u64().unwrap()).collect()
    };
    let (_, page) = stage.get(&format!("{log}?before=1204&limit=3")).await;
    assert_eq!((of_page(&page), &page["next"]), (vec![1_201, 1_202, 1_203], &Value::Null));
    let (_, page) = stage.get(&format!("{log}?before=3&limit=50")).await;
    assert_eq!((of_page(&page), &page["next"]), (vec![1, 2], &Value::Null));
    let (_, page) = stage.get(&format!("{log}?before=1")).await;
    assert_eq!(of_page(&page), Vec::<u64>::new());
    let of_another = "?after=01890000-0000-7000-8000-000000000001:1";
    let (status, problem) = stage.get(&format!("/api/v1/tasks/{task}/events{of_another}")).await;
    assert_eq!((status, problem["type"].as_str()), (400, Some("/problems/invalid")));
    assert_eq!(stage.get("/api/v1/tasks/99/events").await.0, 404);
}

#[tokio::test]
async fn a_stream_goes_on_through_attempts_and_turns_wherever_it_is_cut() {
    let stage = Stage::new().await;
    let task = submit(&stage, 2).await;
    let (mut one, mut other) = (Hand::on(&stage, task, 0).await, Hand::on(&stage, task, 1).await);
    let path = format!("/api/v1/tasks/{task}/events?live=false");
    let mut viewer = Viewer::of(&stage, &path).await;
    for _ in 0..5 {
        one.does(&stage, 1, 10).await;
        other.does(&stage, 2, 10).await;
    }
    one.ends(&stage).await;
    other.ends(&stage).await;
    let wish = json!({ "prompt": "and now", "from": 1 });
    assert_eq!(stage.post(&format!("/api/v1/tasks/{task}/turns"), wish).await.0, 201);
    let mut third = Hand::on(&stage, task, 0).await;
    third.does(&stage, 3, 10).await;
    third.ends(&stage).await;
    let key = |came: &Came| (came.data["attempt"].to_string(), came.seq());
    let mut all = Vec::new();
    while all.len() < 18 {
        all.push(viewer.until("event").await);
    }
    let mut sorted: Vec<_> = all.iter().map(key).collect();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 18, "each once");
    // Cut after any event, the rest comes: nothing is missing and nothing comes twice.
    for cut in 0..18 {
        let id = all[cut].id.clone().unwrap();
        let request = stage.ask(Method::GET, &format!("{path}&end=true"));
        let mut rest = Viewer::with(request.header("last-event-id", id)).await;
        let mut told: Vec<_> = all[..=cut].iter().map(key).collect();
        while let Some(came) = rest.next().await {
            if came.kind == "event" {
                told.push(key(&came));
            }
        }
        told.sort();
        assert_eq!(told, sorted, "cut after {cut}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_who_come_and_go_while_logs_grow_see_each_event_once_and_in_order() {
    const EVENTS: u64 = 1_500;
    let stage = Stage::new().await;
    let task = submit(&stage, 2).await;
    let hands = [Hand::on(&stage, task, 0).await, Hand::on(&stage, task, 1).await];
    let write = async {
        let [mut one, mut other] = hands;
        while one.last < EVENTS {
            one.does(&stage, 3, 10).await;
            other.does(&stage, 1 + one.last % 5, 10).await;
            one.says(&stage, "word");
            // So that batches of every size come about.
            tokio::time::sleep(Duration::from_micros(one.last % 7 * 500)).await;
        }
        one.ends(&stage).await;
        other.ends(&stage).await;
        (one.last, other.last)
    };
    let watch = |number: usize| {
        let stage = &stage;
        async move {
            let path = format!("/api/v1/tasks/{task}/events?end=true");
            let (mut last, mut stay) = (None::<String>, 7 * (number + 1));
            let mut seen = std::collections::BTreeMap::<String, u64>::new();
            loop {
                let mut request = stage.ask(Method::GET, &path);
                if let Some(id) = &last {
                    request = request.header("last-event-id", id);
                }
                let mut viewer = Viewer::with(request).await;
                for _ in 0..stay {
                    let came = viewer.next().await.unwrap();
                    match came.kind.as_str() {
                        "event" => {
                            let of = seen.entry(came.data["attempt"].to_string()).or_default();
                            assert_eq!(came.seq(), *of + 1);
                            *of += 1;
                            last = came.id;
                        }
                        "end" => return seen.into_values().sum::<u64>(),
                        _ => {}
                    }
                }
                stay = stay * 7 % 191 + 1;
            }
        }
    };
    let viewers = futures::future::join_all((0..8).map(watch));
    let ((one, other), seen) = tokio::join!(write, viewers);
    assert_eq!(seen, [one + other; 8]);
}

#[tokio::test]
async fn a_slow_viewer_is_told_to_come_back_while_others_go_on() {
    let stage = Stage::new().await;
    let task = submit(&stage, 1).await;
    let mut hand = Hand::on(&stage, task, 0).await;
    let path = format!("/api/v1/tasks/{task}/events");
    let (mut slow, mut quick) = (Viewer::of(&stage, &path).await, Viewer::of(&stage, &path).await);
    slow.until("task").await;
    quick.until("task").await;
    // More than sockets and the queue hold together.
    for _ in 0..40 {
        hand.does(&stage, 20, 60_000).await;
        while quick.until("event").await.seq() < hand.last {}
    }
    let (mut last, mut seen) = (String::new(), 0);
    let resync = loop {
        let came = slow.next().await.unwrap();
        match came.kind.as_str() {
            "event" => {
                seen += 1;
                assert_eq!(came.seq(), seen);
                last = came.id.unwrap();
            }
            "resync" => break came,
            _ => {}
        }
    };
    assert_eq!((resync.id, resync.data["after"].as_str()), (None, Some(last.as_str())));
    assert!(seen < hand.last && slow.next().await.is_none());
    let mut again = Viewer::of(&stage, &format!("{path}?after={last}")).await;
    assert_eq!(again.next().await.unwrap().seq(), seen + 1);
}

async fn somebody_of_another_team(stage: &Stage, token: &str) -> (UserId, TeamId) {
    let (store, now) = (&stage.parts.store, SystemClock.now());
    let new = NewUser {
        name: UserName::parse("eve").unwrap(),
        email: None,
        admin: false,
        password: None,
        identity: None,
        now,
    };
    let owner = store.add_user(new).await.unwrap().id;
    let team = store.add_team(&TeamName::parse("other").unwrap(), now).await.unwrap().id;
    store.set_member(team, owner, Role::Viewer, now).await.unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    let new = NewToken {
        hash: hash.as_ref().try_into().unwrap(),
        owner,
        name: "laptop".to_owned(),
        service: false,
        limits: Limits::default(),
        expires_at: None,
        now,
    };
    store.add_token(new).await.unwrap();
    (owner, team)
}

#[tokio::test]
async fn one_person_takes_half_of_the_room_and_gives_it_back_by_going() {
    let stage = Stage::with(Settings { max_viewers: 4, ..Settings::default() }).await;
    let ask = || stage.ask(Method::GET, "/api/v1/events");
    let viewers = [Viewer::with(ask()).await, Viewer::with(ask()).await];
    let full = ask().send().await.unwrap();
    assert!(full.headers().contains_key("retry-after"));
    let (status, problem) = told(full).await;
    assert_eq!((status, problem["type"].as_str()), (503, Some("/problems/unavailable")));
    drop(viewers);
    let gone = async {
        while ask().send().await.unwrap().status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}

#[tokio::test]
async fn who_may_not_see_a_task_sees_no_stream_of_it_nor_goes_on_to() {
    let look_again = Duration::from_millis(200);
    let stage = Stage::with(Settings { look_again, ..Settings::default() }).await;
    let task = submit(&stage, 1).await;
    let path = format!("/api/v1/tasks/{task}/events");
    let mut all = Viewer::of(&stage, "/api/v1/events").await;
    let other = "quire_of_eve";
    let (eve, team) = somebody_of_another_team(&stage, other).await;
    let by = |token: &str, path: &str| stage.bare(Method::GET, path).bearer_auth(token);
    let (status, _) = told(by(other, &path).send().await.unwrap()).await;
    assert_eq!(status, 404);
    let mut others = Viewer::with(by(other, "/api/v1/events")).await;

    let (status, made) = stage.post("/api/v1/me/tokens", json!({ "name": "mine" })).await;
    assert_eq!(status, 201, "{made}");
    let mine = made["token"].as_str().unwrap();
    let mut watching = Viewer::with(by(mine, &path)).await;
    watching.until("task").await;
    let id = made["info"]["id"].as_str().unwrap();
    let revoke = stage.ask(Method::DELETE, &format!("/api/v1/tokens/{id}"));
    assert!(revoke.send().await.unwrap().status().is_success());
    assert_eq!(watching.next().await, None);

    let _hand = Hand::on(&stage, task, 0).await;
    let seen = all.next().await.unwrap();
    assert_eq!((seen.kind.as_str(), seen.data["task"].as_u64()), ("task", Some(task)));
    assert_eq!(seen.id, Some(seen.data["changed"].to_string()));
    let missing = format!("/api/v1/events?after={}", seen.data["changed"].as_u64().unwrap() - 1);
    assert_eq!(Viewer::of(&stage, &missing).await.next().await, Some(seen));
    let removed = stage.parts.store.remove_member(team, eve, SystemClock.now()).await;
    removed.unwrap();
    assert_eq!(others.next().await, None, "nothing of another team, and the end with her own");
    stage.shutdown.cancel();
    while let Some(came) = all.next().await {
        assert_eq!(came.kind, "task");
    }
}
