//! The lease on an attempt: renewed while its worker lives, given up when it cannot be.

use std::time::Duration;

use quire_domain::ids::{AttemptId, Epoch};
use quire_store::{Claim, ClaimError, StoreError};
use tokio_util::sync::CancellationToken;

use crate::worker::Worker;

/// How long a claim holds without renewal, in milliseconds (DESIGN section 10).
pub const LEASE_MS: u64 = 30_000;

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(10);

/// A name for this process that no other process of this machine has had since it started:
/// `host:boot:pid:start`, the last in ticks since the boot.
pub fn worker_name(host: &str) -> String {
    let pid = std::process::id();
    format!("{host}:{}:{pid}:{}", boot(), started_at(pid).unwrap_or(0))
}

/// Whether the worker of this name is known to be gone: a process of this machine that ended, or
/// of an earlier boot. Of other machines nothing is known.
pub fn is_gone(name: &str, host: &str) -> bool {
    let parts: Vec<&str> = name.rsplitn(4, ':').collect();
    let [start, pid, its_boot, its_host] = parts.as_slice() else { return false };
    let (Ok(start), Ok(pid)) = (start.parse::<u64>(), pid.parse::<u32>()) else { return false };
    *its_host == host && (*its_boot != boot() || started_at(pid) != Some(start))
}

/// The kernel's name for the time since the machine started; the first part of it.
pub fn boot() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.chars().take_while(char::is_ascii_hexdigit).collect()
}

/// When a process started, in ticks since the boot: the 22nd field of its `stat`, counted from
/// behind the name, which may hold anything.
fn started_at(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1;
    // A process that ended and is not yet reaped does nothing more.
    if fields.split_whitespace().next() == Some("Z") {
        return None;
    }
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Claims an attempt; takes it over where its holder is known to be gone, whose lease would else
/// have to run out first.
pub async fn claim(worker: &Worker, attempt: AttemptId) -> Result<Claim, ClaimError> {
    let name = &worker.place.worker;
    let now = worker.clock.now();
    let claimed = worker.store.claim(attempt, name, now, LEASE_MS).await;
    let Err(ClaimError::Held { .. }) = &claimed else { return claimed };
    match worker.store.lease(attempt).await {
        Ok(Some(lease)) if is_gone(&lease.worker, &worker.place.host) => {
            worker.store.take_over(attempt, lease.epoch, name, now, LEASE_MS).await
        }
        _ => claimed,
    }
}

/// Renews the lease until dropped. `lost` is cancelled when another worker took over: stop at
/// once and write nothing more.
pub struct LeaseKeeper {
    task: tokio::task::JoinHandle<()>,
}

impl LeaseKeeper {
    /// Starts renewing.
    pub fn start(
        worker: &Worker,
        attempt: AttemptId,
        epoch: Epoch,
        lost: CancellationToken,
    ) -> Self {
        let worker = worker.clone();
        let task = tokio::spawn(async move {
            let mut failures = 0;
            loop {
                tokio::time::sleep(RENEW).await;
                let until = worker.clock.now().plus_millis(LEASE_MS);
                match worker.store.renew(attempt, epoch, until).await {
                    Ok(()) => failures = 0,
                    Err(StoreError::Fenced { .. }) => return lost.cancel(),
                    // Twice in a row is 20 s of 30: the next worker may claim it soon.
                    Err(_) if failures >= 1 => return lost.cancel(),
                    Err(_) => failures += 1,
                }
            }
        });
        Self { task }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_process_is_not_gone_and_an_ended_one_is() {
        let name = worker_name("here");
        assert!(!is_gone(&name, "here"));
        assert!(!is_gone(&name, "elsewhere"));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let start = started_at(pid).unwrap_or(1);
        child.wait().unwrap();
        assert!(is_gone(&format!("here:{}:{pid}:{start}", boot()), "here"));
        assert!(is_gone("here:00000000:1:1", "here"));
        assert!(!is_gone("nonsense", "here"));
    }
}
