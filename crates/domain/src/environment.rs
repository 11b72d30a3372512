//! Environments: what an attempt's sandbox is made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::network::{CredentialSpec, NetworkSpec};

/// A recipe, with versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name, unique per owner.
    pub name: String,
    /// Counted from 1; raised by every edit.
    pub version: u32,
    /// What lies beneath everything.
    pub base: BaseSpec,
    /// What is installed once, before the first task.
    #[serde(default)]
    pub setup: SetupSpec,
    /// What `bash -c` runs when a snapshot is used for another commit than the one it was made
    /// on, and in place of setup where only lock files differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<String>,
    /// How snapshots are kept.
    #[serde(default)]
    pub snapshot: SnapshotSpec,
    /// Variables of all commands: setup's, services', the agent's, checks'.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Names of stored secrets that setup and maintenance, and nothing else, see as variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Which requests may leave.
    #[serde(default)]
    pub network: NetworkSpec,
    /// Headers added to requests outside of the sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialSpec>,
    /// Processes started before the agent, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceSpec>,
    /// Commands whose exit status is part of the result.
    #[serde(default)]
    pub checks: Vec<CheckSpec>,
    /// What a sandbox may use.
    #[serde(default)]
    pub limits: Limits,
    /// The model of tasks that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The budget of tasks that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
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
    /// A tar, plain or compressed with gzip or zstd, that holds a root file system.
    Tar {
        /// Its absolute path on the host.
        path: String,
    },
    /// An OCI image of a registry.
    Image {
        /// Its reference, e.g. `registry.example/library/debian:12` or `registry.example/a/b@sha256:…`.
        reference: String,
    },
}

/// What is installed once, before the first task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupSpec {
    /// What the lock files call for; nothing where there is none, or where the host's view brings
    /// it along.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// What `bash -c` runs in the root of the repository.
    Script(String),
}

/// How snapshots are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotSpec {
    /// Files of the repository whose content is part of the key, as globs; those that are
    /// recognised (`package-lock.json`, …) where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lock_files: Vec<String>,
    /// Seconds after which one is made anew; 43,200 (12 h) by default.
    pub lifetime_s: u64,
    /// Seconds that setup or maintenance may take; 3,600 by default.
    pub timeout_s: u32,
}

impl Default for SnapshotSpec {
    fn default() -> Self {
        Self { lock_files: Vec::new(), lifetime_s: 12 * 3_600, timeout_s: 3_600 }
    }
}

/// A process that is started before the agent and ends with the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// What people and logs call it: `[a-z0-9-]`, 1 to 40 characters, unique.
    pub name: String,
    /// What `bash -c` runs, in the foreground, in the root of the repository.
    pub command: String,
    /// What `bash -c` runs over and over until it ends with 0; ready at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// Seconds within which it must be ready; 60 by default.
    #[serde(default = "default_ready_within_s")]
    pub ready_within_s: u32,
}

fn default_ready_within_s() -> u32 {
    60
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
    /// Seconds that one attempt may be at work.
    pub wall_clock_s: u64,
    /// Seconds in which nothing happens (no output of the model or of a command, next to no
    /// processor time) after which what runs in a sandbox is ended; it is made anew at the next
    /// command.
    pub idle_s: u64,
    /// Bytes that it may send and receive over its way out, together; the installation's own bound
    /// if absent, which holds in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_bytes: Option<u64>,
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
            wall_clock_s: 4 * 3_600,
            idle_s: 1_800,
            network_bytes: None,
        }
    }
}
