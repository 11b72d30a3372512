//! Prints how soon an event reaches 1,000 viewers of 20 tasks that write, what that costs the server,
//! and what it costs those who write: `cargo run --release -p quire-server --example stream_bench`.
//!
//! The viewers are a process of their own. Another number of viewers may be given.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a bench"
)]

#[path = "../tests/stage/mod.rs"]
mod stage;

use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quire_domain::ids::{AttemptId, Epoch, Seq, Sha256};
use quire_domain::journal::Live;
use quire_domain::time::{Clock, Timestamp};
use quire_engine::StoredEvent;
use serde_json::json;
use stage::{Stage, SystemClock, TOKEN};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TASKS: usize = 20;
/// How long is measured.
const TIME: Duration = Duration::from_secs(10);
/// How often each task writes two events and shows four pieces.
const EVERY: Duration = Duration::from_millis(200);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == "watch") {
        return watch(&args[2], args[3].parse().unwrap()).await;
    }
    let viewers: usize = args.get(1).map_or(1_000, |arg| arg.parse().unwrap());
    let stage = Stage::new().await;
    let mut hands = Vec::new();
    for _ in 0..TASKS {
        let wish = json!({ "repository": "/somewhere", "prompt": "do it" });
        let (_, task) = stage.post("/api/v1/tasks", wish).await;
        let attempt: AttemptId = task["attempts"][0]["id"].as_str().unwrap().parse().unwrap();
        let (store, now) = (&stage.parts.store, SystemClock.now());
        let epoch = store.claim(attempt, "w", now, 600_000).await.unwrap().epoch;
        stage.parts.log.fence(attempt, epoch).await.unwrap();
        hands.push((attempt, epoch, 0));
    }
    let idle = spent();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!(
        "{:<44} {:>8.1} ms",
        "processor of an idle server, in 5 s",
        ms(spent().saturating_sub(idle))
    );
    let (alone, cost) = write(&stage, &mut hands).await;
    print("append of 2 events, nobody watches", alone);
    println!("{:<44} {:>8.2}", "processors, nobody watches", cost);
    println!("{:<44} {:>8.1} MB", "memory, nobody watches", resident());

    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["watch", &stage.address.to_string(), &viewers.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    // It says a line when all are there.
    assert_eq!(out.read_u8().await.unwrap(), b'\n');
    let still = spent();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!(
        "{:<44} {:>8.1} ms",
        "processor, all watch, nothing happens, 5 s",
        ms(spent().saturating_sub(still))
    );
    println!("{:<44} {:>8.1} MB", "memory, all watch", resident());
    let (watched, cost) = write(&stage, &mut hands).await;
    print("append of 2 events, all watch", watched);
    println!("{:<44} {:>8.2}", "processors, all watch", cost);
    println!("{:<44} {:>8.1} MB", "memory after it", resident());
    drop(child.stdin.take());
    let mut text = String::new();
    out.read_to_string(&mut text).await.unwrap();
    print!("{text}");
    page(&stage, hands[0]).await;
}

/// What a page that shows a task with a log of 5,000 events asks for.
async fn page(stage: &Stage, (attempt, epoch, mut last): (AttemptId, Epoch, u64)) {
    while last < 5_000 {
        let many = (5_000 - last).min(500);
        let events = (1..=many).map(|n| event(Seq(last + n), epoch)).collect();
        last = stage.parts.log.append(attempt, epoch, Seq(last), events).await.unwrap().0;
    }
    let of = |more: &str| format!("/api/v1/attempts/{attempt}{more}");
    for (what, path) in [
        ("a task", "/api/v1/tasks/1".to_owned()),
        ("the last 200 events", of("/events?before=5001&limit=200")),
        ("5,000 events, 4 MB", of("/events?limit=5000")),
        ("the result, out of 5,000 events", of("/result")),
    ] {
        let mut took = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            let answer = stage.ask(reqwest::Method::GET, &path).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap();
            took.push(begun.elapsed());
        }
        print(what, took);
    }
}

/// Writes for a while as 20 tasks do; how long each append took, and how many processors it used.
async fn write(stage: &Stage, hands: &mut [(AttemptId, Epoch, u64)]) -> (Vec<Duration>, f64) {
    let (start, before) = (Instant::now(), spent());
    let mut writers = Vec::new();
    for (place, (attempt, epoch, last)) in hands.iter().copied().enumerate() {
        let (log, bus) = (stage.parts.log.clone(), stage.parts.bus.clone());
        writers.push(tokio::spawn(async move {
            let (mut last, mut took) = (last, Vec::new());
            // Not all at the same moment.
            tokio::time::sleep(EVERY / 20 * u32::try_from(place).unwrap()).await;
            while start.elapsed() < TIME {
                for _ in 0..4 {
                    bus.publish(attempt, Live::Text { text: "a few words of it ".to_owned() });
                    tokio::time::sleep(EVERY / 4).await;
                }
                let events = [1, 2].map(|n| event(Seq(last + n), epoch)).to_vec();
                let begun = Instant::now();
                last = log.append(attempt, epoch, Seq(last), events).await.unwrap().0;
                took.push(begun.elapsed());
            }
            (last, took)
        }));
    }
    let mut all = Vec::new();
    for (hand, writer) in hands.iter_mut().zip(writers) {
        let (last, took) = writer.await.unwrap();
        hand.2 = last;
        all.extend(took);
    }
    (all, spent().saturating_sub(before).as_secs_f64() / start.elapsed().as_secs_f64())
}

fn event(seq: Seq, epoch: Epoch) -> StoredEvent {
    let body = json!({ "kind": "steered", "body": { "sent": micros(), "text": "x".repeat(600) } });
    StoredEvent {
        seq,
        at: Timestamp(1),
        epoch,
        kind: "steered".to_owned(),
        body: body.to_string(),
        prev_hash: Sha256::zero(),
        hash: Sha256::zero(),
    }
}

/// Opens streams, says so, and reads until its input ends; prints how old events were.
async fn watch(address: &str, viewers: usize) {
    let mut readers = Vec::new();
    for number in 0..viewers {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let task = number % TASKS + 1;
        let request = format!(
            "GET /api/v1/tasks/{task}/events?now=true HTTP/1.1\r\nHost: {address}\r\n\
             Authorization: Bearer {TOKEN}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = vec![0; 4_096];
        let count = stream.read(&mut head).await.unwrap();
        assert!(head[..count].starts_with(b"HTTP/1.1 200"));
        readers.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (told, mut ends) = tokio::sync::watch::channel(());
    let mut tasks = Vec::new();
    for mut stream in readers {
        let mut ends = ends.clone();
        tasks.push(tokio::spawn(async move {
            let (mut text, mut ages) = (Vec::new(), Vec::new());
            let mut some = vec![0; 64 << 10];
            loop {
                let count = tokio::select! {
                    count = stream.read(&mut some) => count.unwrap(),
                    _ = ends.changed() => return ages,
                };
                assert!(count > 0, "the stream ended");
                let now = micros();
                text.extend_from_slice(&some[..count]);
                let mut from = 0;
                while let Some(at) = find(&text[from..], b"\"sent\":") {
                    let digits = &text[from + at + 7..];
                    let Some(end) = digits.iter().position(|byte| !byte.is_ascii_digit()) else {
                        break;
                    };
                    let sent: u64 = std::str::from_utf8(&digits[..end]).unwrap().parse().unwrap();
                    ages.push(Duration::from_micros(now.saturating_sub(sent)));
                    from += at + 7 + end;
                }
                let keep = text.len().saturating_sub(40).max(from);
                text.drain(..keep);
            }
        }));
    }
    println!();
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(told);
    let _ = ends.changed().await;
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    println!("{:<44} {:>8}", "events that came", all.len());
    print("from before the append to the viewer", all);
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

fn micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

/// Processor time of this process so far.
fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages as f64 * 4096.0 / 1e6
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| ms(times[(times.len() - 1) * part / 100]);
    println!("{what:<44} {:>8.2} ms p50 {:>8.2} ms p99 {:>8.2} ms most", at(50), at(99), at(100));
}
