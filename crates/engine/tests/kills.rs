//! Killed at any point, the record keeps what it acknowledged: once, and in order.

#![allow(clippy::unwrap_used, reason = "a test")]

mod stage;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quire_domain::ids::{ChunkId, Epoch, Seq};
use quire_engine::{Chunks, EventLog, Head, LocalLog};
use stage::{attempt, check_chain, events};

/// Set in a child of this test: what it is to do, where, for which attempt and epoch.
const ROLE: &str = "QUIRE_TEST_ROLE";

fn child(test: &str, directory: &Path, number: u32, epoch: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, format!("{}|{number}|{epoch}", directory.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The numbers that a child printed as whole lines behind a word.
fn acknowledged(child: &mut Child, word: &str) -> Vec<String> {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect()
}

fn role() -> Option<(String, u32, u32)> {
    let role = std::env::var(ROLE).ok()?;
    let mut parts = role.split('|');
    let directory = parts.next()?.to_owned();
    Some((directory, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Appends until it is killed.
async fn append_for_ever(directory: &str, number: u32, epoch: Epoch) {
    use std::io::Write;
    let log = LocalLog::open(&Path::new(directory).join("events.db")).await.unwrap();
    let mut head = log.fence(attempt(number.into()), epoch).await.unwrap();
    for n in 0.. {
        let batch = events(&head, epoch, n % 4 + 1, 300);
        let next = batch.last().unwrap().hash.clone();
        let seq = log.append(attempt(number.into()), epoch, head.seq, batch).await.unwrap();
        head = Head { seq, hash: next, ..head };
        // One write, so that a line is either whole or not there.
        std::io::stdout().write_all(format!("\nacknowledged {}\n", seq.0).as_bytes()).unwrap();
    }
}

/// Differs from round to round, and is the same in every run of the test.
fn pause(round: u32) -> Duration {
    Duration::from_micros(u64::from(round.wrapping_mul(2_654_435_761) >> 8) % 60_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_killed_at_any_point_lose_double_and_mix_nothing() {
    if let Some((directory, number, epoch)) = role() {
        return append_for_ever(&directory, number, Epoch(epoch)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let name = "two_processes_killed_at_any_point_lose_double_and_mix_nothing";
    let mut most = [0_u64; 2];
    for round in 1..=40 {
        let mut children = [1, 2].map(|number| child(name, directory.path(), number, round));
        tokio::time::sleep(Duration::from_millis(15) + pause(round)).await;
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let log = LocalLog::open(&directory.path().join("events.db")).await.unwrap();
        for (index, child) in children.iter_mut().enumerate() {
            let last = acknowledged(child, "acknowledged ").pop().map(|seq| seq.parse().unwrap());
            most[index] = last.unwrap_or(most[index]).max(most[index]);
            let id = attempt(index as u128 + 1);
            let head = log.head(id).await.unwrap();
            let all = log.read(id, Seq(1), u32::MAX).await.unwrap();
            assert!(head.seq.0 >= most[index], "{} was acknowledged, {head:?}", most[index]);
            assert_eq!(all.len() as u64, head.seq.0);
            check_chain(&all, 1);
        }
        log.close().await;
    }
    assert!(most[0] > 100 && most[1] > 100, "the children hardly wrote: {most:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_of_a_process_that_is_killed_is_there_up_to_its_last_write() {
    use std::io::Write;
    let chunks =
        |directory: &Path| Chunks::new(directory.join("chunks")).of(attempt(1), Vec::new());
    if let Some((directory, ..)) = role() {
        let mut chunk = chunks(Path::new(&directory)).create(1 << 30).await.unwrap();
        let mut written = 0;
        for n in 0_u64.. {
            let line = format!("{n} {}\n", "x".repeat(usize::try_from(n % 3000).unwrap()));
            chunk.write(line.as_bytes()).await.unwrap();
            written += line.len();
            let note = format!("\nwrote {} {written}\n", chunk.id());
            std::io::stdout().write_all(note.as_bytes()).unwrap();
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let name = "output_of_a_process_that_is_killed_is_there_up_to_its_last_write";
    for round in 1..=15 {
        let mut child = child(name, directory.path(), 1, round);
        tokio::time::sleep(Duration::from_millis(15) + pause(round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let Some(note) = acknowledged(&mut child, "wrote ").pop() else { continue };
        let (id, written) = note.split_once(' ').unwrap();
        let id = ChunkId::parse(id).unwrap();
        let summary = chunks(directory.path()).finish_interrupted(&id).await.unwrap();
        assert!(summary.size.bytes >= written.parse().unwrap());
        let reader = chunks(directory.path()).read(&id).await.unwrap();
        for n in [0, summary.size.lines / 2, summary.size.lines.saturating_sub(2)] {
            let line = reader.lines(n + 1, n + 1, 100).await.unwrap();
            assert!(line.starts_with(format!("{n} ").as_bytes()), "line {n}: {line:?}");
        }
    }
    let left = chunks(directory.path()).unfinished().await.unwrap();
    assert!(left.len() < 3, "hardly a child got as far as to write: {left:?}");
}
