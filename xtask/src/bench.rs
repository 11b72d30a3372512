//! `cargo xtask bench`: our release binary against its budgets, and against other agents where a
//! person has installed them.
//!
//! All are driven by the same played model, over loopback, in one go: figures of different
//! machines or minutes cannot be compared, ratios of one run can.

mod dialect;
mod load;
mod measure;
mod process;
mod report;
mod script;
mod server;
mod subject;

use std::path::PathBuf;

use anyhow::{Context, bail};

use self::measure::Bench;
use self::report::{Conditions, Measured};
use self::subject::Subject;
use crate::cargo;
use crate::outcome::{Chore, Verdict};

/// What `bench` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Where other agents are installed, by `npm install --prefix DIR …` and a venv in DIR/venv.
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Single runs of each, beside one that warms it up.
    #[arg(long, default_value_t = 5, value_name = "N")]
    runs: usize,
    /// Model calls in a run.
    #[arg(long, default_value_t = 20, value_name = "N")]
    calls: usize,
    /// Runs at once.
    #[arg(long, default_value_t = 16, value_name = "N")]
    jobs: usize,
    /// Measure this binary of ours instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Instead: sandboxes and the way out, by their own benches, beside copies, bwrap and runtimes
    /// of containers where they are installed. Takes minutes, and 5 GB of the temporary directory.
    #[arg(long)]
    sandboxes: bool,
    /// Instead: a server under so many tasks at once, 1,000 if no number is given.
    #[arg(long, num_args = 0..=1, default_missing_value = "1000", value_name = "TASKS")]
    load: Option<usize>,
    /// Fail where a budget is missed.
    #[arg(long)]
    strict: bool,
}

/// Builds, measures, prints the table.
pub fn run(args: &Args) -> Chore {
    if args.sandboxes {
        return sandboxes();
    }
    if args.calls < 3 || args.runs == 0 || args.jobs == 0 {
        bail!("at least 3 calls, 1 run and 1 job are needed");
    }
    let binary = match &args.binary {
        Some(binary) => {
            binary.canonicalize().with_context(|| format!("no {}", binary.display()))?
        }
        None => cargo::build_quire(cargo::Profile::Release)?,
    };
    let mut subjects = vec![subject::quire(binary.clone())];
    if let Some(dir) = &args.peers {
        let dir = dir.canonicalize().with_context(|| format!("no {}", dir.display()))?;
        let peers = subject::peers(&dir);
        if peers.is_empty() {
            bail!("nothing is installed in {}; install with\n{}", dir.display(), subject::INSTALL);
        }
        subjects.extend(peers);
    }
    let work = cargo::target_dir().join("bench");
    if work.exists() {
        std::fs::remove_dir_all(&work).context("cannot empty the bench's directory")?;
    }
    std::fs::create_dir_all(&work)?;
    process::adopt_orphans();
    let bench = Bench { server: server::Server::start()?, work, calls: args.calls };
    if let Some(tasks) = args.load {
        let kept = load::run(&binary, &bench, tasks)?;
        return Ok(if args.strict && !kept { Verdict::Bad } else { Verdict::Good });
    }
    let commands = bench.commands_alone()?;
    let measured = all(&bench, &subjects, args);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let conditions = Conditions { jobs: args.jobs, calls: args.calls, commands, cores };
    let missed = report::print(&measured, &conditions);
    if args.peers.is_none() {
        println!(
            "\nOther agents beside ours: install them and add --peers DIR\n{}",
            subject::INSTALL
        );
    }
    if missed.is_empty() {
        return Ok(Verdict::Good);
    }
    println!("\nmissed: {}", missed.join("; "));
    Ok(if args.strict { Verdict::Bad } else { Verdict::Good })
}

/// The benches of the two crates, one after the other.
fn sandboxes() -> Chore {
    let mut verdict = Verdict::Good;
    for (package, example) in [("quire-sandbox", "bench"), ("quire-egress", "egress_bench")] {
        let arguments = ["run", "--release", "--package", package, "--example", example];
        verdict = verdict.and(cargo::step(example, &mut cargo::command(&arguments))?);
    }
    Ok(verdict)
}

/// Single runs of all, taking turns so that a busy minute meets everyone; then the crowds.
fn all(bench: &Bench, subjects: &[Subject], args: &Args) -> Vec<Measured> {
    let mut runs: Vec<Result<Vec<_>, String>> = subjects.iter().map(|_| Ok(Vec::new())).collect();
    for number in 0..=args.runs {
        for (index, subject) in subjects.iter().enumerate() {
            let Ok(done) = &mut runs[index] else { continue };
            let calls = if number == 0 { 3 } else { args.calls };
            match bench.one(subject, &format!("s{index}-{number}"), calls) {
                Ok(_) if number == 0 => {}
                Ok(run) => done.push(run),
                Err(error) => runs[index] = Err(format!("{error:#}")),
            }
        }
    }
    let measured = subjects.iter().zip(runs).enumerate().map(|(index, (subject, runs))| {
        let crowd = if runs.is_ok() {
            crowds(bench, subject, index, args.jobs).map_err(|error| format!("{error:#}"))
        } else {
            Err("its single runs failed".to_owned())
        };
        let file = (index == 0 && runs.is_ok())
            .then(|| files(bench, subject, args.jobs).map_err(|error| format!("{error:#}")));
        let memory = (index == 0 && runs.is_ok()).then(|| {
            let quiet = bench.memory(subject, "quiet-1");
            let both = quiet.and_then(|quiet| {
                Ok((quiet, bench.memory(subject, &format!("{}1", script::LOUD))?))
            });
            both.map_err(|error| format!("{error:#}"))
        });
        Measured { name: subject.name, runs, crowd, file, memory }
    });
    measured.collect()
}

fn crowds(
    bench: &Bench,
    subject: &Subject,
    index: usize,
    jobs: usize,
) -> anyhow::Result<(measure::Crowd, measure::Crowd)> {
    // The first warms up homes and caches.
    bench.crowd(subject, &format!("w{index}"), jobs, false)?;
    let timed = bench.crowd(subject, &format!("t{index}"), jobs, false)?;
    let watched = bench.crowd(subject, &format!("m{index}"), jobs, true)?;
    Ok((timed, watched))
}

/// Many in one process: warmed up, timed, watched.
fn files(
    bench: &Bench,
    subject: &Subject,
    jobs: usize,
) -> anyhow::Result<(measure::Crowd, measure::Crowd)> {
    bench.file(subject, "fw", jobs, false)?;
    Ok((bench.file(subject, "ft", jobs, false)?, bench.file(subject, "fm", jobs, true)?))
}
