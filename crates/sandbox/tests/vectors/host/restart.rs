//! H19: a server that is killed with fifty live sandboxes, and the one that starts after it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use quire_domain::sandbox::{SandboxBackend as _, SandboxUser, Upper};

use super::{Seen, holds, processes_with};
use crate::again;
use crate::stand::{Stand, run, sh};

const MODE: &str = "QUIRE_VECTORS_SERVER";
const COUNT: usize = 50;

/// Whether this process is the server that will be killed.
pub fn is_server() -> bool {
    std::env::var_os(MODE).is_some()
}

/// Makes the sandboxes, says so, and waits for its end.
pub async fn serve() {
    let nap = std::env::var(MODE).unwrap();
    let stand = Stand::new().await;
    let mut living = Vec::new();
    for number in 0..COUNT {
        let mut spec = stand.spec(&format!("h19-{number}"), SandboxUser::Agent);
        if number % 2 == 1 {
            spec.upper = Upper::Memory;
        }
        let sandbox = stand.create(spec).await;
        let nap = format!("echo {number} > kept; setsid nohup sleep {nap} >/dev/null 2>&1 &");
        run(&sandbox, sh(&nap)).await;
        living.push(sandbox);
    }
    let mut out = std::io::stdout();
    out.write_all(b"ready\n").unwrap();
    out.flush().unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
}

/// Kills it and looks at what is left, then at what the next one takes away.
pub async fn server_killed() -> Seen {
    let nap = format!("8{}", std::process::id());
    let name = std::env::args().skip_while(|word| word != "--exact").nth(1).unwrap();
    let mut server = again::start(&name, (MODE, &nap));
    let said = BufReader::new(server.stdout.take().unwrap());
    let ready = said.lines().map_while(Result::ok).any(|line| line.contains("ready"));
    for _ in 0..100 {
        // The last may not have been executed yet.
        if processes_with(&nap) >= COUNT {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let living = processes_with(&nap);
    let begun = Instant::now();
    server.kill().unwrap();
    server.wait().unwrap();
    holds(ready && living == COUNT, || format!("only {living} were living"))?;
    while processes_with(&nap) > 0 {
        holds(begun.elapsed() < Duration::from_secs(3), || {
            format!("{} processes outlive the server", processes_with(&nap))
        })?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stand = Stand::new().await;
    stand.backend.sweep().await.map_err(|error| error.to_string())?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = stand.place.display().to_string();
    holds(!mounts.contains(&place), || "mounts are left".to_owned())?;
    let prefix = format!("quire-{}-", server.id());
    let mut groups = Vec::new();
    for _ in 0..100 {
        groups.clear();
        groups_named(Path::new("/sys/fs/cgroup"), &prefix, 6, &mut groups);
        if groups.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    holds(groups.is_empty(), || format!("groups are left: {groups:?}"))?;
    // What was written to disk is kept, and gone on with.
    let sandbox = stand.create(stand.spec("h19-0", SandboxUser::Agent)).await;
    let kept = run(&sandbox, sh("cat kept")).await.output;
    sandbox.end().await.unwrap();
    holds(kept == "0\n", || format!("the upper that was kept says {kept:?}"))?;
    for number in (0..COUNT).step_by(2) {
        let upper = stand.place.join(format!("upper-h19-{number}"));
        stand.backend.discard(&upper).await.map_err(|error| error.to_string())?;
        holds(!upper.exists(), || format!("{} is left", upper.display()))?;
    }
    Ok(())
}

/// Control groups whose names begin so.
fn groups_named(directory: &Path, prefix: &str, depth: usize, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path().display().to_string());
        } else if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            groups_named(&entry.path(), prefix, depth - 1, found);
        }
    }
}
