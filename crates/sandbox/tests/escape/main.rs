//! Every way out that is known, tried from inside, and what must work all the same.
//!
//! Run as root and as an ordinary user; what the host cannot give is skipped with the reason.
#![allow(clippy::print_stdout, reason = "what is skipped is said")]
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

#[path = "../stage/mod.rs"]
mod stage;

mod abuse;
mod host;
mod usable;

use std::path::{Path, PathBuf};

use quire_domain::sandbox::{BindMount, SandboxSpec, SandboxUser};
use stage::{Stage, create, sh};

/// The sandbox's view of the probes, with the host's namespaces told for comparison.
fn spec(stage: &Stage, name: &str) -> SandboxSpec {
    let mut spec = stage.spec(name, vec![]);
    spec.binds.push(BindMount {
        source: PathBuf::from(env!("CARGO_BIN_EXE_quire-probe")),
        target: PathBuf::from("/home/quire/probe"),
        optional: false,
    });
    for namespace in ["pid", "ipc", "uts", "user", "cgroup", "net", "mnt"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
        let name = format!("HOST_NS_{}", namespace.to_uppercase());
        spec.env.insert(name, own.to_string_lossy().into_owned());
    }
    spec
}

/// Checks each line of the probes' report but those named.
fn check(report: &str, allowed: &[&str]) {
    let mut held = 0;
    for line in report.lines() {
        match line.split_once(' ') {
            Some(("held", _)) => held += 1,
            Some(("skipped", _)) => println!("{line}"),
            Some((_, rest)) if allowed.iter().any(|name| rest.starts_with(name)) => {}
            _ => panic!("{line}\nin\n{report}"),
        }
    }
    assert!(held > 80, "only {held} probes held:\n{report}");
}

#[tokio::test]
async fn no_probe_gets_out_of_an_agents_sandbox() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, spec(&stage, "agent")).await;
    check(&sh(&sandbox, "~/probe").await, &[]);
}

#[tokio::test]
async fn no_probe_gets_out_of_a_setup_sandbox_but_for_what_setup_may() {
    let stage = Stage::new().await;
    let mut spec = spec(&stage, "setup");
    spec.user = SandboxUser::SetupRoot;
    let sandbox = create(&stage, spec).await;
    // It has the capabilities of package managers, and may chroot.
    let may = ["caps_", "chroot", "suid_inert"];
    check(&sh(&sandbox, "~/probe").await, &may);
}

#[tokio::test]
async fn the_cli_tools_for_namespaces_and_mounts_are_refused() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, spec(&stage, "tools")).await;
    for script in [
        "unshare -Ur true",
        "mkdir m && mount -t tmpfs t m",
        "unshare -m true",
        "nsenter -t 1 -m true",
        "chroot / true",
        "mknod dev b 254 0",
        "dmesg",
    ] {
        let said = sh(&sandbox, &format!("{script} 2>/dev/null && echo WORKED")).await;
        assert!(!said.contains("WORKED"), "{script}");
    }
}

#[tokio::test]
async fn nothing_of_the_host_is_seen_that_was_not_shown() {
    let stage = Stage::new().await;
    std::fs::write(stage.path("canary"), "CANARY").unwrap();
    let sandbox = create(&stage, spec(&stage, "canary")).await;
    let place = stage.dir.path().display();
    let said = sh(&sandbox, &format!("ls {place} /proc/1/root{place} 2>&1; find / -xdev -name canary 2>/dev/null; find / -type s 2>/dev/null; find /dev -type b; env")).await;
    assert!(!said.contains("CANARY") && !said.contains("\n/"), "{said}");
    assert!(!said.contains("CARGO"), "the environment of this process is seen: {said}");
    // Every overlay and bind is of this sandbox's making: no path of the host is told.
    let mounts =
        sh(&sandbox, "grep -c 'lowerdir=/' /proc/self/mountinfo; cat /etc/resolv.conf").await;
    assert_eq!(mounts, "0\n");
    assert!(!Path::new("/tmp/canary").exists());
}
