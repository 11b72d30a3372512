//! The processes of a sandbox, as the host sees them.

use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

/// A process below a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number on the host.
    pub pid: i32,
    /// What started it, or took it over.
    pub parent: i32,
}

/// The processes below a guest, parents before their children, at most `most`. What was
/// double-forked hangs below the guest itself.
pub fn below(guest: i32, most: usize) -> Vec<Process> {
    let mut pending: VecDeque<_> = VecDeque::from([guest]);
    let mut found = Vec::new();
    while let Some(parent) = pending.pop_front() {
        for pid in children(parent) {
            if found.len() >= most {
                return found;
            }
            found.push(Process { pid, parent });
            pending.push_back(pid);
        }
    }
    found
}

/// Processor time of a guest and all below it, at most `most` processes of them, with that of
/// children that were waited for. Reads `/proc`.
pub fn processor_time(guest: i32, most: usize) -> Duration {
    let tick = Duration::from_secs(1)
        / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100).max(1);
    let all = below(guest, most);
    let ticks =
        std::iter::once(guest).chain(all.into_iter().map(|process| process.pid)).map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Behind the name, which may hold anything: state is the first field.
            let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let times = fields.split_ascii_whitespace().skip(11).take(4);
            times.filter_map(|field| field.parse::<u32>().ok()).fold(0, u32::saturating_add)
        });
    tick * ticks.fold(0, u32::saturating_add)
}

/// The children of a process: each of its threads has its own.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut all = Vec::new();
    for task in tasks.filter_map(Result::ok) {
        let listed = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(listed.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    all
}

/// Numbers of a process inside its sandbox: its own and its session's.
pub fn numbers_inside(pid: i32) -> Option<(i32, i32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let innermost = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().last()?.parse::<i32>().ok()
    };
    Some((innermost("NSpid:")?, innermost("NSsid:")?))
}
