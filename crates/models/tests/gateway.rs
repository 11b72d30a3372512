//! One door to a provider for all attempts of the process.

mod stage;

use std::sync::Arc;
use std::time::Duration;

use quire_models::gateway::{Gateway, Limits};
use quire_models::pace::{Pace, SkippingPace};
use quire_models::play::{Fault, Turn};
use quire_models::{Catalogue, Client};

use stage::{Ears, Stage, ask, user};

fn gateway(limits: Limits) -> (Gateway, Arc<SkippingPace>) {
    let pace = Arc::new(SkippingPace::default());
    (Gateway::new(limits, Arc::clone(&pace) as Arc<dyn Pace>), pace)
}

fn waited(pace: &SkippingPace) -> Duration {
    pace.slept().iter().sum()
}

#[tokio::test]
async fn without_limits_nobody_waits() {
    let (gateway, pace) = gateway(Limits::default());
    for _ in 0..1000 {
        gateway.enter(1_000_000).await;
    }
    assert_eq!(waited(&pace), Duration::ZERO);
}

#[tokio::test]
async fn more_requests_than_a_minute_allows_are_spread_over_the_next() {
    let (gateway, pace) = gateway(Limits { requests_per_minute: Some(60), ..Limits::default() });
    for _ in 0..60 {
        gateway.enter(1).await;
    }
    assert_eq!(waited(&pace), Duration::ZERO);
    for _ in 0..30 {
        gateway.enter(1).await;
    }
    let waited = waited(&pace).as_secs_f64();
    assert!((29.0..31.0).contains(&waited), "{waited} s for thirty more at one a second");
}

#[tokio::test]
async fn tokens_are_counted_and_the_estimate_is_corrected() {
    let limits = Limits { tokens_per_minute: Some(60_000), ..Limits::default() };
    let (gateway, pace) = gateway(limits);
    gateway.enter(100_000).await;
    assert_eq!(waited(&pace), Duration::ZERO, "one request may be larger than what is left");
    gateway.enter(1_000).await;
    let first = waited(&pace).as_secs_f64();
    assert!((39.0..41.0).contains(&first), "{first} s until 40,000 are made up for");
    gateway.correct(1_000, 0);
    gateway.correct(0, 30_000);
    gateway.enter(1).await;
    let second = waited(&pace).as_secs_f64() - first;
    assert!((29.0..31.0).contains(&second), "{second} s for what was more than estimated");
}

#[tokio::test]
async fn no_more_than_the_seats_are_inside_at_once() {
    let (gateway, _) = gateway(Limits { concurrent: Some(2), ..Limits::default() });
    let _first = gateway.enter(1).await;
    let second = gateway.enter(1).await;
    let wait = Duration::from_millis(50);
    assert!(tokio::time::timeout(wait, gateway.enter(1)).await.is_err());
    drop(second);
    assert!(tokio::time::timeout(wait, gateway.enter(1)).await.is_ok());
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
    gateway.enter(1).await;
    assert_eq!(waited(&pace), Duration::from_secs(30), "a shorter pause does not end a longer one");
}
