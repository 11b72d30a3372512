//! One door to a provider for all attempts of the process.
#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use std::sync::Arc;
use std::time::Duration;

use quire_domain::access::LOCAL_USER;
use quire_domain::model::ModelError;
use quire_models::gateway::{Gateway, Limits, Pass};
use quire_models::pace::{Pace, RealPace, SkippingPace};
use quire_models::play::{Fault, Turn};
use quire_models::{Catalogue, Client, Settings};

use stage::{Ears, Stage, ask, user};

fn gateway(limits: Limits) -> (Gateway, Arc<SkippingPace>) {
    let pace = Arc::new(SkippingPace::default());
    (Gateway::new(limits, Arc::clone(&pace) as Arc<dyn Pace>), pace)
}

async fn enter(gateway: &Gateway, tokens: u64) -> Pass {
    gateway.enter(LOCAL_USER, tokens, |_| ()).await.unwrap()
}

fn waited(pace: &SkippingPace) -> Duration {
    pace.slept().iter().sum()
}

#[tokio::test]
async fn without_limits_nobody_waits() {
    let (gateway, pace) = gateway(Limits::default());
    for _ in 0..1000 {
        enter(&gateway, 1_000_000).await;
    }
    assert_eq!(waited(&pace), Duration::ZERO);
}

#[tokio::test]
async fn more_requests_than_a_minute_allows_are_spread_over_the_next() {
    let (gateway, pace) = gateway(Limits { requests_per_minute: Some(60), ..Limits::default() });
    for _ in 0..60 {
        enter(&gateway, 1).await;
    }
    assert_eq!(waited(&pace), Duration::ZERO);
    for _ in 0..30 {
        enter(&gateway, 1).await;
    }
    let waited = waited(&pace).as_secs_f64();
    assert!((29.0..31.0).contains(&waited), "{waited} s for thirty more at one a second");
}

#[tokio::test]
async fn tokens_are_counted_and_the_estimate_is_corrected() {
    let limits = Limits { tokens_per_minute: Some(60_000), ..Limits::default() };
    let (gateway, pace) = gateway(limits);
    enter(&gateway, 100_000).await;
    assert_eq!(waited(&pace), Duration::ZERO, "one request may be larger than what is left");
    enter(&gateway, 1_000).await;
    let first = waited(&pace).as_secs_f64();
    assert!((39.0..41.0).contains(&first), "{first} s until 40,000 are made up for");
    gateway.correct(1_000, 0);
    gateway.correct(0, 30_000);
    enter(&gateway, 1).await;
    let second = waited(&pace).as_secs_f64() - first;
    assert!((29.0..31.0).contains(&second), "{second} s for what was more than estimated");
}

#[tokio::test]
async fn no_more_than_the_seats_are_inside_at_once() {
    let (gateway, _) = gateway(Limits { concurrent: Some(2), ..Limits::default() });
    let _first = enter(&gateway, 1).await;
    let second = enter(&gateway, 1).await;
    let wait = Duration::from_millis(50);
    assert!(tokio::time::timeout(wait, enter(&gateway, 1)).await.is_err());
    drop(second);
    assert!(tokio::time::timeout(wait, enter(&gateway, 1)).await.is_ok());
}

#[tokio::test]
async fn what_one_attempt_was_told_to_wait_holds_the_others_too() {
    let fault = Fault {
        status: Some(429),
        retry_after: Some("30".to_owned()),
        times: 1,
        ..Fault::default()
    };
    let stage = Stage::turns([Turn::say("at last").after(fault)]).await;
    let client = Arc::new(Client::new(stage.settings.clone()));
    let catalogue = Catalogue::load(None).unwrap();
    let mut models = Vec::new();
    for name in ["scripted/demo", "scripted/chat"] {
        let resolved = catalogue.resolve(Some(name), &stage.settings).await.unwrap();
        models.push(client.connect(resolved));
    }
    let (told, other) = (Ears::default(), Ears::default());
    ask(models[0].as_ref(), &[user("go")], &told).await.unwrap();
    let after_first = waited(&stage.pace);
    assert!(after_first >= Duration::from_secs(30));
    // The pause is over for both by now; the second is told to wait by its own 429.
    ask(models[1].as_ref(), &[user("go")], &other).await.unwrap();
    assert!(waited(&stage.pace) >= after_first + Duration::from_secs(30));

    let (gateway, pace) = gateway(Limits::default());
    gateway.close_for(Duration::from_secs(30));
    gateway.close_for(Duration::from_secs(5));
    enter(&gateway, 1).await;
    assert_eq!(waited(&pace), Duration::from_secs(30), "a shorter pause does not end a longer one");
}

/// A clock that runs with the executor's own.
struct VirtualPace;

#[async_trait::async_trait]
impl Pace for VirtualPace {
    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> std::time::SystemTime {
        std::time::SystemTime::now()
    }

    fn chance(&self) -> f64 {
        0.5
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// What a provider sees that takes `free` requests a minute and sends all others away for 30 s.
async fn flood(attempts: u32, free: usize) -> Vec<(u8, Duration, bool)> {
    let gateway = Arc::new(Gateway::new(Limits::default(), Arc::new(VirtualPace)));
    let start = tokio::time::Instant::now();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..attempts {
        let (gateway, seen) = (Arc::clone(&gateway), Arc::clone(&seen));
        // One person has nine of ten attempts.
        let who = u8::from(number % 10 == 0);
        let person = format!("00000000-0000-7000-8000-{who:012}").parse().unwrap();
        asking.spawn(async move {
            loop {
                let mut pass = gateway.enter(person, 1, |_| ()).await.unwrap();
                let at = start.elapsed();
                let taken = {
                    let mut seen = seen.lock().unwrap();
                    let minute = at.as_secs() / 60;
                    let within =
                        |(_, at, ok): &&(u8, Duration, bool)| *ok && at.as_secs() / 60 == minute;
                    let taken = seen.iter().filter(within).count() < free;
                    seen.push((who, at, taken));
                    taken
                };
                // Some way to the provider and back.
                tokio::time::sleep(Duration::from_millis(200)).await;
                if taken {
                    pass.let_in();
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    return;
                }
                gateway.close_for(Duration::from_secs(30));
            }
        });
    }
    while asking.join_next().await.is_some() {}
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_that_are_told_to_wait_come_back_in_turn_and_not_as_a_storm() {
    let seen = flood(100, 20).await;
    assert_eq!(seen.iter().filter(|(_, _, taken)| *taken).count(), 100, "all are answered");
    let later: Vec<_> = seen.iter().filter(|(_, at, _)| *at > Duration::from_secs(1)).collect();
    let refused = later.iter().filter(|(_, _, taken)| !taken).count();
    // Each pause costs one round of those that left together; all at once would be 400.
    assert!(refused <= 100, "{refused} requests for nothing after the first moment");
    let last = seen.iter().map(|(_, at, _)| *at).max().unwrap();
    assert!(last < Duration::from_mins(10), "{last:?} for what could be done in 5 minutes");
    // Who has ten attempts is through before who has ninety.
    let through = |of: u8| later.iter().filter(|(who, _, ok)| *ok && *who == of).map(|s| s.1).max();
    assert!(through(1) < through(0));
}

#[tokio::test]
async fn many_at_once_keep_a_pause_that_the_provider_asks_for() {
    let fault = Fault {
        status: Some(429),
        retry_after: Some("1".to_owned()),
        times: 1,
        ..Fault::default()
    };
    let stage = Stage::turns([Turn::say("at last").after(fault)]).await;
    let settings = Settings { pace: Arc::new(RealPace), ..stage.settings.clone() };
    let client = Arc::new(Client::new(settings.clone()));
    let catalogue = Catalogue::load(None).unwrap();
    let resolved = catalogue.resolve(Some("scripted/demo"), &settings).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    let start = std::time::Instant::now();
    for _ in 0..40 {
        let model = client.connect(resolved.clone());
        asking.spawn(async move {
            ask(model.as_ref(), &[user("go")], &Ears::default()).await.unwrap();
        });
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
    // The script refuses the first request of each conversation; they are all the same one.
    let requests = stage.server.requests().len();
    assert!(requests <= 40 + 41, "{requests} requests for 40 answers");
}

#[tokio::test]
async fn a_provider_that_wants_hours_is_not_asked_again_before() {
    let fault = Fault {
        status: Some(429),
        retry_after: Some("10800".to_owned()),
        times: 1,
        ..Fault::default()
    };
    let stage = Stage::turns([Turn::say("at last").after(fault)]).await;
    let client = Arc::new(Client::new(stage.settings.clone()));
    let catalogue = Catalogue::load(None).unwrap();
    let resolved = catalogue.resolve(Some("scripted/demo"), &stage.settings).await.unwrap();
    let model = client.connect(resolved);
    for _ in 0..3 {
        let error = ask(model.as_ref(), &[user("go")], &Ears::default()).await.unwrap_err();
        let ModelError::ComeBack { after, .. } = error else { panic!("{error}") };
        assert!(after > Duration::from_secs(10_700), "{after:?}");
    }
    assert!(model.ready().await.is_err());
    assert_eq!(stage.server.requests().len(), 1);
    let closed = client.closed();
    assert_eq!(closed.len(), 1);
    // Another process is told, and asks nothing at all.
    let other = Arc::new(Client::new(stage.settings.clone()));
    let resolved = catalogue.resolve(Some("scripted/demo"), &stage.settings).await.unwrap();
    let model = other.connect(resolved);
    model.ready().await.unwrap();
    other.close(&closed[0]);
    assert!(model.ready().await.is_err());
    stage.pace.sleep(Duration::from_hours(3) + Duration::from_secs(1)).await;
    ask(model.as_ref(), &[user("go")], &Ears::default()).await.unwrap();
}
