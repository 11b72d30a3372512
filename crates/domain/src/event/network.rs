//! Connections out of a sandbox.

use serde::{Deserialize, Serialize};

use crate::ids::ChunkId;

/// See [`super::EventBody::EgressAllowed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Egress {
    /// Host and port.
    pub host: String,
    /// The method, where it is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The rule that decided; of a denied one, the line that would allow it, or why none can.
    pub rule: String,
    /// The path, without its query, where it is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why it was denied: a word of the proxy's, e.g. `no_rule`, `private_address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes that went out.
    #[serde(default)]
    pub sent: u64,
    /// Bytes that came in.
    #[serde(default)]
    pub received: u64,
    /// How long it was open, in milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// The command that made it, by its chunk, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<ChunkId>,
    /// How many like it (same host, method, rule, command) this stands for, itself included.
    #[serde(default = "one")]
    pub times: u64,
}

fn one() -> u64 {
    1
}
