//! What every event log, bus and blob store must do, tried on each of ours.

#![allow(clippy::unwrap_used, clippy::assigning_clones, reason = "a test")]

mod stage;

use std::sync::Arc;

use bytes::Bytes;
use quire_domain::ids::{Epoch, Seq, Sha256};
use quire_domain::journal::Live;
use quire_engine::{
    BlobError, Blobs, Bus, EventLog, FolderBlobs, Head, Heard, LocalBus, LocalLog, LogError,
    MAX_BLOB_BYTES, MAX_EVENT_BYTES, MemoryBlobs, StoredEvent, Watch, restore, spill,
};
use stage::{attempt, check_chain, events};

/// Runs each scenario of the log against both.
macro_rules! log_conformance {
    ($($scenario:ident),+ $(,)?) => {
        mod memory_log {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(std::sync::Arc::new(quire_engine::MemoryLog::default())).await;
            })+
        }
        mod local_log {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("events.db");
                let log = quire_engine::LocalLog::open(&path).await.unwrap();
                super::$scenario(std::sync::Arc::new(log)).await;
            })+
        }
    };
}

log_conformance!(
    an_empty_log_has_an_empty_head,
    what_was_appended_is_read_back_as_it_was,
    nobody_appends_without_a_fence,
    a_new_epoch_locks_the_old_one_out,
    an_append_in_the_wrong_place_writes_nothing,
    a_malformed_batch_writes_nothing,
    reads_begin_and_end_where_they_are_told,
    attempts_side_by_side_do_not_mix,
    a_watcher_gets_everything_once_and_in_order,
    a_watcher_that_was_asleep_misses_nothing,
    of_two_appends_at_one_place_one_is_refused,
);

async fn an_empty_log_has_an_empty_head(log: Arc<dyn EventLog>) {
    assert_eq!(log.head(attempt(1)).await.unwrap(), Head::empty());
    assert_eq!(log.read(attempt(1), Seq(1), 10).await.unwrap(), []);
}

async fn what_was_appended_is_read_back_as_it_was(log: Arc<dyn EventLog>) {
    let head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    assert_eq!(head, Head { epoch: Epoch(1), ..Head::empty() });
    let mut first = events(&head, Epoch(1), 3, 10);
    first[1].body = "{\"n\":2,\"t\":\"ü\u{0}\u{1F600} 'quoted' \\u0000\"}".to_owned();
    let last = log.append(attempt(1), Epoch(1), Seq(0), first.clone()).await.unwrap();
    assert_eq!(last, Seq(3));
    let head = log.head(attempt(1)).await.unwrap();
    assert_eq!(head, Head { epoch: Epoch(1), seq: Seq(3), hash: first[2].hash.clone() });
    let second = events(&head, Epoch(1), 1, 100_000);
    log.append(attempt(1), Epoch(1), Seq(3), second.clone()).await.unwrap();
    let all: Vec<StoredEvent> = first.into_iter().chain(second).collect();
    assert_eq!(log.read(attempt(1), Seq(1), 100).await.unwrap(), all);
}

async fn nobody_appends_without_a_fence(log: Arc<dyn EventLog>) {
    let batch = events(&Head::empty(), Epoch(1), 1, 1);
    let refused = log.append(attempt(1), Epoch(1), Seq(0), batch).await.unwrap_err();
    assert!(matches!(refused, LogError::Fenced { current: Epoch(0), given: Epoch(1) }));
}

async fn a_new_epoch_locks_the_old_one_out(log: Arc<dyn EventLog>) {
    let head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    log.append(attempt(1), Epoch(1), Seq(0), events(&head, Epoch(1), 2, 1)).await.unwrap();
    let head = log.fence(attempt(1), Epoch(3)).await.unwrap();
    assert_eq!((head.epoch, head.seq), (Epoch(3), Seq(2)));
    assert_eq!(log.fence(attempt(1), Epoch(3)).await.unwrap(), head);
    let stale = log.append(attempt(1), Epoch(1), Seq(2), events(&head, Epoch(1), 1, 1)).await;
    assert!(matches!(stale, Err(LogError::Fenced { current: Epoch(3), given: Epoch(1) })));
    let ahead = log.append(attempt(1), Epoch(4), Seq(2), events(&head, Epoch(4), 1, 1)).await;
    assert!(matches!(ahead, Err(LogError::Fenced { current: Epoch(3), given: Epoch(4) })));
    let lower = log.fence(attempt(1), Epoch(2)).await;
    assert!(matches!(lower, Err(LogError::Fenced { current: Epoch(3), given: Epoch(2) })));
    log.append(attempt(1), Epoch(3), Seq(2), events(&head, Epoch(3), 1, 1)).await.unwrap();
    check_chain(&log.read(attempt(1), Seq(1), 9).await.unwrap(), 1);
}

async fn an_append_in_the_wrong_place_writes_nothing(log: Arc<dyn EventLog>) {
    let head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    let batch = events(&head, Epoch(1), 2, 1);
    log.append(attempt(1), Epoch(1), Seq(0), batch.clone()).await.unwrap();
    let again = log.append(attempt(1), Epoch(1), Seq(0), batch).await;
    assert!(matches!(again, Err(LogError::WrongSeq { current: Seq(2), given: Seq(0) })));
    let far = Head { seq: Seq(7), ..head };
    let gap = log.append(attempt(1), Epoch(1), Seq(7), events(&far, Epoch(1), 1, 1)).await;
    assert!(matches!(gap, Err(LogError::WrongSeq { current: Seq(2), given: Seq(7) })));
    assert_eq!(log.read(attempt(1), Seq(1), 9).await.unwrap().len(), 2);
}

async fn a_malformed_batch_writes_nothing(log: Arc<dyn EventLog>) {
    let head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    let mut gap = events(&head, Epoch(1), 2, 1);
    gap[1].seq = Seq(3);
    let mut foreign = events(&head, Epoch(1), 2, 1);
    foreign[1].epoch = Epoch(2);
    let large = events(&head, Epoch(1), 1, 17 * 1024 * 1024);
    for batch in [gap, foreign, large, Vec::new()] {
        let refused = log.append(attempt(1), Epoch(1), Seq(0), batch).await;
        assert!(matches!(refused, Err(LogError::Malformed(_))), "{refused:?}");
    }
    assert_eq!(log.head(attempt(1)).await.unwrap().seq, Seq(0));
}

async fn reads_begin_and_end_where_they_are_told(log: Arc<dyn EventLog>) {
    let head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    log.append(attempt(1), Epoch(1), Seq(0), events(&head, Epoch(1), 10, 1)).await.unwrap();
    for (from, limit, expected) in
        [(0, 3, 1..4), (1, 3, 1..4), (4, 100, 4..11), (10, 1, 10..11), (11, 5, 11..11)]
    {
        let read = log.read(attempt(1), Seq(from), limit).await.unwrap();
        assert_eq!(read.len() as u64, expected.end - expected.start, "{from} {limit}");
        check_chain(&read, expected.start);
    }
    assert_eq!(log.read(attempt(1), Seq(u64::MAX), 5).await.unwrap(), []);
}

async fn attempts_side_by_side_do_not_mix(log: Arc<dyn EventLog>) {
    let writers = (1..=8).map(|n| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let mut head = log.fence(attempt(n), Epoch(1)).await.unwrap();
            for _ in 0..20 {
                let batch = events(&head, Epoch(1), 3, 50);
                let seq = log.append(attempt(n), Epoch(1), head.seq, batch.clone()).await.unwrap();
                head = Head { seq, hash: batch[2].hash.clone(), ..head };
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for n in 1..=8 {
        let all = log.read(attempt(n), Seq(1), 1000).await.unwrap();
        assert_eq!(all.len(), 60);
        check_chain(&all, 1);
    }
    assert_eq!(log.read(attempt(9), Seq(1), 10).await.unwrap(), []);
}

async fn a_watcher_gets_everything_once_and_in_order(log: Arc<dyn EventLog>) {
    let mut head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    let before = events(&head, Epoch(1), 5, 1);
    head.hash = before[4].hash.clone();
    head.seq = log.append(attempt(1), Epoch(1), Seq(0), before).await.unwrap();
    let mut watch = Watch::new(Arc::clone(&log), attempt(1), Seq(3));
    let writer = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            for _ in 0..200 {
                let batch = events(&head, Epoch(1), 2, 1);
                head.hash = batch[1].hash.clone();
                head.seq = log.append(attempt(1), Epoch(1), head.seq, batch).await.unwrap();
            }
        }
    });
    let mut seen = Vec::new();
    while seen.last().is_none_or(|event: &StoredEvent| event.seq < Seq(405)) {
        seen.extend(watch.next().await.unwrap());
    }
    writer.await.unwrap();
    assert_eq!(seen.len(), 403);
    check_chain(&seen, 3);
}

async fn a_watcher_that_was_asleep_misses_nothing(log: Arc<dyn EventLog>) {
    let mut head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    let mut watch = Watch::new(Arc::clone(&log), attempt(1), Seq(1));
    // Far more than what is held back for a watcher.
    for _ in 0..300 {
        let batch = events(&head, Epoch(1), 3, 1);
        head.hash = batch[2].hash.clone();
        head.seq = log.append(attempt(1), Epoch(1), head.seq, batch).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 900 {
        seen.extend(watch.next().await.unwrap());
    }
    check_chain(&seen, 1);
    assert_eq!(seen.len(), 900);
}

async fn of_two_appends_at_one_place_one_is_refused(log: Arc<dyn EventLog>) {
    let head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    let batch = events(&head, Epoch(1), 2, 1);
    let (a, b) = tokio::join!(
        log.append(attempt(1), Epoch(1), Seq(0), batch.clone()),
        log.append(attempt(1), Epoch(1), Seq(0), batch),
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    assert!(matches!(a.and(b), Err(LogError::WrongSeq { current: Seq(2), .. })));
}

#[tokio::test]
async fn a_log_that_was_closed_is_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let log = LocalLog::open(&path).await.unwrap();
    let head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    log.append(attempt(1), Epoch(1), Seq(0), events(&head, Epoch(1), 3, 1)).await.unwrap();
    log.close().await;
    let late = log.append(attempt(1), Epoch(1), Seq(3), events(&head, Epoch(1), 1, 1)).await;
    assert!(late.is_err());
    let again = LocalLog::open(&path).await.unwrap();
    check_chain(&again.read(attempt(1), Seq(1), 9).await.unwrap(), 1);
    assert_eq!(again.head(attempt(1)).await.unwrap().seq, Seq(3));
}

#[tokio::test]
async fn a_watcher_hears_of_what_another_process_appends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let (here, there) =
        (LocalLog::open(&path).await.unwrap(), LocalLog::open(&path).await.unwrap());
    let mut watch = Watch::new(Arc::new(here), attempt(1), Seq(1));
    let head = there.fence(attempt(1), Epoch(1)).await.unwrap();
    there.append(attempt(1), Epoch(1), Seq(0), events(&head, Epoch(1), 3, 1)).await.unwrap();
    assert_eq!(watch.next().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_viewer_gets_live_pieces_and_a_slow_one_is_told_what_it_missed() {
    let bus = LocalBus::new();
    let live = |n: u32| Live::Text { text: n.to_string() };
    bus.publish(attempt(1), live(0));
    let mut viewer = bus.subscribe(attempt(1));
    let mut other = bus.subscribe(attempt(2));
    bus.publish(attempt(1), live(1));
    assert_eq!(viewer.next().await, Some(Heard::Live(live(1))));
    for n in 0..1000 {
        bus.publish(attempt(1), live(n));
    }
    let Some(Heard::Missed(missed)) = viewer.next().await else { panic!("nothing was missed") };
    assert_eq!(viewer.next().await, Some(Heard::Live(live(u32::try_from(missed).unwrap()))));
    bus.publish(attempt(2), live(7));
    assert_eq!(other.next().await, Some(Heard::Live(live(7))));
}

async fn blobs_keep_bytes_under_their_digest(blobs: &dyn Blobs) {
    let bytes = Bytes::from_static(b"hello\n");
    let id = blobs.put(bytes.clone()).await.unwrap();
    assert_eq!(id.as_str(), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    assert_eq!(blobs.put(bytes.clone()).await.unwrap(), id);
    assert_eq!(blobs.get(&id).await.unwrap(), bytes);
    assert!(blobs.exists(&id).await.unwrap());
    let file = blobs.file(&id).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    assert_eq!(blobs.put_file(&file).await.unwrap(), id);
    let empty = blobs.put(Bytes::new()).await.unwrap();
    assert_eq!(blobs.get(&empty).await.unwrap(), Bytes::new());

    let none = Sha256::zero();
    assert!(!blobs.exists(&none).await.unwrap());
    assert!(matches!(blobs.get(&none).await, Err(BlobError::Missing(_))));
    assert!(matches!(blobs.file(&none).await, Err(BlobError::Missing(_))));
}

async fn a_large_body_goes_to_a_blob_and_comes_back_as_it_was(blobs: &dyn Blobs) {
    let small = r#"{"kind":"answered","body":{"text":"$blob"}}"#.to_owned();
    assert_eq!(spill(blobs, small.clone()).await.unwrap(), small);
    assert_eq!(restore(blobs, small.clone()).await.unwrap(), small);
    let inner = format!("{{\"text\" : \"{}\\u00e4\", \"n\":1.0}}", "x".repeat(MAX_EVENT_BYTES));
    let large = format!("{{\"kind\":\"answered\",\"body\":{inner}}}");
    let stored = spill(blobs, large.clone()).await.unwrap();
    assert!(stored.len() < 200, "{stored}");
    assert!(stored.starts_with(r#"{"kind":"answered","body":{"$blob":""#), "{stored}");
    assert_eq!(restore(blobs, stored.clone()).await.unwrap(), large);
    let gone = stored.replace("\"$blob\":\"", "\"$blob\":\"0");
    assert_eq!(restore(blobs, gone.clone()).await.unwrap(), gone, "that is no digest");
}

#[tokio::test]
async fn memory_blobs_conform() {
    blobs_keep_bytes_under_their_digest(&MemoryBlobs::default()).await;
    a_large_body_goes_to_a_blob_and_comes_back_as_it_was(&MemoryBlobs::default()).await;
}

#[tokio::test]
async fn folder_blobs_conform() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::new(directory.path().join("blobs"));
    blobs_keep_bytes_under_their_digest(&blobs).await;
    a_large_body_goes_to_a_blob_and_comes_back_as_it_was(&blobs).await;
    let left: Vec<_> =
        std::fs::read_dir(directory.path().join("blobs/incoming")).unwrap().collect();
    assert!(left.is_empty(), "temporary files stayed: {left:?}");
}

#[tokio::test]
async fn a_damaged_blob_is_refused_and_put_right_by_the_next_put() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::new(directory.path());
    let id = blobs.put(Bytes::from_static(b"hello\n")).await.unwrap();
    let file = blobs.file(&id).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, b"jello\n").unwrap();
    assert!(matches!(blobs.get(&id).await, Err(BlobError::Damaged(_))));
    assert!(matches!(blobs.file(&id).await, Err(BlobError::Damaged(_))));
    blobs.put(Bytes::from_static(b"hello\n")).await.unwrap();
    assert_eq!(blobs.get(&id).await.unwrap(), Bytes::from_static(b"hello\n"));
}

#[tokio::test]
async fn a_file_above_the_bound_is_no_blob() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = FolderBlobs::new(directory.path().join("blobs"));
    let file = directory.path().join("large");
    std::fs::File::create(&file).unwrap().set_len(MAX_BLOB_BYTES + 1).unwrap();
    assert!(matches!(blobs.put_file(&file).await, Err(BlobError::TooLarge { .. })));
}
