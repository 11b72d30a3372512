//! From the contract's specification to the zygote's plan.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use quire_domain::environment::Limits;
use quire_domain::sandbox::{
    Layer, LayerOwner, SandboxBase, SandboxError, SandboxSpec, SandboxUser, Upper,
};

use super::system;
use crate::plan::{LayerPlan, MountPlan, Plan, RootPlan, UpperPlan};

/// The most layers beneath one overlay.
const MAX_LAYERS: usize = 400;

/// Where the sandbox's ids come from.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    /// First host uid of its range; `None` for the zygote's own ids.
    pub range: Option<u32>,
    /// Whether layers are shown id-mapped.
    pub idmapped: bool,
}

/// Makes the plan; `etc` is the copy of `/etc` where the host is the base.
pub fn plan(spec: &SandboxSpec, ids: Ids, etc: Option<PathBuf>) -> Result<Plan, SandboxError> {
    check(spec)?;
    let root = match (&spec.base, etc) {
        (SandboxBase::Layers(layers), _) => RootPlan::Layers(layers.iter().map(layer).collect()),
        (SandboxBase::Host, Some(etc)) => RootPlan::Host { etc },
        (SandboxBase::Host, None) => return Err(wrong("the copy of /etc is missing")),
    };
    let mut mounts: Vec<_> = spec
        .overlays
        .iter()
        .map(|overlay| MountPlan::Overlay {
            target: overlay.target.clone(),
            lowers: overlay.lowers.iter().map(layer).collect(),
            name: overlay.name.clone(),
        })
        .collect();
    // The home is written to as well, and lies in the upper by this name.
    if !mounts.iter().any(|mount| mount.target() == spec.home) {
        let (target, name) = (spec.home.clone(), "home".to_owned());
        mounts.push(MountPlan::Overlay { target, lowers: Vec::new(), name });
    }
    if spec.base == SandboxBase::Host {
        system::lay(spec, ids, &mut mounts);
    }
    mounts.extend(spec.binds.iter().map(|bind| MountPlan::Bind {
        source: bind.source.clone(),
        target: bind.target.clone(),
        optional: bind.optional,
    }));
    // Parents before children; among equals, overlays stay before binds.
    mounts.sort_by_key(|mount| mount.target().components().count());
    let limits = &spec.limits;
    Ok(Plan {
        root,
        mounts,
        upper: match &spec.upper {
            Upper::Disk(path) => UpperPlan::Disk(path.clone()),
            Upper::Memory => UpperPlan::Memory(limits.disk_bytes),
        },
        range: ids.range,
        idmapped: ids.idmapped,
        setup: spec.user == SandboxUser::SetupRoot,
        unfolding: false,
        home: spec.home.clone(),
        workdir: spec.workdir.clone(),
        tmp_bytes: limits.tmp_bytes,
        inodes: limits.inodes,
        rlimits: rlimits(limits, matches!(spec.upper, Upper::Disk(_))),
        door: spec.egress.as_ref().map(|door| door.port),
        cpus: cpus(limits.cpu_millis),
        groups: Vec::new(),
    })
}

pub fn layer(layer: &Layer) -> LayerPlan {
    LayerPlan { path: layer.path.clone(), sandbox_owned: layer.owner == LayerOwner::Sandbox }
}

/// What the rest relies on.
fn check(spec: &SandboxSpec) -> Result<(), SandboxError> {
    let named = |name: &str, length: usize| {
        !name.is_empty()
            && name.len() <= length
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    if !named(&spec.name, 60) {
        return Err(wrong(&format!("the name `{}` is not of the form [a-z0-9-]", spec.name)));
    }
    if spec.egress.as_ref().is_some_and(|door| door.port == 0) {
        return Err(wrong("the way out has no port"));
    }
    if let Some(name) = spec.system.keys().find(|name| !system::NAMES.contains(&name.as_str())) {
        return Err(wrong(&format!("`{name}` is no system directory that layers are laid over")));
    }
    let host = spec.base == SandboxBase::Host;
    if (!host && !spec.system.is_empty())
        || spec.system.values().any(|lowers| lowers.len() > MAX_LAYERS)
    {
        return Err(wrong("the layers of its system directories cannot be laid"));
    }
    let mut names = vec!["home", "root"];
    if host {
        names.extend(system::NAMES);
    }
    for overlay in &spec.overlays {
        if !named(&overlay.name, 60) {
            return Err(wrong(&format!("the overlay's name `{}` is malformed", overlay.name)));
        }
        let builtin = match overlay.name.as_str() {
            "home" => overlay.target == spec.home,
            name if host && system::NAMES.contains(&name) => {
                overlay.target == Path::new("/").join(name)
            }
            name => !names.contains(&name),
        };
        // Where what package managers know is worked on.
        let reserved = overlay.name.starts_with("state-");
        if !builtin || reserved || overlay.lowers.len() > MAX_LAYERS {
            return Err(wrong(&format!("the overlay `{}` cannot be made", overlay.name)));
        }
        names.push(&overlay.name);
    }
    let targets = spec.overlays.iter().map(|overlay| &overlay.target);
    let targets = targets.chain(spec.binds.iter().map(|bind| &bind.target));
    for path in targets.chain([&spec.home, &spec.workdir]) {
        let plain = path.is_absolute()
            && path
                .components()
                .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !plain || path == Path::new("/") {
            return Err(wrong(&format!("`{}` is no place in a sandbox", path.display())));
        }
    }
    Ok(())
}

fn wrong(what: &str) -> SandboxError {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, what.to_owned());
    SandboxError::Create { step: "read its specification".to_owned(), source }
}

/// How much further the limit that each process carries is than that of its group: the group's
/// is to be met first, as it counts how often.
const BEYOND_GROUP: u64 = 16;

/// Leaves the limit of processes to a control group.
pub fn leave_processes_to_group(plan: &mut Plan) {
    for (number, value) in &mut plan.rlimits {
        if *number == libc::RLIMIT_NPROC {
            *value = value.saturating_add(BEYOND_GROUP);
        }
    }
}

/// Limits of each process; they hold where there are no control groups, too.
fn rlimits(limits: &Limits, on_disk: bool) -> Vec<(u32, u64)> {
    const MIB: u64 = 1 << 20;
    let mut all = vec![
        (libc::RLIMIT_NOFILE, u64::from(limits.open_files.min(65_536))),
        // Counted per user namespace, as it is set inside it.
        (libc::RLIMIT_NPROC, u64::from(limits.processes)),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_MEMLOCK, 8 * MIB),
        (libc::RLIMIT_RTPRIO, 0),
        (libc::RLIMIT_NICE, 0),
        (libc::RLIMIT_MSGQUEUE, MIB),
        (libc::RLIMIT_SIGPENDING, 16_384),
    ];
    if on_disk {
        all.push((libc::RLIMIT_FSIZE, limits.disk_bytes));
    }
    all
}

/// As many of the CPUs we may use as the limit says, beginning at another one each time; none
/// to leave it as it is. What sizes itself by the machine then does so by the limit.
fn cpus(cpu_millis: u32) -> Vec<usize> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let Ok(allowed) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    let allowed: Vec<usize> =
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let wanted = cpu_millis.div_ceil(1000).max(1) as usize;
    if wanted >= allowed.len() {
        return Vec::new();
    }
    let first = NEXT.fetch_add(wanted, Ordering::Relaxed);
    (0..wanted).map(|index| allowed[(first + index) % allowed.len()]).collect()
}
