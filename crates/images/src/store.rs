//! What is kept below `<data>/images`, and where.
//!
//! ```text
//! records/<key>.json        what a reference stood for, and when that was asked
//! blobs/<hex>[.part]        layers on their way in, until they are unpacked
//! layers/<chain>/           layer.json, and the layer itself at layer/upper
//! unpacking/<chain>         uppers of the sandboxes that unpack
//! trash/                    what is to be removed
//! locks/                    one file per thing that only one process may make
//! ```

mod evict;
pub(crate) mod lock;
mod record;

use std::fs;
use std::path::{Path, PathBuf};

use quire_domain::sandbox::{Layer, LayerOwner};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::error::ImageError;
use crate::inside::{Counts, Found};

pub(crate) use self::record::{Record, now};

/// The directories of the store.
const DIRECTORIES: [&str; 6] = ["records", "blobs", "layers", "unpacking", "trash", "locks"];

/// Raised when what an unpacked layer looks like changes: older ones are then no longer found.
const LAYOUT: u32 = 1;

/// The store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

/// A layer and all beneath it: the layers that give the same tree. A hash over the digests of the
/// blobs, which were checked before anything read them. What an image *says* is in its layers
/// (`diff_ids`) names nothing here: it would let one image stand in for another's layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Chain(String);

impl Chain {
    /// The chain that has `blob` on top of `beneath`.
    pub(crate) fn over(beneath: Option<&Self>, blob: &Digest) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(&LAYOUT.to_le_bytes());
        hasher.update(beneath.map_or("", |chain| chain.0.as_str()).as_bytes());
        hasher.update(blob.hex().as_bytes());
        Self(hasher.finish().hex().to_owned())
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

/// What is known of an unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerFacts {
    pub(crate) blob: Digest,
    pub(crate) diff_id: Option<Digest>,
    pub(crate) counts: Counts,
    /// What the tree has, with all that lies beneath.
    pub(crate) found: Found,
}

impl LayerFacts {
    /// About what it takes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.counts.bytes + 512 * self.counts.entries
    }
}

impl Store {
    pub(crate) fn open(dir: &Path) -> Result<Self, ImageError> {
        let made = ImageError::store(format!("make the image store {}", dir.display()));
        let make = || -> std::io::Result<PathBuf> {
            for name in DIRECTORIES {
                fs::create_dir_all(dir.join(name))?;
            }
            fs::canonicalize(dir)
        };
        Ok(Self { dir: make().map_err(made)? })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs").join(digest.hex())
    }

    pub(crate) fn unpacking(&self, chain: &Chain) -> PathBuf {
        self.dir.join("unpacking").join(chain.name())
    }

    fn holder(&self, chain: &Chain) -> PathBuf {
        self.dir.join("layers").join(chain.name())
    }

    /// The layer of a chain, as a sandbox takes it.
    pub(crate) fn layer(&self, chain: &Chain) -> Layer {
        let path = self.holder(chain).join("layer/upper");
        Layer { path, owner: LayerOwner::Sandbox }
    }

    /// What is known of a layer, if it is there.
    pub(crate) fn facts(&self, chain: &Chain) -> Option<LayerFacts> {
        let text = fs::read(self.holder(chain).join("layer.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Notes that a layer is used: the least recently used go first.
    pub(crate) fn touch(&self, chain: &Chain) {
        touch(&self.holder(chain).join("layer.json"));
    }

    /// Puts an upper that was frozen in its place, by one rename.
    pub(crate) fn keep(
        &self,
        chain: &Chain,
        facts: &LayerFacts,
        upper: &Path,
    ) -> std::io::Result<()> {
        let text = serde_json::to_vec(facts)?;
        write_synced(&upper.join("layer.json"), &text)?;
        let holder = self.holder(chain);
        if let Err(error) = fs::rename(upper, &holder) {
            if !holder.exists() || self.facts(chain).is_some() {
                return Err(error);
            }
            // What lies there has lost its facts, so that it is never found: it goes with the next
            // eviction, and until then under whoever stands on it.
            let aside = format!("{}.{}", chain.name(), std::process::id());
            fs::rename(&holder, self.dir.join("trash").join(aside))?;
            fs::rename(upper, holder)?;
        }
        sync_directory(&self.dir.join("layers"))?;
        // What the sandbox noted beside its upper is of no use there.
        let _ = fs::remove_file(upper.with_extension("boot"));
        Ok(())
    }

    /// The file that is locked by who makes, or uses, `what`.
    pub(crate) fn lock_file(&self, what: &str) -> PathBuf {
        self.dir.join("locks").join(what)
    }
}

/// Sets the times of a file to now; what fails makes it go sooner, no more.
fn touch(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};
    let time = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: time, last_modification: time };
    let _ = rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
}

/// Writes a file and waits until it is on the disk.
fn write_synced(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::File::create(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    fs::File::open(path)?.sync_all()
}
