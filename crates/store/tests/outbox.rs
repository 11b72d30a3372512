//! What people are told: written with the change it is about, made out once, tried until it is taken.

#![allow(clippy::unwrap_used, reason = "a test")]

mod stage;

use quire_domain::access::{LOCAL_TEAM, LOCAL_USER};
use quire_domain::attempt::{AttemptState, Outcome};
use quire_store::{Channel, DeliveryState, NoticeKind, Store, StoreError, Subscription, Tried};
use stage::{Stage, at};
use uuid::Uuid;

async fn subscribe(store: &Store, id: u128, kinds: &[NoticeKind]) -> Uuid {
    let subscription = Subscription {
        id: Uuid::from_u128(id),
        team: LOCAL_TEAM,
        owner: LOCAL_USER,
        channel: Channel::Webhook,
        target: "https://hooks.example/quire".to_owned(),
        kinds: kinds.to_vec(),
        secret: None,
        created_at: at(1),
    };
    store.subscribe(&subscription).await.unwrap();
    assert_eq!(store.subscription(subscription.id).await.unwrap(), subscription);
    subscription.id
}

fn tried(state: DeliveryState, due: u64) -> Tried {
    Tried { state, due_at: at(due), status: Some(503), detail: "down".to_owned() }
}

#[tokio::test]
async fn where_nobody_asked_nothing_is_kept() {
    let stage = Stage::new().await;
    let attempt = stage.submit_one().await;
    stage.end(attempt, Outcome::Changed).await;
    assert_eq!(stage.store.make_out_deliveries(at(5)).await.unwrap(), 0);
    assert_eq!(stage.store.next_delivery().await.unwrap(), None);
}

#[tokio::test]
async fn an_end_is_told_once_to_each_who_asked_for_ends() {
    let stage = Stage::new().await;
    let store = &stage.store;
    let ends = subscribe(store, 1, &NoticeKind::DEFAULT).await;
    let steps = subscribe(store, 2, &[NoticeKind::Progress]).await;
    let attempt = stage.submit_one().await;
    stage.end(attempt, Outcome::Changed).await;
    assert_eq!(store.make_out_deliveries(at(5)).await.unwrap(), 1);
    assert_eq!(store.make_out_deliveries(at(6)).await.unwrap(), 0);
    let due = store.due_deliveries(at(5), 10).await.unwrap();
    let [delivery] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!(delivery.subscription, ends);
    assert_eq!(delivery.notice.kind, NoticeKind::Ended);
    assert_eq!((delivery.notice.task, &*delivery.notice.state), (Some(1), "changed"));
    assert!(store.deliveries(steps, 10).await.unwrap().is_empty());
    let task = store.task(quire_domain::ids::TaskNumber(1)).await.unwrap();
    store.tell_progress(task.id, "step 2 of 3", at(7)).await.unwrap();
    assert_eq!(store.make_out_deliveries(at(8)).await.unwrap(), 1);
    assert_eq!(
        store.deliveries(steps, 10).await.unwrap()[0].notice.detail.as_deref(),
        Some("step 2 of 3")
    );
}

#[tokio::test]
async fn what_is_not_taken_waits_and_can_be_sent_again_after_it_was_given_up() {
    let stage = Stage::new().await;
    let store = &stage.store;
    let hook = subscribe(store, 1, &NoticeKind::DEFAULT).await;
    let attempt = stage.submit_one().await;
    let epoch = store.claim(attempt, "w", at(2), 1_000).await.unwrap().epoch;
    store.set_state(attempt, epoch, stage::state(AttemptState::Working, 3)).await.unwrap();
    store.set_state(attempt, epoch, stage::state(AttemptState::WaitingForUser, 4)).await.unwrap();
    store.make_out_deliveries(at(5)).await.unwrap();
    let first = store.due_deliveries(at(5), 10).await.unwrap().remove(0);
    assert_eq!(first.notice.kind, NoticeKind::NeedsYou);
    store.delivery_tried(first.id, &tried(DeliveryState::Waiting, 100), at(6)).await.unwrap();
    assert!(store.due_deliveries(at(99), 10).await.unwrap().is_empty());
    assert_eq!(store.next_delivery().await.unwrap(), Some(at(100)));
    let again = store.due_deliveries(at(100), 10).await.unwrap().remove(0);
    assert_eq!((again.id, again.tries, again.status), (first.id, 1, Some(503)));
    store.delivery_tried(first.id, &tried(DeliveryState::GivenUp, 0), at(101)).await.unwrap();
    assert_eq!(store.next_delivery().await.unwrap(), None);
    let other_team = quire_domain::ids::TeamId(Uuid::from_u128(9));
    let refused = store.redeliver(other_team, first.id, at(102)).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    store.redeliver(LOCAL_TEAM, first.id, at(102)).await.unwrap();
    assert_eq!(store.due_deliveries(at(102), 10).await.unwrap().len(), 1);
    store.unsubscribe(LOCAL_TEAM, hook, at(103)).await.unwrap();
    assert!(store.due_deliveries(at(200), 10).await.unwrap().is_empty());
    assert!(store.subscriptions(LOCAL_TEAM).await.unwrap().is_empty());
    assert_eq!(store.forget_deliveries(at(1_000)).await.unwrap(), 1);
    assert!(store.deliveries(hook, 10).await.unwrap().is_empty());
}
