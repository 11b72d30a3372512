//! What a person is told while a base is prepared.

/// What is going on. Told at most about ten times a second, and at each beginning and end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The registry is asked what the name stands for.
    Resolving {
        /// The image, as it was named.
        reference: String,
    },
    /// A layer comes in. Several may at once.
    Fetching {
        /// Which, counted from 1.
        layer: usize,
        /// How many there are.
        of: usize,
        /// Bytes that are here, those of an earlier try included.
        bytes: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A layer is unpacked.
    Unpacking {
        /// Which, counted from 1.
        layer: usize,
        /// How many there are.
        of: usize,
        /// Bytes written so far.
        bytes: u64,
    },
    /// Another process does the same: its result is waited for.
    Waiting {
        /// For what, e.g. `layer sha256:9c41…`.
        what: String,
    },
    /// Something failed that is tried again.
    Retrying {
        /// What happened.
        why: String,
        /// Milliseconds until the next try.
        after_ms: u64,
    },
}

/// Who is told. Called from several tasks; returns at once.
pub type Watcher = dyn Fn(Progress) + Send + Sync;
