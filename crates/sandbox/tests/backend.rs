//! What a backend says of its host, and what it takes away after its sandboxes.

#![allow(clippy::print_stdout, reason = "the findings are said")]
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod stage;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quire_domain::sandbox::SandboxBackend as _;
use stage::{Stage, create, sh};

/// Names of control groups below any controller that start so.
fn groups(prefix: &str) -> Vec<String> {
    fn below(directory: &Path, prefix: &str, depth: usize, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < 8 {
                if name.starts_with(prefix) {
                    found.push(entry.path().display().to_string());
                }
                below(&entry.path(), prefix, depth + 1, found);
            }
        }
    }
    let mut found = Vec::new();
    below(Path::new("/sys/fs/cgroup"), prefix, 0, &mut found);
    found
}

fn processes(pattern: &str) -> usize {
    let listed = Command::new("pgrep").args(["-fc", pattern]).output().unwrap();
    String::from_utf8(listed.stdout).unwrap().trim().parse().unwrap_or(0)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_sandbox_takes_its_groups_and_processes_along() {
    let stage = Stage::new().await;
    let own = format!("quire-{}-", std::process::id());
    let sandbox = create(&stage, stage.spec("tidy", vec![])).await;
    sh(
        &sandbox,
        "(setsid sleep 65432 >/dev/null 2>&1 &) ; (setsid nohup sleep 65432 >/dev/null 2>&1 &)",
    )
    .await;
    until("they do not start", || processes("^sleep 65432") >= 2);
    drop(sandbox);
    until("processes are left", || processes("^sleep 65432") == 0);
    drop(stage);
    // Other tests of this process have groups of their own; none has processes for long.
    until("groups with nobody in them are left", || {
        groups(&own).iter().filter(|group| group.contains("tidy")).count() == 0
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_names_what_was_tried() {
    let stage = Stage::new().await;
    let report = stage.backend.report().await;
    assert!(report.usable, "{report:#?}");
    let names: Vec<_> = report.findings.iter().map(|one| one.name.as_str()).collect();
    for name in [
        "user namespaces",
        "sandbox",
        "user ids",
        "layers",
        "Landlock",
        "memory limit",
        "process limit",
        "CPU limit",
        "disk limit",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    for one in &report.findings {
        println!("{:?} {}: {}", one.level, one.name, one.detail);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trash_is_taken_out() {
    let stage = Stage::new().await;
    let spec = stage.spec("waste", vec![stage.layer("l", &[("x", "")])]);
    let sandbox = create(&stage, spec).await;
    sh(&sandbox, "mkdir -p a/b; touch a/b/c; chmod 000 a/b; chmod 500 a").await;
    sandbox.end().await.unwrap();
    stage.backend.discard(&stage.path("upper-waste")).await.unwrap();
    assert!(!stage.path("upper-waste").exists());
    let trash = stage.path("sandboxes/trash");
    until("the trash is not empty", || std::fs::read_dir(&trash).unwrap().next().is_none());
    std::fs::create_dir_all(trash.join("left/over")).unwrap();
    stage.backend.sweep().await.unwrap();
    assert!(!trash.join("left").exists());
}
