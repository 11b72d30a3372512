//! Reading beside writing: the writer's own connection is lent to readers while it is free.

#![allow(clippy::unwrap_used, reason = "a test")]

mod stage;

use std::time::Duration;

use quire_domain::attempt::AttemptState;
use quire_domain::ids::TaskNumber;
use quire_store::ListFilter;
use stage::{Stage, new_task, state};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_read_while_one_writes_and_none_sees_half_a_task() {
    let stage = Stage::new().await;
    let writing = {
        let store = stage.store.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                store.submit_to_claim(new_task(&format!("task {n}"), 3)).await.unwrap();
            }
        })
    };
    let reading: Vec<_> = (0..8)
        .map(|_| {
            let store = stage.store.clone();
            tokio::spawn(async move {
                loop {
                    let page = store.list(&ListFilter::default()).await.unwrap();
                    assert!(page.tasks.iter().all(|listed| listed.attempts.len() == 3));
                    if page.tasks.len() == 40 {
                        return;
                    }
                }
            })
        })
        .collect();
    let all = async {
        writing.await.unwrap();
        for reader in reading {
            reader.await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_stops_waiting_holds_up_no_writer_and_no_reader() {
    let stage = Stage::new().await;
    stage.submit_one().await;
    for micros in 0..100_u64 {
        let read = stage.store.task(TaskNumber(1));
        let _ = tokio::time::timeout(Duration::from_micros(micros * 5), read).await;
    }
    let after = async {
        stage.submit_one().await;
        stage.store.task(TaskNumber(2)).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), after).await.unwrap();
}

#[tokio::test]
async fn a_task_that_was_submitted_to_be_claimed_is_there_for_another_process_at_once() {
    let stage = Stage::new().await;
    let submitted = stage.store.submit_to_claim(new_task("fix", 1)).await.unwrap();
    let attempt = submitted.attempts[0].id;
    let claim = stage.store.claim(attempt, "one", stage::at(1), 60_000).await.unwrap();
    let working = state(AttemptState::Working, 2);
    stage.store.set_state(attempt, claim.epoch, working).await.unwrap();
    let other = stage.other().await;
    assert_eq!(other.task(TaskNumber(1)).await.unwrap(), submitted.task);
    assert_eq!(other.attempt_by_id(attempt).await.unwrap().state, AttemptState::Working);
}
