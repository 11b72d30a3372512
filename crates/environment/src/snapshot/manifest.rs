//! What a snapshot holds and how it came about, in one small file beside its layers.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use quire_domain::sandbox::{LimitMet, UpperUse};
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::key::{Inputs, Key};

/// Its name in the snapshot's directory.
pub(super) const MANIFEST: &str = "manifest.json";

/// The longest one that is read, in bytes.
const MOST_BYTES: u64 = 4 << 20;

/// What a snapshot holds and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What it is found by.
    pub key: Key,
    /// Whose it is: nobody else's attempts stand on it.
    pub owner: String,
    /// The environment.
    pub environment: String,
    /// What the key hangs on; what is made from another one has that one's.
    pub inputs: Inputs,
    /// The commit that it was made on.
    pub commit: String,
    /// What ran.
    pub script: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// How long that took, in milliseconds.
    pub ms: u64,
    /// Milliseconds after which nothing new stands on it.
    pub lifetime_ms: u64,
    /// The names of the snapshots that it lies on, the nearest first.
    #[serde(default)]
    pub below: Vec<String>,
    /// The overlays that it has a layer for.
    pub overlays: Vec<String>,
    /// Variables that setup set for all later commands.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// `core.hooksPath`, where setup set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks_path: Option<String>,
    /// Limits that were met while it was made, although the script ended well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits_met: Vec<LimitMet>,
    /// Lines about it for the person.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How much its layers hold.
    #[serde(default)]
    pub used: UpperUse,
}

impl Manifest {
    /// `None` if there is none, or it cannot be read as one.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        let file = std::fs::File::open(dir.join(MANIFEST)).ok()?;
        let mut text = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// On disk when it returns.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let mut file = std::fs::File::create(dir.join(MANIFEST))?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()
    }

    /// Whether its time is over: after `lifetime_ms`, or where it is from a time to come, as the
    /// clock jumped back and nobody knows its age.
    pub fn is_over(&self, lifetime_ms: u64, now: Timestamp) -> bool {
        self.made_at > now || now.millis_since(self.made_at) >= lifetime_ms
    }
}
