//! What is made of a base: layers, an identity, what the image says of itself, and what it lacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use quire_domain::sandbox::Layer;

use crate::error::ImageError;

/// A root file system to start sandboxes over.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its layers, topmost first: for [`quire_domain::sandbox::SandboxBase::Layers`].
    pub layers: Vec<Layer>,
    /// What it is, in full: an image by registry, path and digest, else the path on this machine.
    pub name: String,
    /// About what its layers take on the disk, unpacked; 0 for a directory.
    pub bytes: u64,
    /// What the snapshot's key names it by: the same as long as its content is the same. An image's
    /// or a tar's digest; for a directory see `docs/design/images.md`.
    pub identity: String,
    /// The variables that an image sets. The environment's own win over them.
    pub env: BTreeMap<String, String>,
    /// The working directory that an image names. Tasks have their own.
    pub workdir: Option<String>,
    /// The user that an image names, as it names it. Commands run as uid 1000 or, in setup, as root.
    pub user: Option<String>,
    /// An image's labels.
    pub labels: BTreeMap<String, String>,
    /// What was left out, ignored or done otherwise: a sentence each, for the log.
    pub notes: Vec<String>,
    /// What a task will miss in it.
    pub lacks: Vec<Lack>,
    /// Keep it for as long as a sandbox or a kept upper stands on the layers: what is held is not
    /// evicted, by this process or another.
    pub hold: Hold,
}

impl Base {
    /// Refuses a base over which no command can run: no shell, or another architecture. What setup
    /// may still install (git, certificates) is no reason.
    pub fn check_before_setup(&self) -> Result<(), ImageError> {
        self.refuse(|lack| lack.kind.is_fatal())
    }

    /// Refuses a base that lacks anything an agent needs, as it is where no setup runs.
    pub fn check_without_setup(&self) -> Result<(), ImageError> {
        self.refuse(|lack| lack.kind.is_fatal() || lack.kind == LackKind::Git)
    }

    fn refuse(&self, which: impl Fn(&Lack) -> bool) -> Result<(), ImageError> {
        let lacks: Vec<Lack> = self.lacks.iter().filter(|lack| which(lack)).cloned().collect();
        if lacks.is_empty() { Ok(()) } else { Err(ImageError::Unusable { lacks }) }
    }
}

/// What is known of an image or a tar without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its digest.
    pub identity: String,
    /// How many layers it has.
    pub layers: usize,
    /// About what those take that are here, unpacked.
    pub bytes: u64,
    /// Whether all of them are here.
    pub whole: bool,
    /// Seconds since 1970 when it was last asked what the name stands for.
    pub asked_at: u64,
}

/// Keeps what a base is made of from being evicted, until its last copy is dropped.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    /// The shared lock on the base's record; none for a directory.
    _lock: Option<Arc<std::fs::File>>,
}

impl Hold {
    /// By the shared lock on a base's record.
    pub(crate) fn by(lock: std::fs::File) -> Self {
        Self { _lock: Some(Arc::new(lock)) }
    }
}

/// Something that a task will miss in a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What.
    pub kind: LackKind,
    /// What is missing and what follows from it.
    pub what: String,
    /// The line to add, and where.
    pub remedy: String,
}

/// What may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LackKind {
    /// `/bin/sh`.
    Shell,
    /// `bash`, by which every command of a recipe and of the agent runs.
    Bash,
    /// Its programs are of another processor.
    Architecture,
    /// Directories that a sandbox needs for itself.
    Places,
    /// `git`.
    Git,
    /// `/etc/passwd`: the sandbox writes one for the agent, setup has none.
    Accounts,
    /// Certificate authorities: nothing is believed over TLS but what the sandbox is given.
    Certificates,
}

impl LackKind {
    /// Whether no command can run without it, so that setup cannot bring it either.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::Shell | Self::Bash | Self::Architecture | Self::Places)
    }
}
