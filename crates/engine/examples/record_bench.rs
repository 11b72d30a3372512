//! Prints what the record costs on this machine: `cargo run --release -p quire-engine --example record_bench`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quire_domain::ids::{AttemptId, Epoch, Seq, Sha256};
use quire_domain::time::Timestamp;
use quire_engine::{Blobs, Chunks, EventLog, FolderBlobs, Head, LocalLog, StoredEvent};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = match std::env::args().nth(1) {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    sync_alone(directory.path());
    opening(directory.path()).await;
    alone(directory.path()).await;
    together(directory.path()).await;
    reading(directory.path()).await;
    small_chunks(directory.path()).await;
    blobs(directory.path()).await;
    large_chunk(directory.path()).await;
}

fn sync_alone(directory: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(directory.join("sync")).unwrap();
    let times = (0..200).map(|_| {
        file.write_all(&[7; 4096]).unwrap();
        let start = Instant::now();
        file.sync_data().unwrap();
        start.elapsed()
    });
    print("fdatasync of 4 KiB, alone", times.collect());
}

async fn opening(directory: &Path) {
    let path = directory.join("open.db");
    let start = Instant::now();
    LocalLog::open(&path).await.unwrap().close().await;
    println!("{:<44} {:>8.2} ms", "make a new log and close it", ms(start.elapsed()));
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let start = Instant::now();
        let log = LocalLog::open(&path).await.unwrap();
        opened.push(start.elapsed());
        log.fence(attempt(1), Epoch(1)).await.unwrap();
        let start = Instant::now();
        log.close().await;
        closed.push(start.elapsed());
    }
    print("open a log that is there", opened);
    print("close it", closed);
}

async fn alone(directory: &Path) {
    let log = LocalLog::open(&directory.join("alone.db")).await.unwrap();
    let mut head = log.fence(attempt(1), Epoch(1)).await.unwrap();
    let cpu = cpu_time();
    let mut times = Vec::new();
    for _ in 0..500 {
        let batch = events(&head, 3, 1500);
        let next = Head { hash: batch[2].hash.clone(), seq: batch[2].seq, ..head.clone() };
        let start = Instant::now();
        log.append(attempt(1), Epoch(1), head.seq, batch).await.unwrap();
        times.push(start.elapsed());
        head = next;
    }
    let cpu = cpu_time().saturating_sub(cpu) / 500;
    print("append 3 events of 1.5 kB, alone", times);
    println!("{:<44} {:>8.0} µs", "  CPU of one", cpu.as_secs_f64() * 1e6);
}

async fn together(directory: &Path) {
    for attempts in [4, 16, 64] {
        let path = directory.join(format!("together{attempts}.db"));
        let log = Arc::new(LocalLog::open(&path).await.unwrap());
        let start = Instant::now();
        let tasks = (0..attempts).map(|n| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut head = log.fence(attempt(n), Epoch(1)).await.unwrap();
                let mut times = Vec::new();
                for _ in 0..100 {
                    let batch = events(&head, 3, 1500);
                    let next =
                        Head { hash: batch[2].hash.clone(), seq: batch[2].seq, ..head.clone() };
                    let start = Instant::now();
                    log.append(attempt(n), Epoch(1), head.seq, batch).await.unwrap();
                    times.push(start.elapsed());
                    head = next;
                }
                times
            })
        });
        let mut times = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            times.extend(task.await.unwrap());
        }
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        print(&format!("append 3 events, {attempts} attempts at once"), times);
        println!("{:<44} {rate:>8.0} /s", "  appends");
    }
}

async fn reading(directory: &Path) {
    let log = LocalLog::open(&directory.join("alone.db")).await.unwrap();
    log.head(attempt(1)).await.unwrap();
    let times = {
        let mut times = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            assert_eq!(log.read(attempt(1), Seq(1), 10_000).await.unwrap().len(), 1500);
            times.push(start.elapsed());
        }
        times
    };
    print("read a log of 1,500 events", times);
}

async fn small_chunks(directory: &Path) {
    let chunks = Chunks::new(directory.join("chunks")).of(attempt(1), Vec::new());
    let (mut created, mut written, mut finished) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..200 {
        let start = Instant::now();
        let mut chunk = chunks.create(1 << 31).await.unwrap();
        created.push(start.elapsed());
        let start = Instant::now();
        chunk.write(&[b'x'; 2000]).await.unwrap();
        written.push(start.elapsed());
        let start = Instant::now();
        chunk.finish().await.unwrap();
        finished.push(start.elapsed());
    }
    print("create a chunk", created);
    print("write 2 kB to it", written);
    print("finish it", finished);
}

async fn blobs(directory: &Path) {
    let blobs = FolderBlobs::new(directory.join("blobs"));
    let mut times = Vec::new();
    for n in 0..100_u32 {
        let bytes = Bytes::from(n.to_le_bytes().repeat(25_000));
        let start = Instant::now();
        blobs.put(bytes).await.unwrap();
        times.push(start.elapsed());
    }
    print("put a blob of 100 kB", times);
}

async fn large_chunk(directory: &Path) {
    let chunks = Chunks::new(directory.join("chunks")).of(attempt(2), Vec::new());
    let mut chunk = chunks.create(2 << 30).await.unwrap();
    let line = "a line of output as a build would print it, with some words in it\n";
    let block = line.repeat(64 * 1024 / line.len() + 1);
    let block = &block.as_bytes()[..64 * 1024];
    let before = memory_kib();
    let start = Instant::now();
    for _ in 0..16_384 {
        chunk.write(block).await.unwrap();
    }
    let wrote = start.elapsed();
    let memory = memory_kib().saturating_sub(before);
    let start = Instant::now();
    let summary = chunk.finish().await.unwrap();
    let finished = start.elapsed();
    println!(
        "{:<44} {:>8.0} MB/s, then {:.0} ms to sync; memory +{memory} KiB",
        "write 1 GiB of output",
        f64::from(1 << 30) / 1e6 / wrote.as_secs_f64(),
        ms(finished),
    );
    let reader = chunks.read(&summary.id).await.unwrap();
    let mut times = Vec::new();
    for n in 0..100 {
        let first = summary.size.lines / 100 * n + 1;
        let start = Instant::now();
        assert!(!reader.lines(first, first + 10, 4096).await.unwrap().is_empty());
        times.push(start.elapsed());
    }
    print("read ten lines of it", times);
}

fn attempt(n: u32) -> AttemptId {
    format!("018f0000-0000-7000-8000-{n:012x}").parse().unwrap()
}

fn events(head: &Head, count: u64, bytes: usize) -> Vec<StoredEvent> {
    (1..=count)
        .map(|n| StoredEvent {
            seq: Seq(head.seq.0 + n),
            at: Timestamp(1_700_000_000_000),
            epoch: Epoch(1),
            kind: "command_finished".to_owned(),
            body: "x".repeat(bytes),
            prev_hash: Sha256::zero(),
            hash: Sha256::zero(),
        })
        .collect()
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what:<44} {:>8.2} ms p50, {:.2} ms p99", ms(p50), ms(p99));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// CPU time of this process so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let fields: Vec<u64> = after.split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // Of the fields behind the name (the state is no number): utime and stime are 10 and 11.
    Duration::from_millis((fields[10] + fields[11]) * 10)
}

fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
