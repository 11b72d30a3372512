//! What the zygote is told to do: one request.

use std::path::PathBuf;

use quire_domain::sandbox::UpperUse;
use serde::{Deserialize, Serialize};

/// One request to the zygote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Make a sandbox. Descriptors: the guest's socket, then `cgroup.procs` files.
    Create(Box<Plan>),
    /// Make a stem: a process that joins its control groups ahead of time, waits for a plan and
    /// the guest's socket on its own socket, and makes that sandbox. Descriptors: its socket,
    /// then `cgroup.procs` files.
    Stem {
        /// First id of the range that its sandbox will have, so that the tables for id-mapped
        /// mounts are made ahead of time, too.
        range: Option<u32>,
        /// Its control groups, which the zygote removes should the host die.
        groups: Vec<PathBuf>,
    },
    /// Remove a tree whose owners this user may not act for otherwise. Descriptor: the answer's
    /// socket.
    Remove(PathBuf),
    /// Remove this tree should the host die while it has this name. Descriptor: the answer's socket.
    Forfeit(PathBuf),
    /// Open what a sandbox wrote, whoever of its ids owns it. Descriptor: the answer's socket, on
    /// which what was opened travels back.
    Open {
        /// The directory that it lies in or below.
        dir: PathBuf,
        /// Where below it, in bytes.
        path: Vec<u8>,
    },
    /// Measure what sandboxes wrote below this directory, whoever of its ids owns it. Descriptor:
    /// the answer's socket.
    Measure {
        /// Which.
        dir: PathBuf,
        /// Entries that are looked at.
        most: u64,
    },
    /// Say what the zygote can do here, and with layers on the file system of this directory.
    /// Descriptor: the answer's socket.
    Probe(PathBuf),
}

/// How a sandbox is to be made. Paths of the host are absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What lies beneath everything.
    pub root: RootPlan,
    /// What is shown where, parents before children.
    pub mounts: Vec<MountPlan>,
    /// Where what is written goes.
    pub upper: UpperPlan,
    /// First host uid of the range of this sandbox; `None` for the zygote's own.
    pub range: Option<u32>,
    /// Whether layers are shown id-mapped.
    pub idmapped: bool,
    /// Uid 0 inside with the capabilities of package managers, in place of uid 1000 without.
    pub setup: bool,
    /// Whether it was folded before: then `/tmp` is brought back.
    pub unfolding: bool,
    /// The home directory, made if absent.
    pub home: PathBuf,
    /// The working directory, made if absent.
    pub workdir: PathBuf,
    /// Size of `/tmp` in bytes.
    pub tmp_bytes: u64,
    /// Inodes of `/tmp` and of a memory upper.
    pub inodes: u64,
    /// Resource limits as (number, value), soft and hard alike.
    pub rlimits: Vec<(u32, u64)>,
    /// The port on its loopback that the host serves.
    pub door: Option<u16>,
    /// CPUs that its processes may run on; empty for all.
    pub cpus: Vec<usize>,
    /// Control groups made for it alone, which the zygote removes should the host die.
    pub groups: Vec<PathBuf>,
}

/// What lies beneath everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RootPlan {
    /// The host's system directories over a small root of our own, with this copy of `/etc`.
    Host {
        /// The copy.
        etc: PathBuf,
    },
    /// An overlay named `root` in the upper.
    Layers(Vec<LayerPlan>),
}

/// A read-only layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerPlan {
    /// Where.
    pub path: PathBuf,
    /// Whether its files carry the ids of sandboxes, not those of this process.
    pub sandbox_owned: bool,
}

/// Something shown inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MountPlan {
    /// A writable overlay; a plain directory where it has no layers.
    Overlay {
        /// Where it shows.
        target: PathBuf,
        /// Topmost first.
        lowers: Vec<LayerPlan>,
        /// Its directory in the upper.
        name: String,
    },
    /// A system directory of the host with layers over it: written to in setup, in the upper's
    /// directory `name`; read-only else. What cannot be laid over is shown as it is, in setup.
    System {
        /// Where it is on the host and where it shows.
        target: PathBuf,
        /// Its directory in the upper.
        name: String,
        /// Topmost first.
        lowers: Vec<LayerPlan>,
        /// Whether it is written to.
        writable: bool,
    },
    /// What package managers know, below `/var`: the host's, with what layers of `/var` hold of
    /// it. What is written goes to its place in the upper of `var`, so that it is part of that.
    State {
        /// Where it is on the host and where it shows.
        target: PathBuf,
        /// Layers of `/var`, topmost first.
        lowers: Vec<LayerPlan>,
    },
    /// Something of the host, read-only.
    Bind {
        /// On the host.
        source: PathBuf,
        /// Inside.
        target: PathBuf,
        /// Whether its absence is no fault.
        optional: bool,
    },
}

impl MountPlan {
    /// Where it shows inside.
    pub fn target(&self) -> &std::path::Path {
        match self {
            Self::Overlay { target, .. }
            | Self::System { target, .. }
            | Self::State { target, .. }
            | Self::Bind { target, .. } => target,
        }
    }
}

/// Where what is written goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum UpperPlan {
    /// This directory; `<name>/{upper,work}` in it were made by the caller.
    Disk(PathBuf),
    /// Memory of this many bytes.
    Memory(u64),
}

/// What the zygote or the new sandbox answers, as JSON on the guest's socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// The first process was made; its pidfd travels with the message.
    Spawned {
        /// Its process id here.
        pid: i32,
    },
    /// The guest waits for commands. With the message travel its upper and the listener of its
    /// way out, in this order, where there are such.
    Ready {
        /// What works in a weaker way than it should.
        degraded: Vec<String>,
        /// Whether its upper, which lies in memory, is with it.
        upper: bool,
    },
    /// It could not be made.
    Failed {
        /// What was being done.
        step: String,
        /// The system's error number.
        errno: i32,
    },
    /// Done; to `Remove`.
    Done,
    /// To `Measure`.
    Measured(UpperUse),
    /// To `Probe`: what the zygote can do here.
    Abilities(Abilities),
}

/// What the zygote can do here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// Real root of the first user namespace.
    pub root: bool,
    /// Ids it may map: 1 without sub-ids.
    pub ids: u32,
    /// Layers can be shown id-mapped.
    pub idmap: bool,
    /// Why no user namespace could be made, if so.
    pub userns_error: Option<i32>,
    /// Why the range of sub-ids is not used, if so.
    pub range_error: Option<String>,
    /// Landlock's version; 0 without.
    pub landlock: u32,
}
