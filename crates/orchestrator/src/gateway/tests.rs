//! The gateway over a real store, with a clock that the test moves and a model that answers at once.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use quire_domain::access::Owner;
use quire_domain::budget::{MicroDollars, Price, Usage};
use quire_domain::model::{
    ImageSource, LiveReply, ModelError, ModelInfo, ModelRequest, ReplyDelta,
};
use quire_domain::quota::{Day, Month, Quota, Subject};
use quire_domain::task::Image;
use quire_domain::time::Timestamp;
use quire_domain::transcript::{Reply, StopReason};
use quire_store::NewTask;

use super::*;

struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// The far end: each reply costs a dollar.
struct Dollar(ModelInfo);

#[async_trait]
impl Model for Dollar {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    async fn reply(&self, _: ModelRequest<'_>) -> Result<Reply, ModelError> {
        Ok(Reply {
            items: Vec::new(),
            stop: StopReason::EndTurn,
            usage: Usage { input_tokens: 1_000_000, ..Usage::default() },
            model: "dollar".to_owned(),
            dialect: "none".to_owned(),
            provider_id: None,
        })
    }
}

struct Dollars;

#[async_trait]
impl Models for Dollars {
    async fn open(&self, name: &str) -> Result<Arc<dyn Model>, String> {
        let dollar = MicroDollars(1_000_000);
        Ok(Arc::new(Dollar(ModelInfo {
            name: name.to_owned(),
            window_tokens: 1_000,
            max_output_tokens: 100,
            images: false,
            price: Some(Price {
                input: dollar,
                cached_input: dollar,
                cache_write: dollar,
                output: dollar,
                as_of: "2026-11-24".to_owned(),
                source: "a test".to_owned(),
            }),
            scripted: false,
        })))
    }
}

struct Nothing;

#[async_trait]
impl ImageSource for Nothing {
    async fn open(&self, _: &Image) -> Option<bytes::Bytes> {
        None
    }
}

impl LiveReply for Nothing {
    fn delta(&self, _: ReplyDelta<'_>) {}
}

async fn call(model: &dyn Model) -> Result<(), ModelError> {
    model.ready().await?;
    let request = ModelRequest {
        instructions: "",
        tools: &[],
        items: &[],
        images: &Nothing,
        cache_key: "",
        live: &Nothing,
    };
    model.reply(request).await.map(|_| ())
}

async fn attempt(store: &Store, gateway: &Gateway, now: Timestamp) -> (Caller, Opened) {
    let request =
        serde_json::json!({ "mode": "ask", "prompt": "why", "model": "m", "attempts": 1 });
    let new = NewTask {
        repository: "/src".to_owned(),
        title: String::new(),
        request: serde_json::from_value(request).unwrap(),
        origin: None,
        idempotency_key: None,
        owner: Owner::LOCAL,
        offered: false,
        now,
    };
    let row = store.submit(new).await.unwrap().attempts.remove(0);
    let epoch = store.claim(row.id, "w", now, 1 << 40).await.unwrap().epoch;
    let caller = Caller {
        task: row.task,
        attempt: row.id,
        epoch,
        mode: Mode::Ask,
        model: "a/dollar".to_owned(),
        waited: 0,
    };
    let opened = gateway.open(caller.clone(), &[]).await.unwrap();
    (caller, opened)
}

#[tokio::test]
async fn a_month_holds_all_attempts_together_and_the_next_one_lets_them_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("quire.db")).await.unwrap();
    let november = Month::parse("2026-11").unwrap();
    let clock = Arc::new(Hand(AtomicU64::new(november.first_day().begins().0 + 5)));
    let limit = |dollars: u64| Quota {
        month_cost: Some(MicroDollars(dollars * 1_000_000)),
        ..Quota::default()
    };
    store.set_quota(Subject::Team(Owner::LOCAL.team), limit(3), clock.now()).await.unwrap();
    let models: Arc<dyn Models> = Arc::new(Dollars);
    let clock_too = Arc::clone(&clock) as Arc<dyn Clock>;
    let gateway = Gateway::new(models, store.clone(), clock_too, Rules::default());
    let (_, one) = attempt(&store, &gateway, clock.now()).await;
    let (_, other) = attempt(&store, &gateway, clock.now()).await;

    call(one.model.as_ref()).await.unwrap();
    call(other.model.as_ref()).await.unwrap();
    // Written or not, a dollar is counted once.
    gateway.flush(&one.account).await.unwrap();
    call(one.model.as_ref()).await.unwrap();
    let held = call(other.model.as_ref()).await.unwrap_err();
    let ModelError::Held { words, until } = held else { panic!("{held}") };
    assert!(words.contains("the team's quota of $3.00 for 2026-11 is used up ($3.00)"), "{words}");
    let december = november.next().first_day();
    assert_eq!(until, Some(december.begins()));

    // Raised, it goes on at once, for one more.
    store.set_quota(Subject::Team(Owner::LOCAL.team), limit(4), clock.now()).await.unwrap();
    call(other.model.as_ref()).await.unwrap();
    gateway.flush(&other.account).await.unwrap();
    gateway.flush(&one.account).await.unwrap();
    let used = store.used(Subject::Server, Day(0), december).await.unwrap();
    assert_eq!(used.cost, MicroDollars(4_000_000));
    assert!(call(one.model.as_ref()).await.is_err());

    clock.0.store(december.begins().0 - 1, Ordering::Relaxed);
    assert!(call(one.model.as_ref()).await.is_err());
    clock.0.store(december.begins().0, Ordering::Relaxed);
    call(one.model.as_ref()).await.unwrap();
    gateway.flush(&one.account).await.unwrap();
    let used = store.used(Subject::Server, december, Day(u32::MAX)).await.unwrap();
    assert_eq!(used.cost, MicroDollars(1_000_000), "a reply counts in the month it came");
}
