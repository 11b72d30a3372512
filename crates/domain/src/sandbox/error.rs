//! What can go wrong with a sandbox, and with a file in it.

use std::time::Duration;

/// Why a sandbox could not do something.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The host does not allow what a sandbox needs.
    #[error("this host cannot make a sandbox: {what}; {remedy}")]
    Unsupported {
        /// What is missing.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// It could not be made.
    #[error("cannot make the sandbox: {step}")]
    Create {
        /// What was being done.
        step: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {source}")]
    Spawn {
        /// Which.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is gone: killed, or its supervisor broke the protocol.
    #[error("the sandbox is gone: {0}")]
    Gone(String),
    /// It did not answer in time.
    #[error("the sandbox did not answer within {0:?}")]
    Timeout(Duration),
    /// It was ended because it wrote more than its share of the disk.
    #[error("the sandbox was ended: it wrote more than its limit of disk space")]
    DiskFull,
    /// The disk that holds it is full: nobody can write there, whatever its share.
    #[error("the disk that holds the sandbox is full")]
    HostDiskFull,
    /// A command no longer reads its input.
    #[error("the command does not read its input any more")]
    InputClosed,
    /// It was ended because its processes used more than they may.
    #[error("the sandbox was ended: it used more than its limit of {what}")]
    LimitExceeded {
        /// Which limit and how much it is, e.g. `memory (512 MiB)`.
        what: String,
    },
    /// It was ended because nothing happened in it; made anew at the next command.
    #[error(
        "the sandbox was ended: nothing happened in it for {minutes} min (no output, no \
         processor time)"
    )]
    Idle {
        /// For how long.
        minutes: u64,
    },
    /// The disk upper was in use when the machine went down, so that parts of it may never have
    /// reached the disk. Take the checkpoint instead.
    #[error("what was written in `{path}` before the machine restarted cannot be trusted")]
    UpperStale {
        /// The upper.
        path: String,
    },
}

impl SandboxError {
    /// Whether it is the host's disk that has no room: then it helps to make some, and to go on.
    pub fn is_host_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::HostDiskFull => true,
            Self::Create { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            _ => false,
        }
    }

    /// The key of a recipe that raises the limit at which it was ended, if it was ended at one.
    pub fn limit_key(&self) -> Option<&'static str> {
        let what = match self {
            Self::DiskFull => return Some("limits.disk_mib"),
            Self::Idle { .. } => return Some("limits.idle_minutes"),
            Self::LimitExceeded { what } => what,
            _ => return None,
        };
        let keys = [
            ("memory", "limits.memory_mib"),
            ("processes", "limits.processes"),
            ("files", "limits.files"),
        ];
        keys.into_iter().find(|(word, _)| what.starts_with(word)).map(|(_, key)| key)
    }
}

/// Why a file could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no file `{0}`")]
    NotFound(String),
    /// A directory, device, pipe or socket.
    #[error("`{0}` is not a regular file")]
    NotAFile(String),
    /// Larger than asked for.
    #[error("`{path}` has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Which.
        path: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The system refused.
    #[error("cannot access `{path}`: {message}")]
    Denied {
        /// Which.
        path: String,
        /// What the system said.
        message: String,
    },
    /// The sandbox itself failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
