//! What a host gives to sandboxes, as it was tried.

use serde::{Deserialize, Serialize};

/// What isolation and which limits a host gives, for people and for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolationReport {
    /// Whether sandboxes can be made.
    pub usable: bool,
    /// One entry for each thing that was tried.
    pub findings: Vec<Finding>,
}

/// One thing that was tried on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What, e.g. `memory limit`.
    pub name: String,
    /// How well it stands.
    pub level: FindingLevel,
    /// What was found, e.g. `cgroup v1`.
    pub detail: String,
    /// What to do about it, where something can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How well something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// As it should be.
    Good,
    /// Works in a weaker way.
    Degraded,
    /// Missing; sandboxes cannot be made without it.
    Missing,
}
