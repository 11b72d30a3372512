//! What programs that size themselves by the machine are told of their limits.
//!
//! A sandbox has no `/sys`, where they would read the limits of their control group, and `/proc`
//! tells the machine's memory and processors. Affinity is heeded by most (the JVM, Go, Rust,
//! Node's `availableParallelism`, OpenMP, make's and ninja's own counts), so that variables are
//! for what it cannot say: memory, and processors to those who count others than their own.

use std::collections::BTreeMap;

use crate::environment::Limits;

/// The machine that a sandbox runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Its processors.
    pub cpus: u32,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What one compiler of a large crate may take.
const JOB_BYTES: u64 = GIB;

/// Variables for every command, beneath those that a person or a repository sets. Each is there
/// only where the program would otherwise take more than it may have, as every variable shows in
/// what programs print of their environment:
///
/// - `CARGO_BUILD_JOBS`: compilers at one time, where there is less than 1 GiB for each processor.
/// - `GOMEMLIMIT`: Go's collector knows no limit of its own; four fifths, as it is a soft one.
/// - `JAVA_TOOL_OPTIONS=-XX:MaxRAM`: the heap is a quarter of the machine. Every JVM then prints a
///   line to standard error that it picked it up, which some tests compare: so only where that
///   quarter is more than half of the limit, and the JVM would be killed instead.
/// - `NODE_OPTIONS=--max-old-space-size`: V8 takes up to 4 GiB by the machine's memory; three
///   quarters of the limit, where that is less.
/// - `PYTEST_XDIST_AUTO_NUM_WORKERS`, `PYTHON_CPU_COUNT`: `psutil` and `os.cpu_count` count the
///   machine's processors.
///
/// Left out: `MAKEFLAGS=-j`, as make takes one processor by itself, and what is built in parallel
/// unasked breaks where rules forgot a dependency; `OMP_NUM_THREADS`, `GOMAXPROCS`,
/// `RAYON_NUM_THREADS`, as their runtimes heed affinity, and a variable would hold for a thread
/// pool within each of many processes.
pub fn variables(limits: &Limits, machine: Machine) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
    let cpus = limits.cpu_millis.div_ceil(1_000).clamp(1, machine.cpus.max(1));
    let memory = limits.memory_bytes;
    if cpus < machine.cpus {
        set("PYTEST_XDIST_AUTO_NUM_WORKERS", cpus.to_string());
        set("PYTHON_CPU_COUNT", cpus.to_string());
    }
    let jobs = (memory / JOB_BYTES).max(1);
    if jobs < u64::from(cpus) {
        set("CARGO_BUILD_JOBS", jobs.to_string());
    }
    if memory >= machine.memory_bytes {
        return all;
    }
    set("GOMEMLIMIT", format!("{}MiB", (memory / 5 * 4 / MIB).max(1)));
    // By V8's own rule for 64 bits.
    let most = if machine.memory_bytes >= 15 * GIB { 4 * GIB } else { 2 * GIB };
    let heap = memory / 4 * 3;
    if heap < most.min(machine.memory_bytes / 4) {
        set("NODE_OPTIONS", format!("--max-old-space-size={}", (heap / MIB).max(1)));
    }
    if machine.memory_bytes / 4 > memory / 2 {
        set("JAVA_TOOL_OPTIONS", format!("-XX:MaxRAM={}m", (memory / MIB).max(1)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(memory_mib: u64, cpu_millis: u32, machine: (u32, u64)) -> Vec<String> {
        let limits = Limits { memory_bytes: memory_mib * MIB, cpu_millis, ..Limits::default() };
        let machine = Machine { cpus: machine.0, memory_bytes: machine.1 * GIB };
        let all = variables(&limits, machine);
        all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_sandbox_that_has_the_whole_machine_is_told_nothing() {
        assert_eq!(told(8 * 1_024, 4_000, (4, 8)), [""; 0]);
        assert_eq!(told(16 * 1_024, 8_000, (4, 8)), [""; 0]);
    }

    #[test]
    fn three_quarters_of_a_laptop_change_no_heap() {
        assert_eq!(told(12 * 1_024, 4_000, (4, 16)), ["GOMEMLIMIT=9830MiB"]);
    }

    #[test]
    fn a_small_sandbox_on_a_large_machine_is_told_all_of_it() {
        assert_eq!(
            told(2_048, 3_500, (64, 256)),
            [
                "CARGO_BUILD_JOBS=2",
                "GOMEMLIMIT=1638MiB",
                "JAVA_TOOL_OPTIONS=-XX:MaxRAM=2048m",
                "NODE_OPTIONS=--max-old-space-size=1536",
                "PYTEST_XDIST_AUTO_NUM_WORKERS=4",
                "PYTHON_CPU_COUNT=4",
            ]
        );
    }

    #[test]
    fn the_smallest_limits_give_no_zero() {
        let all = told(0, 0, (2, 4));
        assert!(all.iter().all(|one| !one.ends_with("=0") && !one.ends_with("=0m")), "{all:?}");
        assert!(all.contains(&"PYTHON_CPU_COUNT=1".to_owned()), "{all:?}");
        assert_eq!(told(512, 1_000, (0, 0)), [""; 0]);
    }

    #[test]
    fn what_is_told_is_never_more_than_the_limit() {
        for memory_mib in [64, 300, 1_024, 4_096, 65_536] {
            for machine in [(1, 1), (8, 32), (128, 512)] {
                for one in told(memory_mib, 2_000, machine) {
                    let number: String = one
                        .chars()
                        .rev()
                        .skip_while(|c| !c.is_ascii_digit())
                        .take_while(char::is_ascii_digit)
                        .collect::<Vec<_>>()
                        .into_iter()
                        .rev()
                        .collect();
                    assert!(number.parse::<u64>().unwrap() <= memory_mib.max(2), "{one}");
                }
            }
        }
    }
}
