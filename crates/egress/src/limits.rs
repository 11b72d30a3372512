//! How much a sandbox may send and receive, and how long everything may take.

use std::time::Duration;

/// Bounds of one door, unless it says otherwise. What goes over one is refused or cut, with a
/// reason in the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressLimits {
    /// Connections of one sandbox served at once. Further ones wait [`Self::queue`].
    pub connections: usize,
    /// Connections of all sandboxes of the worker served at once; fewer where the process may not
    /// open twelve descriptors for each, so raise its soft limit first.
    pub connections_in_all: usize,
    /// How long a connection waits for its turn before it is answered with 503.
    pub queue: Duration,
    /// Bytes of one connection, both directions together.
    pub bytes_per_connection: u64,
    /// Bytes of one sandbox, both directions together, over all its connections and restarts.
    pub bytes_in_all: u64,
    /// Bytes of the head of a request or an answer.
    pub head_bytes: usize,
    /// Until a request's head is there, from its first byte or the end of the one before.
    pub head: Duration,
    /// Until a TLS handshake is done, on either side.
    pub handshake: Duration,
    /// Until a name is resolved.
    pub resolve: Duration,
    /// Until a host is connected, over all its addresses.
    pub connect: Duration,
    /// Until an answer begins, from the moment its request was sent on.
    pub answer: Duration,
    /// How long nothing may move on a connection.
    pub idle: Duration,
    /// How long a connection may last.
    pub total: Duration,
}

impl Default for EgressLimits {
    /// Wide enough for package managers on a slow line, narrow enough that a sandbox cannot fill a
    /// worker: 128 connections, 32 GiB in all, six hours each.
    fn default() -> Self {
        Self {
            connections: 128,
            connections_in_all: 2048,
            queue: Duration::from_secs(10),
            bytes_per_connection: 16 << 30,
            bytes_in_all: 32 << 30,
            head_bytes: 64 << 10,
            head: Duration::from_secs(20),
            handshake: Duration::from_secs(10),
            resolve: Duration::from_secs(10),
            connect: Duration::from_secs(15),
            answer: Duration::from_mins(5),
            idle: Duration::from_mins(5),
            total: Duration::from_hours(6),
        }
    }
}
