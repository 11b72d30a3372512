//! All that is promised of the store, kept by a Postgres server too: the same tests as over SQLite.
//!
//! The other tests that are in this file alone are about the server itself.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::duplicate_mod, reason = "each file of tests brings its stage along")]

#[path = "access.rs"]
mod access;
#[path = "changes.rs"]
mod changes;
#[path = "environments.rs"]
mod environments;
#[path = "machine.rs"]
mod machine;
#[path = "outbox.rs"]
mod outbox;
#[path = "queue.rs"]
mod queue;
#[path = "quotas.rs"]
mod quotas;
#[path = "readers.rs"]
mod readers;
#[path = "repositories.rs"]
mod repositories;
mod stage;
#[path = "store.rs"]
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use quire_domain::ids::TaskNumber;
use quire_store::{ListFilter, Store, StoreError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Row};
use stage::server::Server;
use stage::{Stage, at, new_database, new_task};

/// Files of tests that are about SQLite's file.
const OF_THE_FILE: [&str; 2] = ["file.rs", "migrations.rs"];

#[test]
fn every_file_of_tests_runs_over_a_server_too() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let listed = include_str!("postgres.rs");
    for entry in std::fs::read_dir(tests).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        let known = module == "postgres" || OF_THE_FILE.contains(&name.as_str());
        let line = format!("mod {module};\n");
        assert!(known || listed.contains(&line), "add `mod {module};` to tests/postgres.rs");
    }
}

/// A table's columns: the type, whether it may be NULL, whether it has a default.
type Columns = BTreeMap<String, (&'static str, bool, bool)>;

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_indexes() {
    let stage = Stage::new().await;
    let url = new_database();
    Store::open_url(&url).await.unwrap();
    let mut server = PgConnectOptions::from_str(&url).unwrap().connect().await.unwrap();
    let mut there: BTreeMap<String, Columns> = BTreeMap::new();
    let columns = "SELECT c.table_name::text, c.column_name::text, c.data_type::text,
            c.is_nullable = 'YES', c.column_default IS NOT NULL
        FROM information_schema.columns c WHERE c.table_schema = 'public'";
    for row in sqlx::query(columns).fetch_all(&mut server).await.unwrap() {
        let kind = match row.get::<&str, _>(2) {
            "bigint" => "INTEGER",
            "text" => "TEXT",
            "bytea" => "BLOB",
            other => panic!("a column of the type {other}"),
        };
        let table = there.entry(row.get(0)).or_default();
        table.insert(row.get(1), (kind, row.get(3), row.get(4)));
    }
    there.remove("quire_version");

    let file = stage.directory.path().join("twin.db");
    Store::open(&file).await.unwrap().close().await;
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut file = file.connect().await.unwrap();
    let mut here: BTreeMap<String, Columns> = BTreeMap::new();
    let columns = "SELECT m.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0,
            c.dflt_value IS NOT NULL
        FROM sqlite_master m, pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'";
    for row in sqlx::query(columns).fetch_all(&mut file).await.unwrap() {
        let kind = match row.get::<&str, _>(2) {
            "INTEGER" => "INTEGER",
            "TEXT" => "TEXT",
            "BLOB" => "BLOB",
            other => panic!("a column of the type {other}"),
        };
        let table = here.entry(row.get(0)).or_default();
        table.insert(row.get(1), (kind, row.get(3), row.get(4)));
    }
    assert_eq!(here, there, "left SQLite, right Postgres");

    let names =
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1";
    let here = sqlx::query_scalar::<_, String>(names).fetch_all(&mut file).await.unwrap();
    // Those of a constraint are named by it.
    let names = "SELECT i.indexname::text FROM pg_indexes i WHERE i.schemaname = 'public'
            AND i.indexname NOT LIKE '%_pkey' AND i.indexname NOT LIKE '%_key' ORDER BY 1";
    let mut there = sqlx::query_scalar::<_, String>(names).fetch_all(&mut server).await.unwrap();
    there.sort();
    assert_eq!(here, there, "left SQLite, right Postgres");
}

#[tokio::test]
async fn where_no_server_answers_or_the_address_is_none_that_is_said_without_the_password() {
    for bad in ["", "postgres", "mysql://a@b/c", "postgres://a:hunter2@b:port/c", "/a/file.db"] {
        let error = Store::open_url(bad).await.err().unwrap();
        assert!(matches!(error, StoreError::BadUrl), "{bad}: {error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    // The name is wrong: there is nothing to wait for.
    let url = new_database();
    let wrong = url.replace("/t", "/no_such_");
    let soon = Duration::from_secs(5);
    let error = tokio::time::timeout(soon, Store::open_url(&wrong)).await.unwrap().err().unwrap();
    assert!(matches!(&error, StoreError::Connect { server, .. } if server.contains("no_such_")));
    let nobody = "postgres://quire:hunter2@127.0.0.1:9/quire";
    let error = Store::open_url(nobody).await.err().unwrap();
    let StoreError::Connect { server, .. } = &error else { panic!("{error:?}") };
    assert_eq!(server, "127.0.0.1:9/quire");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone_and_named() {
    let url = new_database();
    Store::open_url(&url).await.unwrap().close().await;
    let mut server = PgConnectOptions::from_str(&url).unwrap().connect().await.unwrap();
    sqlx::query("UPDATE quire_version SET version = 99").execute(&mut server).await.unwrap();
    let newer = Store::open_url(&url).await.err().unwrap();
    assert!(matches!(newer, StoreError::Newer { found: 99, known: 3 }), "{newer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_that_open_an_empty_database_at_once_make_it_once() {
    let url = new_database();
    let all = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            let store = Store::open_url(&url).await.unwrap();
            store.submit(new_task("fix", 1)).await.unwrap().task.number.0
        })
    });
    let mut numbers = Vec::new();
    for one in all.collect::<Vec<_>>() {
        numbers.push(one.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_of_the_server_all_that_was_acknowledged_is_there_and_work_goes_on() {
    let server = Server::new(true);
    let store = Store::open_url(&server.database("quire")).await.unwrap();
    let first = store.submit(new_task("before", 1)).await.unwrap();
    let attempt = first.attempts[0].id;
    let epoch = store.claim(attempt, "w", at(1), 1000).await.unwrap().epoch;
    // Somebody submits all the time.
    let submitting = tokio::spawn({
        let store = store.clone();
        async move {
            let mut acknowledged = Vec::new();
            for n in 0..200_u32 {
                let mut new = new_task(&format!("task {n}"), 1);
                new.idempotency_key = Some(n.to_string());
                // As a client does that was told nothing: it asks again with the same key.
                loop {
                    match store.submit(new.clone()).await {
                        Ok(done) => break acknowledged.push(done.task.number),
                        Err(StoreError::Unreachable(_)) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            acknowledged
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::task::block_in_place(|| {
            server.kill();
            server.start();
        });
        // What reads and what renews are asked again by themselves.
        assert_eq!(store.task(TaskNumber(1)).await.unwrap(), first.task);
        store.renew(attempt, epoch, at(5000)).await.unwrap();
    }
    let acknowledged = submitting.await.unwrap();
    assert_eq!(acknowledged.len(), 200);
    let mut found = Vec::new();
    let mut filter = ListFilter { limit: 500, ..ListFilter::default() };
    loop {
        let page = store.list(&filter).await.unwrap();
        found.extend(page.tasks.iter().map(|listed| listed.task.number));
        filter.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 201, "each task once");
    assert!(acknowledged.iter().all(|number| found.contains(number)));
    // One who stands still inside a transaction is put out by the server, so that others go on.
    store.close().await;
    server.kill();
    std::fs::remove_dir_all(&server.directory).unwrap();
}
