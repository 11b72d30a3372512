//! Prints what the store costs on this machine: `cargo run --release -p quire-store --example store_bench`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::time::{Duration, Instant};

use quire_domain::budget::Spent;
use quire_domain::task::Request;
use quire_domain::time::Timestamp;
use quire_store::{ListFilter, NewTask, Store};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("quire.db");
    let start = Instant::now();
    Store::open(&path).await.unwrap().close().await;
    println!("{:<34} {:>7.2} ms", "make a new store and close it", ms(start.elapsed()));
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        let store = Store::open(&path).await.unwrap();
        times.push(start.elapsed());
        store.close().await;
    }
    print("open a store that is there", times);

    let store = Store::open(&path).await.unwrap();
    let (mut submits, mut claims, mut spents) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..2000 {
        let start = Instant::now();
        let task = store.submit(task(n)).await.unwrap();
        submits.push(start.elapsed());
        if n % 10 > 0 {
            continue;
        }
        let start = Instant::now();
        let attempt = task.attempts[0].id;
        let claim = store.claim(attempt, "w", Timestamp(1), 30_000).await.unwrap();
        claims.push(start.elapsed());
        let start = Instant::now();
        store.set_spent(attempt, claim.epoch, Spent::default()).await.unwrap();
        spents.push(start.elapsed());
    }
    print("submit", submits);
    print("claim", claims);
    print("set_spent", spents);

    fill(&path, 100_000).await;
    let states = |word: &str| ListFilter { states: vec![word.to_owned()], ..ListFilter::default() };
    let text = ListFilter { text: Some("task 17".to_owned()), ..ListFilter::default() };
    let nowhere = ListFilter { text: Some("zebra".to_owned()), ..ListFilter::default() };
    for (what, filter) in [
        ("list 50 of 100,000", ListFilter::default()),
        ("list 50 that are preparing", states("preparing")),
        ("list 50 that are done", states("done")),
        ("list 50 by a text", text),
        ("list by a text that is nowhere", nowhere),
        ("list 50 that wait: none", states("waiting")),
    ] {
        let mut times = Vec::new();
        for _ in 0..50 {
            let start = Instant::now();
            store.list(&filter).await.unwrap();
            times.push(start.elapsed());
        }
        print(what, times);
    }
}

/// Tasks as they are after a long time, without the turns that nobody opens here.
async fn fill(path: &std::path::Path, count: i64) {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO tasks (id, title, repository, created_at, turns, mode, state, state_word,
                            updated_at)
         SELECT randomblob(16), 'an older task ' || i, '/src/' || (i % 7), i, 1, 'code',
                '{\"state\":\"done\",\"outcome\":{\"outcome\":\"changed\"}}', 'changed', i FROM n",
    )
    .bind(count)
    .execute(&mut connection)
    .await
    .unwrap();
}

fn task(n: u32) -> NewTask {
    let json = r#"{"mode":"code","prompt":"make it work","model":"m","attempts":1}"#;
    let request: Request = serde_json::from_str(json).unwrap();
    NewTask {
        repository: format!("/src/{}", n % 7),
        title: format!("task {n}"),
        request,
        origin: None,
        idempotency_key: None,
        owner: quire_domain::access::Owner::LOCAL,
        offered: false,
        now: Timestamp(u64::from(n)),
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what:<34} {:>7.2} ms p50, {:.2} ms p99", ms(p50), ms(p99));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
