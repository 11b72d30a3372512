//! What the host is left with when everything ends, also when it ends badly.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use quire_domain::sandbox::SandboxBackend as _;

use super::stage::{Stage, create, sh};

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

/// Not a test: the process that the next one kills. It makes sandboxes and waits.
#[tokio::test]
#[ignore = "run by the next test, in a process of its own"]
async fn victim() {
    let stage = Stage::new().await;
    let mut sandboxes = Vec::new();
    for number in 0..12 {
        let sandbox = create(&stage, stage.spec(&format!("v{number}"), vec![])).await;
        let script = format!("setsid nohup sleep 54321.{} >/dev/null 2>&1 &", std::process::id());
        sh(&sandbox, &script).await;
        sandboxes.push(sandbox);
    }
    println!("ready {}", stage.dir.path().display());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_process_that_is_killed_leaves_nothing_that_a_sweep_does_not_take() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "host::victim", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready ") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0, "it ended");
    }
    let place = line.split_once("ready ").unwrap().1.trim().to_owned();
    // Others may run this test at the same time.
    let sleeps = format!("^sleep 54321.{}", child.id());
    until("they do not start", || processes(&sleeps) == 12);
    let prefix = format!("quire-{}-", child.id());
    let begun = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    until("processes are left", || processes(&sleeps) == 0);
    assert!(begun.elapsed() < Duration::from_secs(2));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&place), "{mounts}");
    let left = groups(&prefix);
    let stage = Stage::new().await;
    stage.backend.sweep().await.unwrap();
    println!("{} groups were left", left.len());
    until("groups are left", || {
        let _ = &left;
        groups(&prefix).is_empty()
    });
    std::fs::remove_dir_all(place).unwrap();
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
