//! Processes and what they used: CPU from the kernel's own count, memory from `/proc`.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

/// CPU time of a process and of all it waited for.
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// User and system time together.
    pub cpu: Duration,
}

/// Makes this process the parent of what its children leave behind, so that nothing escapes the
/// count or outlives the bench.
pub fn adopt_orphans() {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes one number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Waits for `child`, at most `limit`; then kills it and fails.
pub fn wait(mut child: Child, limit: Duration) -> anyhow::Result<Ended> {
    let pid = i32::try_from(child.id())?;
    let begun = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(ended) = reap(pid, libc::WNOHANG) {
            return Ok(ended);
        }
        if begun.elapsed() > limit {
            child.kill()?;
            reap(pid, 0);
            bail!("did not end within {} s", limit.as_secs());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
}

/// Ends and reaps what children left behind; gives the CPU time of all that.
pub fn reap_orphans() -> Duration {
    let mut cpu = Duration::ZERO;
    // Three rounds: an orphan's own children come to us when it is gone.
    for _ in 0..3 {
        for pid in children(std::process::id()) {
            let Ok(pid) = i32::try_from(pid) else { continue };
            // SAFETY: `pid` is a child of this process that was not reaped, so it is no other's.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            cpu += reap(pid, 0).map_or(Duration::ZERO, |ended| ended.cpu);
        }
    }
    cpu
}

fn reap(pid: i32, flags: i32) -> Option<Ended> {
    let mut status = 0;
    // SAFETY: all-zero bytes are a valid `rusage`; both pointers are to live values of ours.
    let (reaped, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(pid, &raw mut status, flags, &raw mut usage), usage)
    };
    (reaped == pid).then(|| Ended { status: ExitStatus::from_raw(status), cpu: of(&usage) })
}

/// CPU time this process has used so far.
pub fn own_cpu() -> Duration {
    // SAFETY: all-zero bytes are a valid `rusage`; the pointer is to a live value of ours.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    of(&usage)
}

fn of(usage: &libc::rusage) -> Duration {
    let part = |time: libc::timeval| {
        let micros = u64::try_from(time.tv_usec).unwrap_or(0);
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
    };
    part(usage.ru_utime) + part(usage.ru_stime)
}

/// The most memory that the trees below `roots` had together at any look, in bytes: pages that
/// several processes share are counted once (PSS). Looks until `done`.
pub fn peak_memory(roots: &[u32], done: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !done.load(Ordering::Relaxed) {
        peak = peak.max(tree_memory(roots));
        std::thread::sleep(Duration::from_millis(15));
    }
    peak
}

/// The memory that the trees below `roots` have together now, in bytes (PSS).
pub fn tree_memory(roots: &[u32]) -> u64 {
    roots.iter().flat_map(|root| tree(*root)).filter_map(memory).sum()
}

/// CPU time that the living processes of the tree below `root` have used so far, to 10 ms.
pub fn tree_cpu(root: u32) -> Duration {
    let ticks = tree(root).into_iter().filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything; what follows its bracket are numbers: see proc(5).
        let mut rest = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut next = || rest.next()?.parse::<u64>().ok();
        Some(next()? + next()?)
    });
    // The kernel tells user space 100 ticks a second, whatever its own clock does.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn tree(root: u32) -> Vec<u32> {
    let (mut found, mut todo) = (Vec::new(), vec![root]);
    while let Some(pid) = todo.pop() {
        todo.extend(children(pid));
        found.push(pid);
    }
    found
}

fn memory(pid: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_time_a_child_used_is_told_with_how_it_ended() {
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3";
        let child = Command::new("bash").args(["-c", script]).spawn().unwrap();
        let ended = wait(child, Duration::from_mins(1)).unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert!(ended.cpu > Duration::from_millis(1), "{:?}", ended.cpu);
    }

    #[test]
    fn a_child_that_does_not_end_is_ended() {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(wait(child, Duration::from_millis(50)).is_err());
    }
}
