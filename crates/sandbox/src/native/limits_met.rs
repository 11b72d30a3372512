//! Which limits were met while a command ran: from the counters of its control groups, the way it
//! ended, and what its guest says is full.

use std::path::{Path, PathBuf};

use quire_domain::environment::Limits;
use quire_domain::sandbox::{ExitStatus, LimitMet};

/// What the counters stood at when a command was started.
#[derive(Debug)]
pub struct Before {
    counters: Counters,
    killed: u64,
    refused: u64,
    limits: Limits,
}

/// Where the kernel counts.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Holds a line `oom_kill N`.
    pub memory: Option<PathBuf>,
    /// Holds a line `max N`.
    pub processes: Option<PathBuf>,
}

impl Before {
    /// Reads the counters; two small files.
    pub fn start(counters: Counters, limits: Limits) -> Self {
        let killed = count(counters.memory.as_deref(), "oom_kill");
        let refused = count(counters.processes.as_deref(), "max");
        Self { counters, killed, refused, limits }
    }

    /// What was met since. `full` are the bits of [`crate::frames::tell::FULL`].
    pub fn since(&self, exit: ExitStatus, full: u32) -> Vec<LimitMet> {
        let limits = &self.limits;
        let mut met = Vec::new();
        if count(self.counters.memory.as_deref(), "oom_kill") > self.killed {
            met.push(LimitMet::Memory(limits.memory_bytes));
        }
        if count(self.counters.processes.as_deref(), "max") > self.refused {
            met.push(LimitMet::Processes(limits.processes));
        }
        if matches!(exit.code(), SIZE_EXCEEDED) {
            met.push(LimitMet::FileSize(limits.disk_bytes));
        }
        let places = [
            LimitMet::Tmp(limits.tmp_bytes),
            LimitMet::SharedMemory((limits.tmp_bytes / 4).max(1 << 20)),
            LimitMet::Upper(limits.disk_bytes),
        ];
        for ((bit, _), place) in crate::frames::tell::FULL.iter().zip(places) {
            if full & bit != 0 {
                met.push(place);
            }
        }
        met
    }
}

/// As a shell gives SIGXFSZ on, or as it is.
const SIZE_EXCEEDED: i32 = 128 + libc::SIGXFSZ;

fn count(file: Option<&Path>, name: &str) -> u64 {
    let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}
