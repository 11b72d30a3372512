//! Records: what a name stood for, what that is made of, and when it was asked.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Chain, Store};
use crate::digest::Digest;
use crate::manifest::{Described, Descriptor};

/// What a name stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The name, in full.
    pub(crate) name: String,
    /// Of the image for this machine, or of the tar.
    pub(crate) digest: Digest,
    /// Seconds since 1970.
    pub(crate) asked_at: u64,
    /// Lowest first.
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) described: Described,
    /// Of a tar: what it looked like when it was read.
    #[serde(default)]
    pub(crate) seen: String,
}

impl Record {
    /// The chain of each layer, lowest first.
    pub(crate) fn chains(&self) -> Vec<Chain> {
        let mut chains: Vec<Chain> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            chains.push(Chain::over(chains.last(), &layer.digest));
        }
        chains
    }

    /// Whether it was asked less than `lifetime` ago. A time to come counts as long ago: a clock
    /// that was set back must not keep it for ever.
    pub(crate) fn is_fresh(&self, lifetime: Duration) -> bool {
        now().checked_sub(self.asked_at).is_some_and(|age| age < lifetime.as_secs())
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Store {
    /// The record of a key, which is `[a-z0-9-]`.
    pub(crate) fn record(&self, key: &str) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.record_path(key)).ok()?).ok()
    }

    /// Writes a record in one step.
    pub(crate) fn write_record(&self, key: &str, record: &Record) -> std::io::Result<()> {
        let path = self.record_path(key);
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        super::write_synced(&fresh, &serde_json::to_vec(record)?)?;
        fs::rename(fresh, path)
    }

    pub(crate) fn record_path(&self, key: &str) -> PathBuf {
        self.dir.join("records").join(format!("{key}.json"))
    }
}
