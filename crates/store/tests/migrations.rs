//! Files of earlier versions: everything in them is there afterwards, and belongs to who used the
//! machine alone.
#![allow(clippy::unwrap_used, reason = "a test")]

mod stage;

use std::path::{Path, PathBuf};

use quire_domain::attempt::{AttemptState, Outcome, SuspendReason};
use quire_domain::budget::MicroDollars;
use quire_domain::ids::{AttemptRef, Epoch, TaskNumber};
use quire_domain::task::Mode;
use quire_store::{FollowUp, InputKind, ListFilter, SealKey, SecretScope, Store};
use stage::{at, request};

/// The files' layouts, oldest first, as they were released.
const LAYOUTS: [&str; 2] = [
    include_str!("../migrations/sqlite/0001_tasks.sql"),
    include_str!("../migrations/sqlite/0002_environments.sql"),
];

/// What the first version wrote: a task of two turns whose second is suspended, and one that was
/// put away.
const TASKS: &str = include_str!("rows/0001.sql");

/// What the second wrote beside it.
const ENVIRONMENTS: &str = include_str!("rows/0002.sql");

/// The key that the secret in [`ENVIRONMENTS`] is sealed with.
const KEY: [u8; 32] = *b"thirty-two bytes, only for tests";

/// Makes a file as version `version` left it.
async fn file_of(directory: &Path, version: usize) -> PathBuf {
    let path = directory.join("quire.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let note = format!("PRAGMA user_version = {version}");
    let rows = [TASKS, ENVIRONMENTS].into_iter().take(version);
    let all = LAYOUTS.into_iter().take(version).chain(rows).chain([note.as_str()]);
    for sql in all {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();
    path
}

async fn finds_the_tasks(store: &Store) {
    let all = store.list(&ListFilter::default()).await.unwrap().tasks;
    assert_eq!(all.iter().map(|task| task.task.number.0).collect::<Vec<_>>(), [1]);
    assert_eq!((all[0].task.title.as_str(), all[0].mode, all[0].turns), ("fix", Mode::Code, 2));
    assert_eq!(all[0].state, AttemptState::Suspended { reason: SuspendReason::Paused });
    let put_away = ListFilter { archived: Some(true), ..ListFilter::default() };
    let put_away = store.list(&put_away).await.unwrap().tasks;
    assert_eq!(put_away.iter().map(|task| task.task.number.0).collect::<Vec<_>>(), [2]);

    let turns = store.turns(all[0].task.id).await.unwrap();
    assert_eq!(
        turns.iter().map(|t| t.request.prompt.as_str()).collect::<Vec<_>>(),
        ["fix", "go on"]
    );
    assert_eq!(store.origin(turns[0].id).await.unwrap().as_deref(), Some("{\"ref\":1}"));
    let first = store.attempts(turns[0].id).await.unwrap();
    assert_eq!(first[0].state, AttemptState::Done { outcome: Outcome::Changed });
    assert_eq!((first[0].epoch, first[0].spent.cost), (Epoch(2), MicroDollars(7)));
    assert_eq!(first[0].result.as_ref().unwrap().diff_stat.unwrap().added, 2);

    // Where it stood still it goes on.
    let second = store.attempt(AttemptRef { task: TaskNumber(1), ordinal: None }).await.unwrap();
    assert_eq!(store.continued(second.id).await.unwrap(), [first[0].id]);
    let inputs = store.inputs_after(second.id, 0).await.unwrap();
    assert_eq!(inputs.len(), 1);
    assert_eq!(inputs[0].kind, InputKind::Steer { text: "careful".to_owned() });
    let claim = store.claim(second.id, "w", at(100), 1000).await.unwrap();
    assert_eq!((claim.epoch, claim.losses), (Epoch(2), 0));
    let done = AttemptState::Done { outcome: Outcome::Changed };
    store.set_state(second.id, claim.epoch, stage::state(done, 101)).await.unwrap();
    let follow = FollowUp {
        task: all[0].task.id,
        request: request("and the docs", 1),
        continues: None,
        origin: None,
        idempotency_key: None,
        offered: false,
        now: at(102),
    };
    assert_eq!(store.follow_up(follow).await.unwrap().turn.ordinal, 3);
    assert_eq!(store.submit(stage::new_task("new", 1)).await.unwrap().task.number, TaskNumber(3));
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date_with_its_tasks() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&file_of(directory.path(), 1).await).await.unwrap();
    finds_the_tasks(&store).await;
    assert_eq!(store.environments("local").await.unwrap(), []);
}

#[tokio::test]
async fn a_file_of_the_second_version_is_brought_up_to_date_with_its_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&file_of(directory.path(), 2).await).await.unwrap();
    finds_the_tasks(&store).await;
    let environment = store.environment("local", "web", None).await.unwrap().unwrap();
    assert_eq!((environment.version, environment.recipe.as_str()), (2, "a = 2"));
    assert_eq!(store.environment_history("local", "web").await.unwrap().len(), 2);
    let scope =
        SecretScope { owner: "local".to_owned(), repository: None, environment: "web".to_owned() };
    let key = SealKey::from_bytes(&KEY).unwrap();
    let (version, opened) = store.open_secret(&key, &scope, "TOKEN").await.unwrap().unwrap();
    assert_eq!((version, opened.reveal().as_slice()), (1, b"canary".as_slice()));
}
