//! A disk that is full, a file that is damaged: told by name, and nothing acknowledged is lost.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

mod stage;

use std::path::Path;

use bytes::Bytes;
use quire_domain::ids::{Epoch, Seq};
use quire_domain::journal::JournalError;
use quire_engine::{BlobError, Blobs, Chunks, EventLog, FolderBlobs, Head, LocalLog, LogError};
use stage::{attempt, check_chain, events};

/// A file system of one megabyte, gone with the value; `None` where we may not mount.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = rustix::mount::mount(
            "tmpfs",
            directory.path(),
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            Some(c"size=1m"),
        );
        match mounted {
            Ok(()) => Some(Self(directory)),
            Err(error) => {
                eprintln!("skipped: a small file system cannot be mounted here ({error})");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn a_log_on_a_full_disk_says_so_keeps_what_it_had_and_goes_on_when_there_is_room() {
    let Some(disk) = TinyDisk::mount() else { return };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0; 300_000]).unwrap();
    let log = LocalLog::open(&disk.path().join("events.db")).await.unwrap();
    let mut head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    let refused = loop {
        let batch = events(&head, Epoch(1), 2, 10_000);
        let next = batch[1].hash.clone();
        match log.append(attempt(1), Epoch(1), head.seq, batch).await {
            Ok(seq) => head = Head { seq, hash: next, ..head },
            Err(refused) => break refused,
        }
        assert!(head.seq < Seq(1000), "the disk is never full");
    };
    assert!(matches!(refused, LogError::DiskFull), "{refused:?}");
    check_chain(&log.read(attempt(1), Seq(1), 1000).await.unwrap(), 1);
    assert_eq!(log.head(attempt(1)).await.unwrap().seq, head.seq);

    std::fs::remove_file(&ballast).unwrap();
    let batch = events(&head, Epoch(1), 2, 100);
    log.append(attempt(1), Epoch(1), head.seq, batch).await.unwrap();
    let all = log.read(attempt(1), Seq(1), 1000).await.unwrap();
    assert_eq!(all.len() as u64, head.seq.0 + 2);
    check_chain(&all, 1);
}

#[tokio::test]
async fn chunks_and_blobs_on_a_full_disk_say_so_and_leave_nothing_half_written() {
    let Some(disk) = TinyDisk::mount() else { return };
    let blobs = FolderBlobs::new(disk.path().join("blobs"));
    let large = Bytes::from(vec![7; 2_000_000]);
    assert!(matches!(blobs.put(large).await, Err(BlobError::DiskFull)));
    let kept = blobs.put(Bytes::from(vec![7; 1000])).await.unwrap();
    assert_eq!(blobs.get(&kept).await.unwrap().len(), 1000);

    let chunks = Chunks::new(disk.path().join("chunks")).of(attempt(1), Vec::new());
    let mut chunk = chunks.create(1 << 30).await.unwrap();
    let line = "0123456789\n".repeat(1000);
    let mut lines = 0;
    let refused = loop {
        match chunk.write(line.as_bytes()).await {
            Ok(()) => lines += 1000,
            Err(refused) => break refused,
        }
        assert!(lines < 1_000_000, "the disk is never full");
    };
    assert!(matches!(refused, JournalError::DiskFull), "{refused:?}");
    let summary = chunk.finish().await.unwrap();
    assert_eq!((summary.size.lines, summary.size.bytes), (lines, lines * 11));
    let reader = chunks.read(&summary.id).await.unwrap();
    assert_eq!(reader.size(), summary.size);
    assert_eq!(reader.sha256().await.unwrap(), summary.sha256);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_as_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    std::fs::write(&path, "this is not a database, and long enough to be read as one".repeat(99))
        .unwrap();
    assert!(matches!(LocalLog::open(&path).await, Err(LogError::Damaged(_))));
}

#[tokio::test]
async fn a_damaged_page_is_told_as_damaged_when_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let log = LocalLog::open(&path).await.unwrap();
    let head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    log.append(attempt(1), Epoch(1), Seq(0), events(&head, Epoch(1), 50, 3000)).await.unwrap();
    log.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[8192..end].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let log = LocalLog::open(&path).await.unwrap();
    let read = log.read(attempt(1), Seq(1), 100).await;
    assert!(matches!(read, Err(LogError::Damaged(_))), "{read:?}");
}

#[tokio::test]
async fn opening_to_write_begins_the_log_and_where_there_is_no_room_for_that_opens_it_all_the_same()
{
    let Some(disk) = TinyDisk::mount() else { return };
    let path = disk.path().join("events.db");
    LocalLog::open(&path).await.unwrap().close().await;
    let wal = disk.path().join("events.db-wal");
    assert!(!wal.exists());
    let log = LocalLog::open_to_write(&path).await.unwrap();
    assert!(std::fs::metadata(&wal).unwrap().len() > 0);
    log.close().await;
    // As much as there is room for, less the file that readers and writers share.
    let ballast = disk.path().join("ballast");
    let mut size = 1 << 20;
    while std::fs::write(&ballast, vec![0; size]).is_err() {
        size -= 4096;
    }
    std::fs::write(&ballast, vec![0; size - 32_768]).unwrap();
    let log = LocalLog::open_to_write(&path).await.unwrap();
    let refused = log.fence(attempt(1), Epoch(1)).await;
    assert!(matches!(refused, Err(LogError::DiskFull)), "{refused:?}");
    std::fs::remove_file(&ballast).unwrap();
    log.fence(attempt(1), Epoch(1)).await.unwrap();
}

#[tokio::test]
async fn a_log_that_a_later_version_wrote_is_left_alone() {
    use sqlx::ConnectOptions;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    LocalLog::open(&path).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    let refused = LocalLog::open(&path).await.err().unwrap();
    assert!(matches!(refused, LogError::Newer { found: 99, known: 1 }), "{refused:?}");
}
