//! What a team has, one of each, with words in it that nobody else may ever read.

use quire_domain::access::{Limits, Owner, Right, environments_of};
use quire_domain::attempt::{AttemptState, Outcome};
use quire_domain::ids::{Epoch, Seq, Sha256};
use quire_domain::secret::Secret;
use quire_domain::time::{Clock, Timestamp};
use quire_engine::StoredEvent;
use quire_server::access::secrets::{hash, mint};
use quire_store::{
    Channel, NewEnvironment, NewTask, NewToken, NoticeKind, SealKey, SecretScope, Subscription,
    Write,
};
use serde_json::json;
use uuid::Uuid;

use crate::people::{self, People, Sent};
use crate::stage::{Stage, SystemClock};

/// In everything that is the team's.
pub const CANARY: &str = "canary";

/// The things of a team.
pub struct Things {
    /// By the words between braces in the paths; `name` of an environment.
    pub words: Vec<(&'static str, String)>,
    pub repository: String,
    /// A task that waits, where the path is of something said.
    pub waiting: u64,
    pub link: Sent,
}

impl Things {
    #[allow(clippy::too_many_lines, reason = "one of each")]
    pub async fn made(stage: &Stage, people: &People, round: usize) -> Self {
        let (store, now) = (&stage.parts.store, SystemClock.now());
        // A team has only so many.
        for before in store.subscriptions(people.team).await.unwrap() {
            store.unsubscribe(people.team, before.id, now).await.unwrap();
        }
        let subscription = Subscription {
            id: Uuid::now_v7(),
            team: people.team,
            owner: people.author,
            channel: Channel::Webhook,
            target: "https://example.com/canary".to_owned(),
            kinds: NoticeKind::DEFAULT.to_vec(),
            secret: None,
            created_at: now,
        };
        store.subscribe(&subscription).await.unwrap();
        let owner = Owner { team: people.team, author: people.author };
        let request = json!({ "mode": "ask", "prompt": "canary", "model": "m", "attempts": 1 });
        let new = NewTask {
            repository: "/src/canary".to_owned(),
            title: "canary".to_owned(),
            request: serde_json::from_value(request).unwrap(),
            origin: None,
            idempotency_key: None,
            owner,
            offered: false,
            now,
        };
        let waiting = store.submit(new.clone()).await.unwrap().task.number.0;
        let made = store.submit(new).await.unwrap();
        let attempt = made.attempts[0].id;
        let epoch = store.claim(attempt, "w", now, 60_000).await.unwrap().epoch;
        logged(stage, attempt, epoch).await;
        let chunk = written(stage, attempt).await;
        let write = Write {
            state: AttemptState::Done { outcome: Outcome::Answered },
            spent: quire_domain::budget::Spent::default(),
            result: None,
            now,
        };
        store.set_state(attempt, epoch, write).await.unwrap();
        store.make_out_deliveries(now).await.unwrap();
        let delivery = store.deliveries(subscription.id, 1).await.unwrap()[0].id;

        let name = format!("e{round}");
        let environment = NewEnvironment {
            owner: environments_of(people.team),
            name: name.clone(),
            repository: None,
            recipe: "# canary".to_owned(),
            author: "mel".to_owned(),
            based_on: 0,
            now,
        };
        store.put_environment(environment).await.unwrap();
        let scope = SecretScope {
            owner: environments_of(people.team),
            repository: None,
            environment: name.clone(),
        };
        let key = SealKey::from_bytes(&[7; 32]).unwrap();
        let value = Secret::new(b"canary value".to_vec());
        store.set_secret(&key, &scope, "KEY", &value, now).await.unwrap();
        let repository = format!("r{round}");
        store.add_repository(people.team, &repository, None, now).await.unwrap();
        let token = NewToken {
            hash: hash(mint("quire_").unwrap().reveal()),
            owner: people.author,
            name: "canary-service".to_owned(),
            service: true,
            limits: Limits { rights: Some([Right::ReadTasks].into()), team: Some(people.team) },
            expires_at: None,
            now,
        };
        let token = store.add_token(token).await.unwrap().id;
        let user = format!("u{round}");
        let someone = people::user(stage, &user, false).await;
        store
            .set_member(people.team, someone, quire_domain::access::Role::Viewer, now)
            .await
            .unwrap();
        let link = people::link(stage, people, made.task.id).await;
        let links = store.share_links(made.task.id).await.unwrap();
        let evidence = stage.parts.evidence.join(format!("{attempt}.jsonl"));
        std::fs::create_dir_all(&stage.parts.evidence).unwrap();
        std::fs::write(evidence, "canary\n").unwrap();
        let words = vec![
            ("task", made.task.number.to_string()),
            ("attempt", attempt.to_string()),
            ("chunk", chunk),
            ("name", name),
            ("version", "1".to_owned()),
            ("secret", "KEY".to_owned()),
            ("team", "shop".to_owned()),
            ("user", user),
            ("token", token.to_string()),
            ("link", links[0].id.to_string()),
            ("session", "0".repeat(16)),
            ("id", subscription.id.to_string()),
            ("delivery", delivery.to_string()),
        ];
        Self { words, repository, waiting, link }
    }

    /// A path with the names of these things in it.
    pub fn path(&self, path: &str) -> String {
        let mut filled = path.to_owned();
        if path.starts_with("/api/v1/repositories") {
            filled = filled.replace("{name}", &self.repository);
        }
        if path.ends_with("/inputs") {
            filled = filled.replace("{task}", &self.waiting.to_string());
        }
        for (word, value) in &self.words {
            filled = filled.replace(&format!("{{{word}}}"), value);
        }
        assert!(!filled.contains('{'), "no value for {filled}");
        filled
    }
}

async fn logged(stage: &Stage, attempt: quire_domain::ids::AttemptId, epoch: Epoch) {
    let event = StoredEvent {
        seq: Seq(1),
        at: Timestamp(1),
        epoch,
        kind: "steered".to_owned(),
        body: json!({ "kind": "steered", "body": { "text": "canary" } }).to_string(),
        prev_hash: Sha256::zero(),
        hash: Sha256::zero(),
    };
    let log = &stage.parts.log;
    log.fence(attempt, epoch).await.unwrap();
    log.append(attempt, epoch, Seq(0), vec![event]).await.unwrap();
}

async fn written(stage: &Stage, attempt: quire_domain::ids::AttemptId) -> String {
    let mut chunk = stage.parts.chunks.of(attempt, Vec::new()).create(1 << 20).await.unwrap();
    chunk.write(b"canary\n").await.unwrap();
    let id = chunk.id().to_string();
    chunk.finish().await.unwrap();
    id
}
