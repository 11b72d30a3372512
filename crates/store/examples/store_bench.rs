//! Prints what the store costs on this machine, over SQLite, or over Postgres where an address is
//! given: `cargo run --release -p quire-store --example store_bench [postgres://…]`.
//!
//! The database of the address has to be an empty one: it is filled with 100,000 tasks.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use quire_domain::access::{LOCAL_TEAM, LOCAL_USER, Owner};
use quire_domain::budget::Spent;
use quire_domain::ids::{TaskNumber, TeamId, UserId};
use quire_domain::task::Request;
use quire_domain::time::Timestamp;
use quire_store::{ListFilter, NewTask, Store};
use sqlx::{AssertSqlSafe, ConnectOptions};

/// Where the store is.
#[derive(Clone)]
enum Place {
    File(PathBuf),
    Server(String),
}

impl Place {
    async fn open(&self) -> Store {
        match self {
            Self::File(path) => Store::open(path).await.unwrap(),
            Self::Server(url) => Store::open_url(url).await.unwrap(),
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let place = match std::env::args().nth(1) {
        None => Place::File(directory.path().join("quire.db")),
        Some(url) => Place::Server(url),
    };
    let start = Instant::now();
    place.open().await.close().await;
    println!("{:<40} {:>7.2} ms", "make a new store and close it", ms(start.elapsed()));
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        let store = place.open().await;
        times.push(start.elapsed());
        store.close().await;
    }
    print("open a store that is there", times);
    let store = place.open().await;
    alone(&store).await;
    at_once(&store).await;
    steadily(&store).await;
    fill(&place).await;
    lists(&store).await;
}

/// One after the other, with nothing beside.
async fn alone(store: &Store) {
    let (mut submits, mut claims, mut spents) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..500 {
        let start = Instant::now();
        let task = store.submit(task(n)).await.unwrap();
        submits.push(start.elapsed());
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
}

/// A thousand people at the same moment.
async fn at_once(store: &Store) {
    let start = Instant::now();
    let all: Vec<_> = (0..1000)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store.submit(task(n)).await.unwrap();
                start.elapsed()
            })
        })
        .collect();
    let mut times = Vec::new();
    for one in all {
        times.push(one.await.unwrap());
    }
    let last = *times.iter().max().unwrap();
    print("1,000 submits at once", times);
    println!("{:<40} {:>7.2} ms", "  the last of them", ms(last));
}

/// A hundred submits a second for ten seconds, beside 20 attempts that write what they spent five
/// times a second, renew their leases, and are watched.
async fn steadily(store: &Store) {
    let mut beside = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = store.clone();
        let attempt = store.submit(task(n)).await.unwrap().attempts[0].id;
        let epoch = store.claim(attempt, "w", Timestamp(1), 30_000).await.unwrap().epoch;
        beside.spawn(async move {
            loop {
                store.set_spent(attempt, epoch, Spent::default()).await.unwrap();
                store.renew(attempt, epoch, Timestamp(9_000_000)).await.unwrap();
                store.inputs_after(attempt, 0).await.unwrap();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut all = Vec::new();
    for n in 0..1000 {
        tick.tick().await;
        let store = store.clone();
        all.push(tokio::spawn(async move {
            let start = Instant::now();
            store.submit(task(n)).await.unwrap();
            start.elapsed()
        }));
    }
    let mut times = Vec::new();
    for one in all {
        times.push(one.await.unwrap());
    }
    print("100 submits a second beside 20 at work", times);
    beside.shutdown().await;
}

async fn lists(store: &Store) {
    let all = ListFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let states = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let author = |n: u128| Some(UserId(uuid::Uuid::from_u128(n)));
    let team = |n: u128| TeamId(uuid::Uuid::from_u128(n));
    let large = Some(vec![LOCAL_TEAM]);
    let small = Some(vec![team(7)]);
    let several = Some(vec![team(7), team(8), team(9), LOCAL_TEAM]);
    let repository = text("/src/3");
    for (what, filter) in [
        ("all", all()),
        ("from the middle", ListFilter { before: Some(TaskNumber(50_000)), ..all() }),
        ("done", ListFilter { states: states(&["done"]), ..all() }),
        ("waiting: few, far back", ListFilter { states: states(&["waiting"]), ..all() }),
        ("suspended: none", ListFilter { states: states(&["suspended"]), ..all() }),
        ("a repository", ListFilter { repository: repository.clone(), ..all() }),
        (
            "a repository, waiting",
            ListFilter { repository: repository.clone(), states: states(&["waiting"]), ..all() },
        ),
        ("a large team", ListFilter { teams: large.clone(), ..all() }),
        ("a small team", ListFilter { teams: small.clone(), ..all() }),
        ("four teams", ListFilter { teams: several.clone(), ..all() }),
        (
            "a large team, waiting",
            ListFilter { teams: large.clone(), states: states(&["waiting"]), ..all() },
        ),
        (
            "a small team, done",
            ListFilter { teams: small.clone(), states: states(&["done"]), ..all() },
        ),
        (
            "a small team, a repository",
            ListFilter { teams: small.clone(), repository: repository.clone(), ..all() },
        ),
        ("an author of many", ListFilter { author: Some(LOCAL_USER), ..all() }),
        ("an author of few", ListFilter { author: author(9), ..all() }),
        (
            "four teams, an author of few, done",
            ListFilter {
                teams: several.clone(),
                author: author(9),
                states: states(&["done"]),
                ..all()
            },
        ),
        ("a text of many", ListFilter { text: text("older"), ..all() }),
        ("a text of one", ListFilter { text: text("task 17 of"), ..all() }),
        ("a text of none", ListFilter { text: text("zebra"), ..all() }),
        (
            "a text of none, done",
            ListFilter { text: text("zebra"), states: states(&["done"]), ..all() },
        ),
        (
            "a text of none, a large team",
            ListFilter { text: text("zebra"), teams: large.clone(), ..all() },
        ),
        (
            "a text of one, four teams, done",
            ListFilter {
                text: text("task 17 of"),
                teams: several,
                states: states(&["done"]),
                ..all()
            },
        ),
        ("put away, a large team", ListFilter { archived: Some(true), teams: large, ..all() }),
    ] {
        let mut times = Vec::new();
        for _ in 0..100 {
            let start = Instant::now();
            store.list(&filter).await.unwrap();
            times.push(start.elapsed());
        }
        print(&format!("of 100,000: {what}"), times);
    }
    let newest = store.newest_change().await.unwrap();
    let mut times = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        store.changed_since(newest - 20, &all(), 100).await.unwrap();
        times.push(start.elapsed());
    }
    print("what changed, 20 tasks", times);
}

/// Tasks as they are after a long time: without the turns that nobody opens here, most of them of
/// one team, done, and of one person.
async fn fill(place: &Place) {
    let id = |which: &str, n: &str| match place {
        Place::File(_) => format!("x'{which}{n}'"),
        Place::Server(_) => format!("'\\x{which}{n}'::bytea"),
    };
    let (local, zeros) = ("00000000000070008000000000", "00000000000000000000000000");
    let (team, author) = (id(local, "000002"), id(local, "000001"));
    let small = |n: &str| id(zeros, n);
    let (series, random) = match place {
        Place::File(_) => (
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)",
            "randomblob(16)",
        ),
        Place::Server(_) => {
            ("WITH n (i) AS (SELECT generate_series(1, 100000))", "uuid_send(gen_random_uuid())")
        }
    };
    let done = r#"{"state":"done","outcome":{"outcome":"changed"}}"#;
    let sql = format!(
        "{series} INSERT INTO tasks (id, title, repository, created_at, turns, mode, state,
                            state_word, updated_at, team, author, archived_at)
         SELECT {random}, 'an older task ' || i || ' of those that were done', '/src/' || (i % 7),
                i, 1, 'code', '{done}',
                CASE WHEN i IN (300, 301, 5000) THEN 'waiting for you' WHEN i % 9 = 0 THEN 'failed'
                     WHEN i % 5 = 0 THEN 'answered' ELSE 'changed' END,
                i,
                CASE WHEN i % 1000 = 7 THEN {} WHEN i % 100 = 8 THEN {} WHEN i % 50 = 9 THEN {}
                     ELSE {team} END,
                CASE WHEN i % 2000 = 11 THEN {} ELSE {author} END,
                CASE WHEN i % 30 = 0 THEN i END
         FROM n",
        small("000007"),
        small("000008"),
        small("000009"),
        small("000009"),
    );
    match place {
        Place::File(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        }
        Place::Server(url) => {
            let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            // As the server does by itself within a minute.
            sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
        }
    }
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
        owner: Owner::LOCAL,
        offered: false,
        now: Timestamp(u64::from(n)),
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what:<48} {:>7.2} ms p50, {:.2} ms p99", ms(p50), ms(p99));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
