//! Runs a subject against the played model and takes the figures of each run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::process::{self, Ended};
use super::script;
use super::server::{Seen, Server};
use super::subject::{Place, Subject};

/// No run of twenty cheap calls may take longer.
const LIMIT: Duration = Duration::from_mins(3);

/// Where runs happen and by whom they are answered.
pub struct Bench {
    /// The played model.
    pub server: Server,
    /// A directory of our own, emptied at the start.
    pub work: PathBuf,
    /// Model calls in a run.
    pub calls: usize,
}

/// The figures of one run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Start of the process to the arrival of its first request.
    pub start: Duration,
    /// End of a reply to the arrival of the next request, for each turn.
    pub turns: Vec<Duration>,
    /// CPU time of the whole tree.
    pub cpu: Duration,
    /// Bytes of instructions and tools in the first request.
    pub fixed_bytes: usize,
    /// Bytes of the first request.
    pub first_bytes: usize,
    /// Of the bytes of all requests but the last: how many the next one begins with.
    pub prefix_share: f64,
}

/// The figures of many at once.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Start of the first to the end of the last.
    pub wall: Duration,
    /// CPU time of the played model meanwhile.
    pub server_cpu: Duration,
    /// CPU time of the trees that were measured, their commands included.
    pub cpu: Duration,
    /// Most memory at any look.
    pub memory: u64,
}

impl Bench {
    /// A small repository at `name`, committed.
    pub fn repository(&self, name: &str) -> anyhow::Result<PathBuf> {
        let repo = self.work.join(name);
        fs::create_dir_all(repo.join("src"))?;
        fs::write(repo.join("README.md"), "# bench\n\nA small repository.\n")?;
        for number in 0..20 {
            let text = format!("def f{number}(x):\n    return x + {number}\n");
            fs::write(repo.join(format!("src/m{number}.py")), text)?;
        }
        git(&repo, &["init", "-q", "-b", "main"])?;
        git(&repo, &["add", "-A"])?;
        git(&repo, &["commit", "-q", "-m", "A small repository"])?;
        Ok(repo)
    }

    fn home(&self, subject: &Subject, number: usize) -> anyhow::Result<PathBuf> {
        let home =
            self.work.join(format!("home-{}-{number}", subject.name.replace([' ', ','], "")));
        fs::create_dir_all(&home)?;
        for dir in subject.home_dirs() {
            fs::create_dir_all(home.join(dir))?;
        }
        Ok(home)
    }

    /// One run, alone on the machine. `calls` model calls are made.
    pub fn one(&self, subject: &Subject, run: &str, calls: usize) -> anyhow::Result<Run> {
        let repo = self.work.join(format!("repo-{}", subject.name.replace([' ', ','], "")));
        if !repo.exists() {
            self.repository(&repo.file_name().unwrap_or_default().to_string_lossy())?;
        }
        let place =
            Place { base: self.server.base(run, calls), repo, home: self.home(subject, 0)? };
        let (begun, child) = start(subject, &place)?;
        let ended = process::wait(child, LIMIT).with_context(|| said(&place))?;
        let cpu = ended.cpu + process::reap_orphans();
        expect_good(&place, &ended)?;
        let seen = self.server.seen(run);
        ensure!(
            seen.len() >= calls,
            "{}: {} of {calls} model calls were made; {}",
            subject.name,
            seen.len(),
            said(&place)
        );
        if !subject.leaves_checkout_alone {
            let first = git(&place.repo, &["rev-list", "--max-parents=0", "HEAD"])?;
            git(&place.repo, &["reset", "-q", "--hard", first.trim()])?;
            git(&place.repo, &["clean", "-fdq"])?;
        }
        Ok(figures(begun, &seen, cpu))
    }

    /// `jobs` runs at once, each in a process of its own. `watch`: memory is looked at, which
    /// costs time, so time and memory come from different crowds.
    pub fn crowd(
        &self,
        subject: &Subject,
        tag: &str,
        jobs: usize,
        watch: bool,
    ) -> anyhow::Result<Crowd> {
        let mut places = Vec::new();
        for job in 0..jobs {
            let own = if subject.leaves_checkout_alone { 0 } else { job + 1 };
            let name = format!("crowd-{}-{own}-{tag}", subject.name.replace([' ', ','], ""));
            let repo = self.work.join(&name);
            if !repo.exists() {
                self.repository(&name)?;
            }
            let base = self.server.base(&format!("{tag}-{job}"), self.calls);
            places.push(Place { base, repo, home: self.home(subject, own)? });
        }
        let begin = || places.iter().map(|place| Ok(start(subject, place)?.1)).collect();
        let (ends, crowd) = together(begin, watch)?;
        for (job, (place, ended)) in places.iter().zip(ends).enumerate() {
            expect_good(place, &ended?)?;
            let made = self.server.seen(&format!("{tag}-{job}")).len();
            ensure!(made >= self.calls, "{}: job {job} made {made} model calls", subject.name);
        }
        Ok(crowd)
    }

    /// `jobs` runs at once in one process, as [`Bench::crowd`]; only of one that can do that.
    pub fn file(
        &self,
        subject: &Subject,
        tag: &str,
        jobs: usize,
        watch: bool,
    ) -> anyhow::Result<Crowd> {
        let repo = self.repository(&format!("file-{tag}"))?;
        let base = self.server.base(tag, self.calls);
        let place = Place { base, repo, home: self.home(subject, 0)? };
        let tasks = place.home.join(format!("tasks-{tag}.jsonl"));
        fs::write(&tasks, Subject::tasks(jobs))?;
        let begin = || {
            let command = subject.command_of_file(&place, &tasks, jobs);
            Ok(vec![spawn(subject, &place, command)?])
        };
        let (ends, crowd) = together(begin, watch)?;
        for ended in ends {
            expect_good(&place, &ended?)?;
        }
        let (made, due) = (self.server.seen(tag).len(), jobs * self.calls);
        ensure!(made >= due, "{}: {made} of {due} model calls were made", subject.name);
        Ok(crowd)
    }

    /// The most memory that a run has at any look, in bytes.
    pub fn memory(&self, subject: &Subject, run: &str) -> anyhow::Result<u64> {
        const CALLS: usize = 3;
        let name = format!("memory-{run}");
        let repo = self.repository(&name)?;
        let base = self.server.base(run, CALLS);
        let place = Place { base, repo, home: self.home(subject, 0)? };
        let child = start(subject, &place)?.1;
        let roots = [child.id()];
        let done = AtomicBool::new(false);
        let (ended, memory) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| process::peak_memory(&roots, &done));
            let ended = process::wait(child, LIMIT);
            done.store(true, Ordering::Relaxed);
            (ended, watcher.join().unwrap_or(0))
        });
        process::reap_orphans();
        expect_good(&place, &ended?)?;
        Ok(memory)
    }

    /// CPU time of the commands themselves, started without any agent.
    pub fn commands_alone(&self) -> anyhow::Result<Duration> {
        let repo = self.repository("commands-alone")?;
        let mut sum = Duration::ZERO;
        for command in script::commands(self.calls) {
            let mut bash = Command::new("bash");
            bash.args(["-c", &command]).current_dir(&repo).stdin(Stdio::null());
            sum += process::wait(bash.spawn().context("cannot start bash")?, LIMIT)?.cpu;
        }
        Ok(sum)
    }
}

/// Starts processes and waits for all; `watch` looks at their memory.
fn together(
    begin: impl FnOnce() -> anyhow::Result<Vec<std::process::Child>>,
    watch: bool,
) -> anyhow::Result<(Vec<anyhow::Result<Ended>>, Crowd)> {
    let server_before = process::own_cpu();
    let begun = Instant::now();
    let children = begin()?;
    let roots: Vec<u32> = children.iter().map(std::process::Child::id).collect();
    let done = AtomicBool::new(!watch);
    let (ends, memory, wall, server_cpu) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| process::peak_memory(&roots, &done));
        let ends: Vec<_> = children.into_iter().map(|child| process::wait(child, LIMIT)).collect();
        let wall = begun.elapsed();
        let server_cpu = process::own_cpu().saturating_sub(server_before);
        done.store(true, Ordering::Relaxed);
        (ends, watcher.join().unwrap_or(0), wall, server_cpu)
    });
    let waited = ends.iter().flatten().map(|ended| ended.cpu).sum::<Duration>();
    let cpu = waited + process::reap_orphans();
    Ok((ends, Crowd { wall, server_cpu, cpu, memory }))
}

fn expect_good(place: &Place, ended: &Ended) -> anyhow::Result<()> {
    ensure!(ended.status.success(), "ended with {}; {}", ended.status, said(place));
    Ok(())
}

/// The last lines that a run printed.
fn said(place: &Place) -> String {
    let text = fs::read_to_string(output(place)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    format!("it said:\n{}", lines[lines.len().saturating_sub(12)..].join("\n"))
}

fn output(place: &Place) -> PathBuf {
    let base = place.base.rsplit("/r/").next().unwrap_or_default().replace('/', "-");
    place.home.join(format!("output-{base}.txt"))
}

fn start(subject: &Subject, place: &Place) -> anyhow::Result<(Instant, std::process::Child)> {
    let command = subject.command(place);
    let begun = Instant::now();
    Ok((begun, spawn(subject, place, command)?))
}

fn spawn(
    subject: &Subject,
    place: &Place,
    mut command: Command,
) -> anyhow::Result<std::process::Child> {
    let output = fs::File::create(output(place))?;
    command.stdout(output.try_clone()?).stderr(output);
    command.spawn().with_context(|| format!("cannot start {}", subject.name))
}

fn figures(begun: Instant, seen: &[Seen], cpu: Duration) -> Run {
    let turns = seen
        .windows(2)
        .map(|pair| pair[1].arrived.saturating_duration_since(pair[0].answered))
        .collect();
    let shared = seen.iter().filter_map(|request| request.shared);
    let (kept, had) = shared.fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    #[expect(clippy::cast_precision_loss, reason = "a share for people, from a few megabytes")]
    let prefix_share = if had == 0 { 0.0 } else { kept as f64 / had as f64 };
    Run {
        start: seen[0].arrived.saturating_duration_since(begun),
        turns,
        cpu,
        fixed_bytes: seen[0].fixed_bytes,
        first_bytes: seen[0].bytes,
        prefix_share,
    }
}

fn git(repo: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(["-c", "user.name=bench", "-c", "user.email=bench@example.org"])
        .args(args)
        .current_dir(repo)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .context("cannot start git")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
