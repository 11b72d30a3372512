//! H14, H16: what a sandbox leaves when it ends, and commands that do not want to.

use std::time::{Duration, Instant};

use quire_domain::sandbox::{CommandIo, CommandSignal, SandboxError, SandboxUser};

use super::{Seen, holds, processes_with};
use crate::stand::{Stand, run, sh};

/// H14: thirty daemons, forked twice, in sessions of their own.
pub async fn daemons(stand: &Stand) -> Seen {
    let nap = format!("7{}", std::process::id());
    for dropped in [false, true] {
        let name = if dropped { "h14-dropped" } else { "h14-ended" };
        let sandbox = stand.create(stand.spec(name, SandboxUser::Agent)).await;
        let script = format!(
            "for i in $(seq 30); do (setsid nohup sleep {nap} >/dev/null 2>&1 &); done; \
             trap '' TERM HUP; (trap '' TERM HUP INT; exec sleep {nap}) >/dev/null 2>&1 &"
        );
        run(&sandbox, sh(&script)).await;
        let begun = Instant::now();
        while processes_with(&nap) != 31 {
            holds(begun.elapsed() < Duration::from_secs(5), || {
                format!("only {} were started", processes_with(&nap))
            })?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begun = Instant::now();
        if dropped {
            drop(sandbox);
        } else {
            sandbox.end().await.map_err(|error| error.to_string())?;
        }
        while processes_with(&nap) > 0 {
            holds(begun.elapsed() < Duration::from_secs(1), || {
                format!("{name}: {} are left after a second", processes_with(&nap))
            })?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

/// H16: output closed, stopped by itself, input never read, signals ignored.
pub async fn stubborn(stand: &Stand) -> Seen {
    let sandbox = stand.create(stand.spec("h16", SandboxUser::Agent)).await;
    for script in [
        "exec >&- 2>&-; sleep 100",
        "kill -STOP $$; sleep 100",
        "trap '' TERM INT; while :; do sleep 100; done",
    ] {
        let mut command = sh(script);
        command.io = CommandIo::InputOutput;
        let mut started = sandbox.start(command).await.unwrap();
        let written =
            started.control.write(&[0; 16 << 10].repeat(64), Duration::from_millis(100)).await;
        holds(matches!(written, Err(SandboxError::Timeout(_))), || {
            format!("`{script}`: input that nobody reads gave {written:?}")
        })?;
        started.control.signal(CommandSignal::Kill).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(3), started.output.next()).await;
        holds(ended.is_ok(), || format!("`{script}` goes on"))?;
    }
    sandbox.end().await.map_err(|error| error.to_string())
}
