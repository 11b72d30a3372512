//! What a sandbox does at its limits, and with what was left at them.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod stage;

use std::time::Duration;

use quire_domain::sandbox::{
    ExitStatus, LimitMet, Sandbox, SandboxBackend as _, SandboxError, Upper,
};
use stage::{Stage, bash, create, run, sh};

/// Whether a control group limits `what` here.
async fn grouped(stage: &Stage, what: &str) -> bool {
    let report = stage.backend.report().await;
    assert!(report.usable, "{report:?}");
    report.findings.iter().any(|one| one.name == what && one.detail.starts_with("cgroup"))
}

#[tokio::test]
async fn processes_that_were_left_behind_do_not_keep_the_next_command_out() {
    let stage = Stage::new().await;
    let mut spec = stage.spec("strays", vec![]);
    spec.limits.processes = 60;
    let sandbox = create(&stage, spec).await;
    // A shell that gives up at once where it cannot fork, as bash does not.
    let fill = "sh -c 'for i in $(seq 200); do sleep 1000 & done' 2>/dev/null";
    let script = &format!("echo kept > kept; {fill}; exit 0");
    run(&sandbox, bash(script)).await;
    let refused = sandbox.start(bash("true")).await.err();
    let Some(SandboxError::LimitExceeded { what }) = refused else { panic!("{refused:?}") };
    assert_eq!(what, "processes (60)");
    let said = sh(&sandbox, "cat kept; ls /proc | grep -c '^[0-9]'").await;
    let count: usize = said.trim().trim_start_matches("kept").trim().parse().unwrap();
    assert!(said.starts_with("kept\n") && count < 8, "{said}");
    // What would begin beside a command that runs ends neither it nor what it started.
    let script = &format!("{fill}; sleep 1000 & echo full; exec sleep 1000");
    let mut busy = sandbox.start(bash(script)).await.unwrap();
    let quire_domain::sandbox::CommandEvent::Output(said) = busy.output.next().await.unwrap()
    else {
        panic!("it says when all are there");
    };
    assert_eq!(&said[..], b"full\n");
    let refused = sandbox.start(bash("true")).await.err();
    assert!(matches!(refused, Some(SandboxError::Spawn { .. })), "{refused:?}");
    let kill = quire_domain::sandbox::CommandSignal::Kill;
    busy.control.signal(kill).await.unwrap();
    while !matches!(
        busy.output.next().await,
        Ok(quire_domain::sandbox::CommandEvent::Exited(_)) | Err(_)
    ) {}
    let again = sandbox.start(bash("true")).await;
    assert!(!matches!(again, Err(SandboxError::Spawn { .. })));
    // A few that are left on purpose stay.
    run(&sandbox, bash("for i in $(seq 20); do sleep 1000 & done; exit 0")).await;
    assert_eq!(sh(&sandbox, "pgrep -c sleep || ps ax | grep -c '[s]leep'").await, "20\n");
}

#[tokio::test]
async fn memory_beyond_the_limit_is_not_had() {
    let stage = Stage::new().await;
    let grouped = grouped(&stage, "memory limit").await;
    let mut spec = stage.spec("memory", vec![]);
    spec.limits.memory_bytes = 128 << 20;
    let sandbox = create(&stage, spec).await;
    // One process that holds ever more.
    let mut output = sandbox
        .start(bash("x=$(head -c 900M /dev/zero | tr '\\0' x); sleep 2; echo had ${#x}"))
        .await
        .unwrap()
        .output;
    let mut said = String::new();
    let end = loop {
        match tokio::time::timeout(Duration::from_secs(50), output.next()).await.unwrap() {
            Ok(quire_domain::sandbox::CommandEvent::Exited(status)) => break Ok(status),
            Ok(quire_domain::sandbox::CommandEvent::Output(bytes)) => {
                said.push_str(&String::from_utf8_lossy(&bytes));
            }
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    assert!(!said.contains("had"), "{said}");
    if grouped {
        // The kernel ends the command, never the supervisor.
        assert_eq!(sh(&sandbox, "echo alive").await, "alive\n");
    } else {
        assert!(matches!(end, Err(SandboxError::LimitExceeded { .. })), "{end:?}");
        assert_eq!(sh(&sandbox, "echo alive").await, "alive\n");
    }
}

#[tokio::test]
async fn inodes_of_memory_file_systems_are_limited() {
    let stage = Stage::new().await;
    let mut spec = stage.spec("inodes", vec![]);
    spec.limits.inodes = 300;
    spec.upper = Upper::Memory;
    let sandbox = create(&stage, spec).await;
    for place in ["/tmp", "/dev/shm", "/var/tmp", "."] {
        let said = sh(&sandbox, &format!("cd {place}; for i in $(seq 500); do echo > x$i || break; done 2>/dev/null; ls | wc -l; rm -f x*")).await;
        assert!(said.trim().parse::<u32>().unwrap() <= 300, "{place}: {said}");
    }
}

#[tokio::test]
async fn a_disk_upper_beyond_its_limit_ends_the_sandbox_with_the_reason() {
    let stage = Stage::new().await;
    let mut spec = stage.spec("disk", vec![]);
    spec.limits.disk_bytes = 64 << 20;
    let sandbox = create(&stage, spec).await;
    let started = sandbox.start(bash(
        "for i in $(seq 100); do head -c 10M /dev/zero > f$i; sleep 0.05; done; echo done",
    ));
    let mut output = started.await.unwrap().output;
    let end = loop {
        match tokio::time::timeout(Duration::from_secs(30), output.next()).await.unwrap() {
            Ok(quire_domain::sandbox::CommandEvent::Exited(status)) => break Ok(status),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    assert!(matches!(end, Err(SandboxError::DiskFull)), "{end:?}");
    // One file is refused at once.
    let mut spec = stage.spec("file", vec![]);
    spec.limits.disk_bytes = 16 << 20;
    let sandbox = create(&stage, spec).await;
    let said = sh(&sandbox, "exec 2>/dev/null; head -c 17M /dev/zero > f; stat -c %s f").await;
    assert_eq!(said, format!("{}\n", 16 << 20));
}

/// Runs a script to its end; how it ended and which limits it met.
async fn met(sandbox: &std::sync::Arc<dyn Sandbox>, script: &str) -> (ExitStatus, Vec<LimitMet>) {
    let mut output = sandbox.start(bash(script)).await.unwrap().output;
    assert_eq!(output.limits_met(), []);
    let (_, status) = stage::rest(&mut output).await;
    (status, output.limits_met())
}

#[tokio::test]
async fn a_command_is_told_which_limits_it_met_and_the_next_is_not() {
    let stage = Stage::new().await;
    let (memory, processes) =
        (grouped(&stage, "memory limit").await, grouped(&stage, "process limit").await);
    let mut spec = stage.spec("met", vec![]);
    spec.limits.memory_bytes = 96 << 20;
    spec.limits.processes = 40;
    spec.limits.tmp_bytes = 8 << 20;
    spec.limits.disk_bytes = 32 << 20;
    let sandbox = create(&stage, spec).await;
    assert_eq!(met(&sandbox, "exit 3").await, (ExitStatus::Code(3), vec![]));
    if memory {
        // Not the command itself: something that it ran.
        let script = "head -c 900M /dev/zero | tail -c 800M | wc -c; exit ${PIPESTATUS[1]}";
        let (status, limits) = met(&sandbox, script).await;
        assert_eq!(limits, [LimitMet::Memory(96 << 20)]);
        assert_eq!(status.code(), 137);
    }
    if processes {
        let script = "sh -c 'for i in $(seq 99); do sleep 9 & done'; pkill sleep; exit 1";
        let (_, limits) = met(&sandbox, script).await;
        assert_eq!(limits, [LimitMet::Processes(40)]);
    }
    let (_, limits) = met(&sandbox, "head -c 9M /dev/zero > /tmp/full").await;
    assert_eq!(limits, [LimitMet::Tmp(8 << 20)]);
    let (status, _) = met(&sandbox, "rm /tmp/full; head -c 3M /dev/zero > /dev/shm/full").await;
    assert!(!status.success());
    let (_, limits) = met(&sandbox, "! rm /dev/shm/full").await;
    assert_eq!(limits, []);
    let (status, limits) = met(&sandbox, "exec head -c 33M /dev/zero > big").await;
    assert_eq!((status.code(), limits), (153, vec![LimitMet::FileSize(32 << 20)]));
    assert_eq!(met(&sandbox, "exit 1").await.1, []);
    let said = LimitMet::Memory(96 << 20).to_string();
    assert!(said.contains("limit of memory (96 MiB)"), "{said}");
}

#[tokio::test]
async fn more_files_than_an_upper_may_have_end_the_sandbox_with_that_as_the_reason() {
    let stage = Stage::new().await;
    let mut spec = stage.spec("files", vec![]);
    spec.limits.inodes = 2_000;
    let sandbox = create(&stage, spec).await;
    let mut output = sandbox
        .start(bash("for i in $(seq 4000); do echo > f$i; done; sleep 60"))
        .await
        .unwrap()
        .output;
    let end = loop {
        match tokio::time::timeout(Duration::from_secs(40), output.next()).await.unwrap() {
            Ok(quire_domain::sandbox::CommandEvent::Exited(status)) => break Ok(status),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    let Err(SandboxError::LimitExceeded { what }) = end else { panic!("{end:?}") };
    assert_eq!(what, "files on disk (2000)");
}

#[tokio::test]
async fn what_runs_while_nothing_happens_is_ended_as_that_and_the_next_command_works() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("idle", vec![])).await;
    assert_eq!(sandbox.processor_time().await, None, "nothing runs");
    assert!(!sandbox.end_idle(3).await.unwrap());

    let busy = "echo kept > kept; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
    let script = format!("{busy}; setsid sleep 1000 & {busy}; echo done; exec sleep 1000");
    let mut waits = sandbox.start(bash(&script)).await.unwrap();
    assert!(waits.output.next().await.is_ok());
    let used = sandbox.processor_time().await.unwrap();
    assert!(used > Duration::from_millis(10) && used < Duration::from_mins(1), "{used:?}");
    assert!(sandbox.end_idle(3).await.unwrap());
    let ended = waits.output.next().await;
    assert!(matches!(ended, Err(SandboxError::Idle { minutes: 3 })), "{ended:?}");
    assert_eq!(sandbox.processor_time().await, None);
    assert_eq!(sh(&sandbox, "cat kept; ps ax | grep -c '[s]leep'").await, "kept\n0\n");
    sandbox.end().await.unwrap();
}
