//! Environments: what an attempt's sandbox is made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A recipe, with versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name, unique per owner.
    pub name: String,
    /// Counted from 1; raised by every edit.
    pub version: u32,
    /// What lies beneath everything.
    pub base: BaseSpec,
    /// Variables of the agent's commands.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Commands whose exit status is part of the result.
    #[serde(default)]
    pub checks: Vec<CheckSpec>,
    /// What a sandbox may use.
    #[serde(default)]
    pub limits: Limits,
    /// Names of instruction files to fall back to where a directory has no AGENTS.md.
    #[serde(default = "default_instruction_fallbacks")]
    pub instruction_fallbacks: Vec<String>,
}

/// The names that other tools use, in the order they are tried.
pub fn default_instruction_fallbacks() -> Vec<String> {
    ["CLAUDE.md", "GEMINI.md", ".github/copilot-instructions.md"].map(str::to_owned).to_vec()
}

/// What lies beneath everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseSpec {
    /// The host's system directories, read-only; with the person's toolchains and the checkout's
    /// ignored build directories unless `bare`.
    Host {
        /// Take nothing of the person's.
        bare: bool,
    },
    /// A directory that holds a root file system.
    Directory {
        /// Its absolute path on the host.
        path: String,
    },
}

/// A command whose exit status is part of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSpec {
    /// What people call it; the command itself where nothing better is known.
    pub name: String,
    /// What `bash -c` runs, in the root of the repository.
    pub command: String,
    /// Whether it runs over the snapshot and the final commit alone, so that nothing ignored or
    /// left behind can help it.
    #[serde(default)]
    pub clean: bool,
    /// Wall-clock limit in seconds; 1,800 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

/// What one sandbox may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory of all its processes together, in bytes.
    pub memory_bytes: u64,
    /// Thousandths of a CPU.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub processes: u32,
    /// Bytes it may write to disk.
    pub disk_bytes: u64,
    /// Size of `/tmp`, in bytes; `/dev/shm` has a quarter of it.
    pub tmp_bytes: u64,
    /// Files and directories it may make.
    pub inodes: u64,
    /// Open files of one process.
    pub open_files: u32,
    /// Bytes of one command's output that are kept.
    pub output_bytes: u64,
}

impl Default for Limits {
    /// For a machine whose size is not known; the composition root scales memory, CPU and
    /// processes to the host.
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            memory_bytes: 8 * GIB,
            cpu_millis: 4_000,
            processes: 4_096,
            disk_bytes: 20 * GIB,
            tmp_bytes: 2 * GIB,
            inodes: 2_000_000,
            open_files: 65_536,
            output_bytes: 2 * GIB,
        }
    }
}
