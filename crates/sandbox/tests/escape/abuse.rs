//! Abuse of what is allowed: processes, memory, disk, output; and its neighbours.

use std::time::{Duration, Instant};

use quire_domain::sandbox::{CommandIo, ExitStatus, SandboxBackend as _, SandboxError, Upper};

use super::stage::{Stage, bash, create, rest, run, sh};

/// Whether a control group limits `what` here.
async fn grouped(stage: &Stage, what: &str) -> bool {
    let report = stage.backend.report().await;
    assert!(report.usable, "{report:?}");
    report.findings.iter().any(|one| one.name == what && one.detail.starts_with("cgroup"))
}

#[tokio::test]
async fn a_fork_bomb_stays_below_its_limit_and_the_next_sandbox_is_not_slowed() {
    let stage = Stage::new().await;
    let mut spec = stage.spec("bomb", vec![]);
    spec.limits.processes = 100;
    spec.limits.cpu_millis = 500;
    let bomb = create(&stage, spec).await;
    let other = create(&stage, stage.spec("beside", vec![])).await;
    let median = async || {
        let mut times = Vec::new();
        for _ in 0..15 {
            let begun = Instant::now();
            assert_eq!(run(&other, bash("true")).await.1, ExitStatus::Code(0));
            times.push(begun.elapsed());
        }
        times.sort();
        times[7]
    };
    let idle = median().await;
    let _bomb = bomb.start(bash("f() { f | f & }; f; f; f; sleep 100")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let busy = median().await;
    // A loose bound: this machine may be busy with other tests.
    assert!(busy < idle * 10 + Duration::from_millis(50), "{idle:?} became {busy:?}");
    let begun = Instant::now();
    bomb.end().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn the_number_of_processes_is_limited() {
    let stage = Stage::new().await;
    let mut spec = stage.spec("processes", vec![]);
    spec.limits.processes = 60;
    let sandbox = create(&stage, spec).await;
    let script = "for i in $(seq 200); do sleep 20 & done 2>/dev/null; jobs -p | wc -l";
    let (said, _) = run(&sandbox, bash(script)).await;
    let started: usize = said.trim().parse().unwrap_or(0);
    assert!(started < 60, "{said}");
}

#[tokio::test]
async fn processes_that_were_left_behind_do_not_keep_the_next_command_out() {
    let stage = Stage::new().await;
    let mut spec = stage.spec("strays", vec![]);
    spec.limits.processes = 60;
    let sandbox = create(&stage, spec).await;
    let script = "echo kept > kept; for i in $(seq 200); do sleep 1000 & done 2>/dev/null; exit 0";
    run(&sandbox, bash(script)).await;
    let refused = sandbox.start(bash("true")).await.err();
    let Some(SandboxError::LimitExceeded { what }) = refused else { panic!("{refused:?}") };
    assert_eq!(what, "processes (60)");
    let said = sh(&sandbox, "cat kept; ls /proc | grep -c '^[0-9]'").await;
    let count: usize = said.trim().trim_start_matches("kept").trim().parse().unwrap();
    assert!(said.starts_with("kept\n") && count < 8, "{said}");
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
async fn commands_that_close_their_output_stop_themselves_or_read_nothing_end_when_told() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("stubborn", vec![])).await;
    for script in [
        "exec >&- 2>&-; sleep 100",
        "kill -STOP $$; sleep 100",
        "trap '' TERM INT; sleep 100; sleep 100",
    ] {
        let mut command = bash(script);
        command.io = CommandIo::InputOutput;
        let mut started = sandbox.start(command).await.unwrap();
        let unread = started.control.write(&vec![b'x'; 300_000], Duration::from_millis(200)).await;
        assert!(matches!(unread, Err(SandboxError::Timeout(_))), "{unread:?}");
        started.control.signal(quire_domain::sandbox::CommandSignal::Kill).await.unwrap();
        let begun = Instant::now();
        assert_eq!(rest(&mut started.output).await.1, ExitStatus::Signal(9), "{script}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{script}");
    }
}

#[tokio::test]
async fn what_one_sandbox_writes_no_other_sees() {
    let stage = Stage::new().await;
    let layer = stage.layer("shared", &[("file", "as it was\n")]);
    let bad = create(&stage, stage.spec("bad", vec![layer.clone()])).await;
    sh(&bad, "echo bad > file; echo bad > /tmp/bad; echo bad > /var/tmp/bad; echo bad > ~/bad; echo bad > /dev/shm/bad; echo bad > /usr/bin/bad; echo bad >> /etc/passwd; chmod 777 file").await;
    let good = create(&stage, stage.spec("good", vec![layer])).await;
    let said = sh(&good, "cat file; stat -c %a file; ls -A /tmp /var/tmp ~ /dev/shm; ls /usr/bin/bad; grep bad /etc/passwd").await;
    assert!(said.starts_with("as it was\n644\n"), "{said}");
    assert!(!said.lines().any(|line| line == "bad"), "{said}");
}

#[tokio::test]
async fn endless_output_costs_the_reader_no_memory() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("endless", vec![])).await;
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let mut output = sandbox.start(bash("head -c 1G /dev/zero")).await.unwrap().output;
    let before = resident();
    let mut total = 0;
    while let quire_domain::sandbox::CommandEvent::Output(bytes) = output.next().await.unwrap() {
        total += bytes.len();
    }
    assert_eq!(total, 1 << 30);
    assert!(resident() < before + (32 << 20), "{} became {}", before, resident());
}
