//! Limits of a sandbox that a command met.

use serde::{Deserialize, Serialize};

/// A limit that was met while a command ran. What it shows as (`Display`) is for the model and for
/// people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitMet {
    /// Processes were killed, as all together used more memory than this many bytes.
    Memory(u64),
    /// Starting a process or thread was refused, as there were this many.
    Processes(u32),
    /// A file was to grow beyond this many bytes.
    FileSize(u64),
    /// `/tmp` is full: this many bytes, or its share of files.
    Tmp(u64),
    /// `/dev/shm` is full: this many bytes, or its share of files.
    SharedMemory(u64),
    /// What is written is kept in memory, and that is full: this many bytes, or its share of files.
    Upper(u64),
}

impl LimitMet {
    /// The key of a recipe that raises it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Memory(_) => "limits.memory_mib",
            Self::Processes(_) => "limits.processes",
            Self::FileSize(_) | Self::Upper(_) => "limits.disk_mib",
            Self::Tmp(_) | Self::SharedMemory(_) => "limits.tmp_mib",
        }
    }

    /// What is recorded at the end of a command's output: the model, the person and a citation
    /// then see the same.
    pub fn line(&self) -> String {
        format!("\n[{self}]\n")
    }
}

impl std::fmt::Display for LimitMet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: &u64| bytes >> 20;
        match self {
            Self::Memory(bytes) => write!(
                f,
                "processes were killed: the sandbox's limit of memory ({} MiB) was reached",
                mib(bytes)
            ),
            Self::Processes(most) => write!(
                f,
                "starting a process was refused: the sandbox's limit of processes ({most}) was \
                 reached"
            ),
            Self::FileSize(bytes) => write!(
                f,
                "it was killed: a file was to grow beyond the sandbox's limit of disk space ({} \
                 MiB)",
                mib(bytes)
            ),
            Self::Tmp(bytes) => write!(f, "/tmp is full ({} MiB in all)", mib(bytes)),
            Self::SharedMemory(bytes) => write!(f, "/dev/shm is full ({} MiB in all)", mib(bytes)),
            Self::Upper(bytes) => {
                write!(f, "the sandbox's disk space is full ({} MiB in all)", mib(bytes))
            }
        }
    }
}
