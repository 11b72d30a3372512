//! The queue of a server: each attempt is handed out once, to whose turn it is, and comes back when
//! its worker goes.

#![allow(clippy::unwrap_used, reason = "for tests")]

mod stage;

use quire_domain::access::Owner;
use quire_domain::attempt::{AttemptState, Outcome};
use quire_domain::budget::Spent;
use quire_domain::ids::{AttemptId, TeamId, UserId};
use quire_store::{NewTask, StoreError, Write};
use stage::{Stage, at, new_task};
use uuid::Uuid;

const LEASE_MS: u64 = 1_000;

fn owner(author: u128, team: u128) -> Owner {
    Owner { author: UserId(Uuid::from_u128(author)), team: TeamId(Uuid::from_u128(team)) }
}

async fn submit(stage: &Stage, owner: Owner, now: u64) -> AttemptId {
    let new = NewTask { owner, offered: true, now: at(now), ..new_task("do it", 1) };
    stage.store.submit(new).await.unwrap().attempts[0].id
}

async fn take(stage: &Stage, now: u64, most: u32) -> Vec<AttemptId> {
    let taken = stage.store.take("w1", at(now), LEASE_MS, most).await.unwrap();
    taken.iter().map(|taken| taken.attempt).collect()
}

#[tokio::test]
async fn people_take_turns_and_what_nobody_offered_is_nobodys_to_take() {
    let stage = Stage::new().await;
    let (ann, bob) = (owner(1, 7), owner(2, 8));
    stage.store.submit(new_task("for myself", 1)).await.unwrap();
    let mut of_ann = Vec::new();
    for now in 1..=4 {
        of_ann.push(submit(&stage, ann, now).await);
    }
    let of_bob = [submit(&stage, bob, 5).await, submit(&stage, bob, 6).await];
    let place = |attempt| stage.store.queue_place(attempt, at(10));
    assert_eq!(place(of_ann[3]).await.unwrap(), Some(5));
    assert_eq!(place(of_bob[0]).await.unwrap(), Some(1));
    assert_eq!(stage.store.queue_length().await.unwrap(), (6, 0));

    let first = take(&stage, 10, 3).await;

    assert_eq!(first, [of_ann[0], of_bob[0], of_ann[1]]);
    assert_eq!(place(of_ann[0]).await.unwrap(), None);
    assert_eq!(take(&stage, 10, 9).await, [of_bob[1], of_ann[2], of_ann[3]]);
    assert_eq!(take(&stage, 10, 9).await, []);
    assert_eq!(stage.store.queue_length().await.unwrap(), (0, 6));
}

#[tokio::test]
async fn what_is_given_back_is_no_loss_and_what_a_dead_worker_had_is_one() {
    let stage = Stage::new().await;
    let attempt = submit(&stage, Owner::LOCAL, 1).await;
    let first = stage.store.take("w1", at(1), LEASE_MS, 1).await.unwrap()[0].claim;
    assert_eq!((first.epoch.0, first.losses), (1, 0));
    let state = |state| Write { state, spent: Spent::default(), result: None, now: at(2) };
    stage.store.set_state(attempt, first.epoch, state(AttemptState::Working)).await.unwrap();

    stage.store.give_back(attempt, first.epoch, at(50)).await.unwrap();

    let again = stage.store.give_back(attempt, first.epoch, at(50)).await;
    assert!(matches!(again, Err(StoreError::Fenced { .. })), "{again:?}");
    assert_eq!(stage.store.attempt_by_id(attempt).await.unwrap().state, AttemptState::Working);
    assert_eq!(take(&stage, 49, 1).await, []);
    let second = stage.store.take("w2", at(50), LEASE_MS, 1).await.unwrap()[0].claim;
    assert_eq!((second.epoch.0, second.losses), (2, 0));
    // The worker is known to be gone long before its lease is over.
    assert!(!stage.store.offer_again(attempt, first.epoch, at(60)).await.unwrap());
    assert!(stage.store.offer_again(attempt, second.epoch, at(60)).await.unwrap());
    let third = stage.store.take("w3", at(60), LEASE_MS, 1).await.unwrap()[0].claim;
    assert_eq!((third.epoch.0, third.losses), (3, 1));
    let done = state(AttemptState::Done { outcome: Outcome::Answered });
    stage.store.set_state(attempt, third.epoch, done).await.unwrap();
    assert!(!stage.store.offer(attempt, at(70)).await.unwrap(), "it has ended");
    assert_eq!(stage.store.taken().await.unwrap(), []);
}

#[tokio::test]
async fn one_attempt_is_taken_by_one_of_many_workers() {
    let stage = Stage::new().await;
    for now in 0..40 {
        submit(&stage, owner(u128::from(now % 3), 1), now).await;
    }
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let store = stage.store.clone();
        workers.spawn(async move {
            let name = format!("w{worker}");
            let mut mine = Vec::new();
            loop {
                let taken = store.take(&name, at(100), LEASE_MS, 2).await.unwrap();
                if taken.is_empty() {
                    return mine;
                }
                mine.extend(taken.into_iter().map(|taken| taken.attempt));
            }
        });
    }
    let mut all = workers.join_all().await.concat();
    all.sort();
    let taken = all.len();
    all.dedup();
    assert_eq!((taken, all.len()), (40, 40));
}
