//! Quotas and usage: what was used is counted once, to whom it belongs, and what stands still for
//! want of a quota goes on when there is one.

#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use quire_domain::access::{LOCAL_TEAM, LOCAL_USER, Owner};
use quire_domain::attempt::{AttemptState, SuspendReason};
use quire_domain::budget::MicroDollars;
use quire_domain::ids::{AttemptId, Epoch, TeamId, UserId};
use quire_domain::quota::{Day, Quota, Subject, Used};
use quire_store::{NewTask, ProviderWindow, StoreError, UsageBy, UsageFilter, UsageRow, UsageSum};
use stage::{Stage, at, new_task, state};
use uuid::Uuid;

async fn claimed(stage: &Stage, owner: Owner) -> (AttemptId, Epoch) {
    let new = NewTask { owner, offered: true, ..new_task("do it", 1) };
    let attempt = stage.store.submit(new).await.unwrap().attempts[0].id;
    let taken = stage.store.take("w1", at(1), 1_000, 9).await.unwrap();
    assert_eq!(taken[0].attempt, attempt);
    (attempt, taken[0].claim.epoch)
}

fn row(model: &str, day: u32, calls: u64, cost: u64) -> UsageRow {
    let sum = UsageSum {
        calls,
        input_tokens: 1_000 * calls,
        cached_tokens: 900 * calls,
        output_tokens: 10 * calls,
        cost: MicroDollars(cost),
        unpriced: if cost == 0 { calls } else { 0 },
    };
    UsageRow { model: model.to_owned(), day: Day(day), sum }
}

#[tokio::test]
async fn what_was_used_is_counted_once_however_often_it_is_written() {
    let stage = Stage::new().await;
    let (attempt, epoch) = claimed(&stage, Owner::LOCAL).await;
    let rows = [row("a/large", 10, 2, 300), row("a/large", 11, 1, 100), row("b/small", 11, 5, 0)];
    for _ in 0..3 {
        stage.store.write_usage(attempt, epoch, &rows).await.unwrap();
    }
    let used = |from, until| stage.store.used(Subject::Server, Day(from), Day(until));
    assert_eq!(used(0, 99).await.unwrap(), Used { cost: MicroDollars(400), tokens: 8_080 });
    assert_eq!(used(11, 12).await.unwrap().tokens, 6_060);
    assert_eq!(used(12, 99).await.unwrap(), Used::default());
    // More came; an older claim cannot bring it back down.
    stage.store.write_usage(attempt, epoch, &[row("a/large", 11, 2, 200)]).await.unwrap();
    let stale = stage.store.write_usage(attempt, Epoch(epoch.0 - 1), &rows).await;
    assert!(matches!(stale, Err(StoreError::Fenced { .. })), "{stale:?}");
    assert_eq!(used(0, 99).await.unwrap().cost, MicroDollars(500));
}

#[tokio::test]
async fn usage_is_listed_by_day_person_team_repository_and_model() {
    let stage = Stage::new().await;
    let (attempt, epoch) = claimed(&stage, Owner::LOCAL).await;
    let rows = [row("a/large", 10, 2, 300), row("b/small", 11, 5, 0)];
    stage.store.write_usage(attempt, epoch, &rows).await.unwrap();
    let all = UsageFilter { from: Day(0), until: Day(99), teams: None, author: None };
    let keys = |by, filter: UsageFilter| {
        let store = stage.store.clone();
        async move {
            let lines = store.usage(by, &filter).await.unwrap();
            lines.into_iter().map(|line| (line.key, line.sum.calls)).collect::<Vec<_>>()
        }
    };
    let named = |key: &str, calls| (key.to_owned(), calls);
    let days = [named("1970-01-11", 2), named("1970-01-12", 5)];
    assert_eq!(keys(UsageBy::Day, all.clone()).await, days);
    assert_eq!(keys(UsageBy::Person, all.clone()).await, [named("local", 7)]);
    assert_eq!(keys(UsageBy::Team, all.clone()).await, [named("local", 7)]);
    assert_eq!(keys(UsageBy::Repository, all.clone()).await, [named("/src/shop", 7)]);
    let models = [named("a/large", 2), named("b/small", 5)];
    assert_eq!(keys(UsageBy::Model, all.clone()).await, models);
    let theirs = UsageFilter { teams: Some(vec![LOCAL_TEAM]), author: Some(LOCAL_USER), ..all };
    assert_eq!(keys(UsageBy::Team, theirs.clone()).await, [named("local", 7)]);
    let other = UsageFilter { author: Some(UserId(Uuid::from_u128(9))), ..theirs.clone() };
    assert_eq!(keys(UsageBy::Model, other).await, []);
    let nobody = UsageFilter { teams: Some(Vec::new()), ..theirs };
    assert_eq!(keys(UsageBy::Model, nobody).await, []);
}

#[tokio::test]
async fn what_stands_still_for_want_of_a_quota_is_woken_in_time_or_when_one_is_raised() {
    let stage = Stage::new().await;
    let (attempt, epoch) = claimed(&stage, Owner::LOCAL).await;
    stage.store.hold_until(attempt, epoch, at(5_000)).await.unwrap();
    let suspended = AttemptState::Suspended { reason: SuspendReason::Quota };
    stage.store.set_state(attempt, epoch, state(suspended.clone(), 10)).await.unwrap();

    assert_eq!(stage.store.wake_held(at(4_999)).await.unwrap(), []);
    assert_eq!(stage.store.wake_held(at(5_000)).await.unwrap(), [attempt]);
    assert_eq!(stage.store.wake_held(at(5_000)).await.unwrap(), [], "it waits for a worker now");

    // It stands still again, and somebody raises a quota.
    let taken = stage.store.take("w1", at(5_001), 1_000, 9).await.unwrap();
    let epoch = taken[0].claim.epoch;
    stage.store.hold_until(attempt, epoch, at(90_000)).await.unwrap();
    stage.store.set_state(attempt, epoch, state(suspended, 5_002)).await.unwrap();
    let quota = Quota { month_cost: Some(MicroDollars(7)), ..Quota::default() };
    stage.store.set_quota(Subject::Server, quota, at(5_003)).await.unwrap();
    assert_eq!(stage.store.wake_held(at(5_003)).await.unwrap(), [attempt]);
    let stale = stage.store.hold_until(attempt, epoch, at(1)).await;
    assert!(matches!(stale, Err(StoreError::Fenced { .. })), "{stale:?}");
}

#[tokio::test]
async fn the_limits_of_a_task_are_those_of_the_server_its_team_and_its_author() {
    let stage = Stage::new().await;
    let tokens = |tokens| Quota { month_tokens: Some(tokens), ..Quota::default() };
    let (team, other) = (TeamId(Uuid::from_u128(5)), TeamId(Uuid::from_u128(6)));
    let author = UserId(Uuid::from_u128(7));
    for (subject, quota) in [
        (Subject::Server, tokens(1)),
        (Subject::Team(team), tokens(2)),
        (Subject::Team(other), tokens(3)),
        (Subject::User(author), tokens(4)),
    ] {
        stage.store.set_quota(subject, tokens(99), at(1)).await.unwrap();
        stage.store.set_quota(subject, quota, at(2)).await.unwrap();
    }
    let mut found = stage.store.quotas_of(team, author).await.unwrap();
    found.sort_by_key(|(subject, _)| *subject);
    let expected = [
        (Subject::Server, tokens(1)),
        (Subject::Team(team), tokens(2)),
        (Subject::User(author), tokens(4)),
    ];
    assert_eq!(found, expected);
    stage.store.set_quota(Subject::Server, Quota::default(), at(3)).await.unwrap();
    assert_eq!(stage.store.quota(Subject::Server).await.unwrap(), Quota::default());
    assert_eq!(stage.store.quotas().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_pause_of_a_provider_is_told_to_all_and_a_shorter_one_does_not_end_it() {
    let stage = Stage::new().await;
    let window = |until, message: &str| ProviderWindow {
        provider: "openai".to_owned(),
        until: at(until),
        message: message.to_owned(),
    };
    stage.store.close_provider(&window(9_000, "in three hours")).await.unwrap();
    stage.store.close_provider(&window(100, "in a moment")).await.unwrap();
    let other = stage.other().await;
    assert_eq!(other.provider_windows(at(50)).await.unwrap(), [window(9_000, "in three hours")]);
    assert_eq!(other.provider_windows(at(9_000)).await.unwrap(), []);
}
