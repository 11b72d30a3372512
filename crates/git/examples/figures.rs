//! Prints what the steps of a start cost: `cargo run --release -p quire-git --example figures`.
//! With a number, the large repository has so many files (50,000 if absent); with a directory
//! after it, everything is made there and stays.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people at a terminal")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quire_git::{AttemptGit, Git, GitConfig, LayerTimes, PersonSettings};

fn main() {
    let files = std::env::args().nth(1).map_or(50_000, |n| n.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let dir = std::env::args().nth(2).map_or(temporary.path().to_owned(), Into::into);
    runtime.block_on(measure(files, &dir));
}

async fn measure(files: usize, dir: &Path) {
    let git = Git::new(GitConfig {
        git: "git".into(),
        data_dir: dir.join("data"),
        path_env: std::env::var_os("PATH").unwrap(),
        person: PersonSettings::default(),
    })
    .unwrap();
    for (name, count) in [("small", 100), ("large", files)] {
        let repo = dir.join(name);
        make(&repo, count);
        println!("{name}: {count} files");
        starts(&git, &repo, &dir.join("attempt")).await;
    }
}

async fn starts(git: &Git, repo: &Path, attempt: &Path) {
    let checkout = git.inspect(repo).await.unwrap();
    let start = Instant::now();
    let mirror = git.mirror_checkout(&checkout).await.unwrap();
    row("mirror, first", &mut [start.elapsed()]);
    let start = Instant::now();
    let layer =
        git.checkout_layer(&(&mirror).into(), &checkout.head, LayerTimes::Commit).await.unwrap();
    row("layer, cold", &mut [start.elapsed()]);
    drop(layer);

    let mut steps: [Vec<Duration>; 6] = Default::default();
    for round in 0..30 {
        let start = Instant::now();
        let checkout = git.inspect(repo).await.unwrap();
        steps[0].push(start.elapsed());
        let start = Instant::now();
        let mirror = git.mirror_checkout(&checkout).await.unwrap();
        steps[1].push(start.elapsed());
        let start = Instant::now();
        let captured = git.capture(&checkout, &mirror).await.unwrap();
        let repository = captured.repository(&mirror);
        steps[2].push(start.elapsed());
        let start = Instant::now();
        git.checkout_layer(&repository, &captured.base, LayerTimes::Commit).await.unwrap();
        steps[3].push(start.elapsed());
        let start = Instant::now();
        let times = captured.source_times().await.unwrap();
        let layer =
            git.checkout_layer(&repository, &captured.base, LayerTimes::Checkout(&times)).await;
        if round > 0 {
            steps[4].push(start.elapsed());
        } else {
            row("layer with the checkout's times, first", &mut [start.elapsed()]);
        }
        layer.unwrap();
        let start = Instant::now();
        let said = AttemptGit {
            base: &captured.base,
            branch: Some("trunk"),
            hooks_from: Some(&checkout),
            author: ("A", "a@example.org"),
        };
        git.attempt_git_dir(&attempt.join(round.to_string()), &repository, &said).await.unwrap();
        steps[5].push(start.elapsed());
    }
    let names = [
        "inspect",
        "mirror, nothing new",
        "capture, clean",
        "layer, hit",
        "layer with the checkout's times, hit",
        "attempt's git directory",
    ];
    for (name, mut times) in names.into_iter().zip(steps) {
        row(name, &mut times);
    }

    let mut dirty = Vec::new();
    for round in 0..10 {
        std::fs::write(repo.join("d0/f0"), format!("dirty {round}\n")).unwrap();
        let checkout = git.inspect(repo).await.unwrap();
        let start = Instant::now();
        git.capture(&checkout, &mirror).await.unwrap();
        dirty.push(start.elapsed());
    }
    row("capture, one file dirty", &mut dirty);
    let checkout = git.inspect(repo).await.unwrap();
    let captured = git.capture(&checkout, &mirror).await.unwrap();
    let repository = captured.repository(&mirror);
    let start = Instant::now();
    git.checkout_layer(&repository, &captured.base, LayerTimes::Commit).await.unwrap();
    row("layer, near (one file)", &mut [start.elapsed()]);
}

fn row(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 10].as_secs_f64() * 1e3;
    println!("  {name:<40} p50 {:>9.2} ms   p90 {:>9.2} ms", at(5), at(9));
}

fn make(repo: &Path, count: usize) {
    for number in 0..count {
        let dir = repo.join(format!("d{}", number / 100));
        if number % 100 == 0 {
            std::fs::create_dir_all(&dir).unwrap();
        }
        let text = format!("file {number}\n").repeat(40 + number % 300);
        std::fs::write(dir.join(format!("f{number}")), text).unwrap();
    }
    for args in [
        &["init", "-q"][..],
        &["config", "gc.auto", "0"],
        &["config", "maintenance.auto", "false"],
        &["add", "-A"],
        &["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-m", "first"],
        &["gc", "-q"],
        &["status"],
    ] {
        let status = Command::new("git")
            .args(args)
            .current_dir(repo)
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }
}
