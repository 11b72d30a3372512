//! What runs inside the throw-away sandbox: a layer is read, checked and laid down.
//!
//! It is root inside, sees the layers beneath as one writable directory, and talks to the host by
//! lines of JSON on its standard output ([`Said`]). What it reads is hostile; where it stands, all it
//! could spoil is that directory.

mod apply;
mod header;
mod owners;
mod pax;
mod place;
mod probe;
mod reader;
mod sparse;
mod stream;

use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The directory that stands for the root.
    pub(crate) root: PathBuf,
    /// The tar to unpack there; none to look only.
    pub(crate) blob: Option<PathBuf>,
    /// Bytes that may be written, as the tar counts them.
    pub(crate) max_bytes: u64,
    /// Entries that may be made.
    pub(crate) max_entries: u64,
    /// How many times as large as the blob it may be, above a GiB.
    pub(crate) max_ratio: u64,
}

/// What is said to the host, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// So many bytes are unpacked.
    Bytes(u64),
    /// It is done.
    Done(Done),
    /// It cannot be done.
    Failed(Fault),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The digest of the tar, without compression.
    pub(crate) diff_id: Option<Digest>,
    /// What was counted.
    pub(crate) counts: Counts,
    /// What is there.
    pub(crate) found: Found,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Bytes of files.
    pub(crate) bytes: u64,
    /// Files, directories and links.
    pub(crate) entries: u64,
    /// Devices that were left out.
    pub(crate) devices: u64,
    /// Owners that could not be given.
    pub(crate) owners: u64,
    /// Extended attributes that were left out.
    pub(crate) attributes: u64,
    /// Entries of kinds that are not known.
    pub(crate) unknown: u64,
}

/// What a root file system brings along.
#[expect(clippy::struct_excessive_bools, reason = "a list of what is there")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// `/bin/sh`, or `sh` on the path.
    pub(crate) shell: bool,
    /// `bash` on the path.
    pub(crate) bash: bool,
    /// `git` on the path.
    pub(crate) git: bool,
    /// `/etc/passwd`.
    pub(crate) accounts: bool,
    /// A bundle of certificate authorities.
    pub(crate) certificates: bool,
    /// The ELF machine number of its shell, if that is a program.
    pub(crate) machine: Option<u16>,
    /// Parts of an image where a root file system should be.
    #[serde(default)]
    pub(crate) archive: bool,
    /// Places of a sandbox that are something else than a directory there.
    #[serde(default)]
    pub(crate) misplaced: Vec<String>,
    /// The package manager that is there, e.g. `apt-get`.
    pub(crate) installer: Option<String>,
}

/// Why it cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// The tar or its compression is broken, or of a kind that is not supported.
    Malformed(String),
    /// An entry cannot be laid down.
    Entry {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// More bytes than allowed.
    Bytes,
    /// More entries than allowed.
    Entries,
    /// It grows too much.
    Ratio,
    /// The disk is full.
    DiskFull,
}

impl Fault {
    fn entry(name: &[u8], why: impl std::fmt::Display) -> Self {
        Self::Entry { name: shown(name), why: why.to_string() }
    }
}

/// A name for people: lossily, without control characters, at most 200 characters.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Does what `job` (JSON) says and prints what became of it. Called inside a sandbox by
/// `quire unpack-layer`; gives the process's exit code.
pub fn unpack_layer(job: &str) -> u8 {
    let said = match serde_json::from_str::<Job>(job) {
        Ok(job) => match run(&job) {
            Ok(done) => Said::Done(done),
            Err(fault) => Said::Failed(fault),
        },
        Err(error) => Said::Failed(Fault::Malformed(format!("the job: {error}"))),
    };
    let failed = matches!(said, Said::Failed(_));
    say(&said);
    u8::from(failed)
}

fn run(job: &Job) -> Result<Done, Fault> {
    let root = place::Root::open(&job.root)
        .map_err(|error| Fault::entry(b"/", format!("cannot open the root: {error}")))?;
    let mut done = Done::default();
    if let Some(blob) = &job.blob {
        let (diff_id, counts) = apply::apply(job, blob, &root)?;
        done.diff_id = Some(diff_id);
        done.counts = counts;
    }
    done.found = probe::look(&root);
    Ok(done)
}

/// Nobody reads any more where this fails, and then there is nothing left to do.
fn say(said: &Said) {
    if let Ok(mut line) = serde_json::to_vec(said) {
        line.push(b'\n');
        let _ = std::io::stdout().lock().write_all(&line);
    }
}
