//! `cargo xtask bench --load`: a real `quire serve` under many tasks at once, over HTTP.
//!
//! Every request comes on a connection of its own, so that what a script with `curl` pays is in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::measure::Bench;
use super::process;

/// How many submit at the same time; each waits for its answer before it sends the next.
const SENDERS: usize = 50;
/// How long an idle server is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Submits a second, and for how many seconds.
const RATE: (u32, u32) = (100, 5);
/// All tasks have ended this long after the last was submitted.
const PATIENCE: Duration = Duration::from_mins(10);
/// A request that takes longer has failed.
const ANSWER: Duration = Duration::from_secs(30);

/// Figures beside budgets, in the words of the table; whether any was missed.
#[derive(Default)]
struct Table {
    missed: bool,
}

impl Table {
    fn row(&mut self, what: &str, seen: f64, unit: &str, budget: Option<f64>) {
        let missed = budget.is_some_and(|budget| seen > budget);
        self.missed |= missed;
        let budget = budget.map_or(String::new(), |budget| format!("{budget} {unit}"));
        let note = if missed { ", missed" } else { "" };
        println!("| {what} | {seen:.1} {unit} | {budget}{note} |");
    }
}

/// A server that is ended when this is dropped.
struct Served {
    child: Child,
    at: SocketAddr,
    token: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        process::reap_orphans();
    }
}

/// Measures `tasks` tasks and prints the table; gives whether every budget was kept.
///
/// # Errors
///
/// If the server does not start, a request is not answered, or a task is lost.
pub fn run(binary: &Path, bench: &Bench, tasks: usize) -> anyhow::Result<bool> {
    let repo = bench.repository("load")?;
    let begun = Instant::now();
    let served = start(binary, &bench.work, &bench.server.base("load", 2))?;
    let started = begun.elapsed();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load of the machine: {}", load.trim());
    println!("| figure | seen | budget |\n| --- | --- | --- |");
    let mut table = Table::default();
    table.row("start to the address", millis(started), "ms", Some(300.0));
    idle(&served, &mut table);

    let wish = json!({ "repository": repo, "prompt": "Do it.", "model": "scripted/demo" });
    let wish = wish.to_string();
    // The first brings the repository in, which is no part of what is asked here.
    served.post(&wish)?;
    let begun = Instant::now();
    let mut took = at_once(&served, &wish, tasks)?;
    table.row(
        &format!("{tasks} submits by {SENDERS} at once, all answered"),
        millis(begun.elapsed()),
        "ms",
        (tasks <= 1_000).then_some(2_000.0),
    );
    table.row("… of one, p99", percentile(&mut took, 99), "ms", None);
    let more = at_a_rate(&served, &wish)?;
    let sent = 1 + tasks + more.len();
    let mut took = more;
    table.row("submits at 100 a second beside them, p50", percentile(&mut took, 50), "ms", None);
    table.row("… p99", percentile(&mut took, 99), "ms", Some(50.0));
    ends(&served, sent)?;
    table.row("all submitted to all ended", begun.elapsed().as_secs_f64(), "s", None);
    for (what, query) in [("all", ""), ("failed", "&state=failed"), ("a text", "&text=Do%20it")] {
        let path = format!("/api/v1/tasks?limit=50{query}");
        let mut took = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            served.get(&path)?;
            took.push(begun.elapsed());
        }
        let what = format!("list of {sent}, {what}, p99");
        table.row(&what, percentile(&mut took, 99), "ms", Some(20.0));
    }
    table.row("memory after it (PSS, children too)", megabytes(&served), "MB", None);
    Ok(!table.missed)
}

fn start(binary: &Path, work: &Path, model: &str) -> anyhow::Result<Served> {
    let data: PathBuf = work.join("served");
    let mut child = Command::new(binary)
        .args(["serve", "--listen", "0", "--data-dir"])
        .arg(&data)
        .env("HOME", work)
        .env("QUIRE_SCRIPTED_URL", format!("{model}/v1"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the server")?;
    let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
    let at = loop {
        let Some(line) = lines.next() else { bail!("the server ended before it served") };
        if let Some((_, rest)) = line?.split_once("at http://") {
            break rest.split(": ").next().unwrap_or_default().parse()?;
        }
    };
    // What it says later is read too, so that it never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    let token = std::fs::read_to_string(data.join("serve.token"))?.trim().to_owned();
    Ok(Served { child, at, token })
}

impl Served {
    fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", path, "")
    }

    fn post(&self, wish: &str) -> anyhow::Result<Value> {
        self.ask("POST", "/api/v1/tasks", wish)
    }

    /// One request on a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let mut stream = TcpStream::connect_timeout(&self.at, ANSWER)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let Self { at, token, .. } = self;
        let size = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.take(16 << 20).read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            bail!("{method} {path}: {status} {body}");
        }
        serde_json::from_str(body).context("the answer is not JSON")
    }
}

/// `tasks` submits, [`SENDERS`] at a time; how long each took.
fn at_once(served: &Served, wish: &str, tasks: usize) -> anyhow::Result<Vec<Duration>> {
    let left = AtomicUsize::new(tasks);
    let take = || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    std::thread::scope(|scope| {
        let send = || {
            let mut took = Vec::new();
            while take().is_ok() {
                let begun = Instant::now();
                served.post(wish)?;
                took.push(begun.elapsed());
            }
            anyhow::Ok(took)
        };
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        let mut all = Vec::new();
        for sender in senders {
            all.extend(sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??);
        }
        Ok(all)
    })
}

/// Submits at a fixed rate, whether or not the one before was answered: from when each was due.
fn at_a_rate(served: &Served, wish: &str) -> anyhow::Result<Vec<Duration>> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let due = (0..RATE.0 * RATE.1).map(|n| begun + Duration::from_secs(n.into()) / RATE.0);
        let mut sent = Vec::new();
        for due in due {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            sent.push(scope.spawn(move || served.post(wish).map(|_| due.elapsed())));
        }
        let took = sent.into_iter().map(|one| {
            one.join().map_err(|_| anyhow::anyhow!("a sender panicked")).and_then(|took| took)
        });
        took.collect()
    })
}

/// Waits until every task has ended, and counts them.
fn ends(served: &Served, sent: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let open = "/api/v1/tasks?limit=1&state=queued,preparing,working,waiting,suspended";
    while !listed(&served.get(open)?)?.is_empty() {
        if Instant::now() > deadline {
            bail!("not all tasks ended within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let (mut ended, mut before) = (0, String::new());
    loop {
        let page = served.get(&format!("/api/v1/tasks?limit=500&state=done{before}"))?;
        ended += listed(&page)?.len();
        let Some(next) = page["next"].as_u64() else { break };
        before = format!("&before={next}");
    }
    if ended != sent {
        bail!("{sent} submits were acknowledged and {ended} tasks ended");
    }
    if !listed(&served.get("/api/v1/tasks?limit=1&state=failed")?)?.is_empty() {
        bail!("tasks failed");
    }
    Ok(())
}

fn listed(page: &Value) -> anyhow::Result<&Vec<Value>> {
    page["tasks"].as_array().context("the page has no tasks")
}

fn idle(served: &Served, table: &mut Table) {
    // What the start itself still does is over by then.
    std::thread::sleep(Duration::from_secs(2));
    let before = process::tree_cpu(served.child.id());
    std::thread::sleep(IDLE);
    let spent = process::tree_cpu(served.child.id()).saturating_sub(before);
    table.row("memory of an idle server (PSS, children too)", megabytes(served), "MB", Some(30.0));
    table.row("processor of an idle server, 10 s", millis(spent), "ms", None);
}

#[expect(clippy::cast_precision_loss, reason = "a figure of a table, with one digit")]
fn megabytes(served: &Served) -> f64 {
    process::tree_memory(&[served.child.id()]) as f64 / 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The smallest time that `percent` of all do not pass, in milliseconds; 0 of none.
fn percentile(took: &mut [Duration], percent: usize) -> f64 {
    took.sort_unstable();
    let place = (took.len() * percent).div_ceil(100).saturating_sub(1);
    took.get(place).map_or(0.0, |time| millis(*time))
}
