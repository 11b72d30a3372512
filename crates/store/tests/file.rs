//! SQLite's file: what it is taken for, and when it is written to.

mod stage;

use quire_store::{Store, StoreError};
use stage::{Stage, new_task};

#[tokio::test]
async fn a_file_of_another_kind_or_version_is_left_alone_and_named() {
    let stage = Stage::new().await;
    let junk = stage.directory.path().join("junk.db");
    std::fs::write(&junk, "neither a database nor short ".repeat(99)).unwrap();
    assert!(matches!(Store::open(&junk).await.err(), Some(StoreError::Damaged(_))));
    let nowhere = stage.directory.path().join("no/such/quire.db");
    assert!(matches!(Store::open(&nowhere).await.err(), Some(StoreError::Open { .. })));

    stage.store.close().await;
    let mut bytes = std::fs::read(&stage.path).unwrap();
    // `user_version` stands at offset 60 of a SQLite file.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&stage.path, &bytes).unwrap();
    let newer = Store::open(&stage.path).await.err().unwrap();
    assert!(matches!(newer, StoreError::Newer { found: 99, known: 3 }), "{newer:?}");
    assert!(newer.advice().contains("newer"));
    let newer = Store::open_to_write(&stage.path).await.err().unwrap();
    assert!(matches!(newer, StoreError::Newer { found: 99, .. }), "{newer:?}");
    let kept = std::fs::read(&stage.path).unwrap();
    assert!(kept == bytes, "the file was touched");
}

#[tokio::test]
async fn opening_to_write_begins_the_write_ahead_log_and_waits_for_nobody_who_has_begun_it() {
    let stage = Stage::new().await;
    stage.submit_one().await;
    stage.store.close().await;
    let log = stage.directory.path().join("quire.db-wal");
    assert!(!log.exists(), "the last one who closes takes the log away");
    let store = Store::open_to_write(&stage.path).await.unwrap();
    let begun = std::fs::metadata(&log).unwrap().len();
    assert!(begun > 0);
    let second = Store::open_to_write(&stage.path).await.unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), begun, "a log that is begun is left alone");
    store.submit(new_task("the first", 1)).await.unwrap();
    second.submit(new_task("the second", 2)).await.unwrap();
}
