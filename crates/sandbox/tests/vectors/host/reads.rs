//! H9, H10, H12, H13: what the host reads of a hostile sandbox.

use std::path::Path;
use std::time::{Duration, Instant};

use quire_domain::sandbox::{CommandEvent, FileError, SandboxUser, StartedCommand};

use super::{Seen, holds};
use crate::again::CANARY;
use crate::stand::{Stand, TREE, command, run, sh};

/// H9: a directory and a link to the host's change places while a file is read.
pub async fn swapped_for_a_link(stand: &Stand) -> Seen {
    let sandbox = stand.create(stand.spec("h9", SandboxUser::Agent)).await;
    let make = stand.fill_in("mkdir d; echo inside > d/canary; ln -s {place} l");
    run(&sandbox, sh(&make)).await;
    let swap = "while :; do mv -T d x; mv -T l d; mv -T d l; mv -T x d; done 2>/dev/null";
    let _swapping = sandbox.start(sh(swap)).await.unwrap();
    let mut read = 0;
    for round in 0..1_000 {
        let path = Path::new(TREE).join(["d/canary", "l/canary"][round % 2]);
        if let Ok(bytes) = sandbox.read_file(&path, 1_000).await {
            read += 1;
            let text = String::from_utf8_lossy(&bytes);
            holds(!text.contains(CANARY), || "the host's file was read".to_owned())?;
            holds(text == "inside\n", || format!("{text:?} was read"))?;
        }
    }
    sandbox.end().await.unwrap();
    holds(read > 10, || format!("only {read} reads met the file"))
}

/// H10: pipes, sockets, devices, directories and vast holes are refused at once.
pub async fn odd_files(stand: &Stand) -> Seen {
    let mut spec = stand.spec("h10", SandboxUser::Agent);
    spec.limits.disk_bytes = 20 << 30;
    let sandbox = stand.create(spec).await;
    let make = "mkfifo pipe; quire-trial make_socket socket; truncate -s 10G hole; mkdir dir; \
                ln -s /dev/zero zero; ln -s pipe link; ln -s loop loop; echo x > shut; chmod 0 shut";
    run(&sandbox, sh(make)).await;
    for name in ["pipe", "socket", "hole", "dir", "zero", "link", "loop", "shut", "/dev/full"] {
        let begun = Instant::now();
        let read = sandbox.read_file(&Path::new(TREE).join(name), 1 << 20).await;
        let took = begun.elapsed();
        holds(took < Duration::from_secs(1), || format!("`{name}` took {took:?}"))?;
        let as_expected = match (name, &read) {
            ("hole", Err(FileError::TooLarge { bytes, .. })) => *bytes == 10 << 30,
            ("loop" | "shut", Err(FileError::Denied { .. })) => true,
            ("hole" | "loop" | "shut", _) => false,
            (_, read) => matches!(read, Err(FileError::NotAFile(_))),
        };
        holds(as_expected, || format!("`{name}` gave {read:?}"))?;
    }
    sandbox.end().await.map_err(|error| error.to_string())
}

/// H12: 20 GB in one line, which nobody reads and then somebody does.
pub async fn endless_output(stand: &Stand) -> Seen {
    let sandbox = stand.create(stand.spec("h12", SandboxUser::Agent)).await;
    let begun = resident();
    let started = sandbox.start(sh("tr '\\0' y < /dev/zero | head -c 20G")).await.unwrap();
    let StartedCommand { mut output, control, .. } = started;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let unread = resident();
    let mut read = 0;
    while read < 300 << 20 {
        match tokio::time::timeout(Duration::from_secs(10), output.next()).await {
            Ok(Ok(CommandEvent::Output(bytes))) if bytes.len() <= 64 << 10 => read += bytes.len(),
            other => return Err(format!("after {read} bytes: {other:?}")),
        }
    }
    let grown = resident().max(unread).saturating_sub(begun);
    drop((output, control));
    let alive = run(&sandbox, sh("echo alive")).await;
    sandbox.end().await.unwrap();
    holds(grown < 32 << 20, || format!("this process grew by {} MiB", grown >> 20))?;
    holds(alive.output == "alive\n", || format!("then {alive:?}"))
}

/// H13: the sandbox hands bytes on as they are; faces escape them. None act on the host here.
pub async fn raw_bytes(stand: &Stand) -> Seen {
    let sandbox = stand.create(stand.spec("h13", SandboxUser::Agent)).await;
    let ran = run(&sandbox, command(&["printf", r"\033]52;c;eA==\a\033[2J\377<script>\r"])).await;
    sandbox.end().await.unwrap();
    let wanted = "\u{1b}]52;c;eA==\u{7}\u{1b}[2J\u{fffd}<script>\r";
    holds(ran.output == wanted, || format!("{:?}", ran.output))
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}
