//! What people say reaches the attempts of this process at once, those of others soon, and listening
//! for very many costs next to nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use quire_agent::Inputs;
use quire_domain::access::Owner;
use quire_domain::ids::{AttemptId, TaskId};
use quire_domain::time::Timestamp;
use quire_orchestrator::inbox::{Inbox, Listening};
use quire_orchestrator::inputs::StoredInputs;
use quire_store::{InputKind, NewInput, NewTask, Store};
use tokio_util::sync::CancellationToken;

const ATTEMPTS: usize = 1_000;

struct Listener {
    task: TaskId,
    attempt: AttemptId,
    inputs: Arc<StoredInputs>,
    cancel: CancellationToken,
    _listening: Listening,
}

async fn listeners(store: &Store, inbox: &Inbox) -> Vec<Listener> {
    let mut all = Vec::new();
    for n in 0..ATTEMPTS {
        let request = serde_json::json!({
            "mode": "code", "prompt": format!("{n}"), "model": "scripted", "attempts": 1,
        });
        let new = NewTask {
            repository: "/src/shop".to_owned(),
            title: n.to_string(),
            request: serde_json::from_value(request).unwrap(),
            origin: None,
            idempotency_key: None,
            owner: Owner::LOCAL,
            offered: false,
            now: Timestamp(1),
        };
        let submitted = store.submit_to_claim(new).await.unwrap();
        let (task, attempt) = (submitted.task.id, submitted.attempts[0].id);
        store.claim(attempt, "here", Timestamp(1), 60_000).await.unwrap();
        let (inputs, cancel) = (StoredInputs::new(), CancellationToken::new());
        let listening = inbox.listen(store, (task, attempt), &inputs, &cancel).await.unwrap();
        all.push(Listener { task, attempt, inputs, cancel, _listening: listening });
    }
    all
}

async fn say(store: &Store, to: &Listener, kind: InputKind) {
    let (task, attempt) = (to.task, Some(to.attempt));
    store.put_input(NewInput { task, attempt, kind, now: Timestamp(2) }).await.unwrap();
}

/// Processor time of this process so far.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_attempts_listen_for_next_to_nothing_and_hear_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("quire.db");
    let store = Store::open(&path).await.unwrap();
    let inbox = Inbox::default();
    let all = listeners(&store, &inbox).await;

    tokio::time::sleep(Duration::from_millis(600)).await;
    let before = processor();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let used = processor().checked_sub(before).unwrap();
    println!("{ATTEMPTS} attempts listen for 3 s with {used:?} of a processor");
    assert!(used <= Duration::from_millis(150), "{used:?}");

    let begun = Instant::now();
    say(&store, &all[700], InputKind::Cancel).await;
    let said = begun.elapsed();
    tokio::time::timeout(Duration::from_secs(5), all[700].cancel.cancelled()).await.unwrap();
    println!("a cancel of this process: written in {said:?}, heard after {:?}", begun.elapsed());
    assert!(begun.elapsed().checked_sub(said).unwrap() < Duration::from_millis(100));
    assert!(!all[699].cancel.is_cancelled() && !all[701].cancel.is_cancelled());

    let elsewhere = Store::open(&path).await.unwrap();
    let begun = Instant::now();
    for words in ["One.", "Two."] {
        say(&elsewhere, &all[3], InputKind::Steer { text: words.to_owned() }).await;
    }
    say(&elsewhere, &all[4], InputKind::Cancel).await;
    tokio::time::timeout(Duration::from_secs(5), all[4].cancel.cancelled()).await.unwrap();
    println!("a cancel of another process: heard after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(1));
    let heard: Vec<String> =
        all[3].inputs.steers(0).await.unwrap().into_iter().map(|said| said.text).collect();
    assert_eq!(heard, ["One.", "Two."]);

    // A pause that is taken back is none, in whatever pieces it is read.
    say(&store, &all[5], InputKind::Pause { now: false }).await;
    say(&store, &all[5], InputKind::Resume).await;
    say(&store, &all[6], InputKind::Pause { now: false }).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while all[6].inputs.stand_still().is_none() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(all[5].inputs.stand_still(), None);
}
