//! System directories over the host's view: what setup writes to, and what its layers are laid
//! over later.

use std::path::{Path, PathBuf};

use quire_domain::sandbox::{Finding, FindingLevel, Layer, SandboxBase, SandboxSpec, SandboxUser};

use super::planning::{self, Ids};
use crate::plan::{Abilities, LayerPlan, MountPlan};
use crate::sys;

/// Those that have layers, by their name in the upper.
pub const NAMES: [&str; 5] = ["usr", "etc", "var", "opt", "srv"];

/// What package managers know of what is installed, below `/var`.
const STATE: [&str; 9] = [
    "/var/cache/debconf",
    "/var/lib/apt",
    "/var/lib/dnf",
    "/var/lib/dpkg",
    "/var/lib/pacman",
    "/var/lib/pam",
    "/var/lib/python",
    "/var/lib/rpm",
    "/var/lib/ucf",
];

/// Adds to the mounts over a host's base what is laid over its system directories.
pub fn lay(spec: &SandboxSpec, ids: Ids, mounts: &mut Vec<MountPlan>) {
    let setup = spec.user == SandboxUser::SetupRoot;
    for name in NAMES {
        let target = Path::new("/").join(name);
        let layers = spec.system.get(name).map(Vec::as_slice).unwrap_or_default();
        let lowers: Vec<LayerPlan> = layers.iter().map(planning::layer).collect();
        let own = mounts.iter_mut().find(|mount| mount.target() == target);
        if let Some(MountPlan::Overlay { lowers: own, .. }) = own {
            own.extend(lowers);
        } else if name == "var" {
            mounts.push(MountPlan::Overlay { target, lowers, name: name.to_owned() });
        } else if !lowers.is_empty() || (setup && writable(name, ids)) {
            let (name, writable) = (name.to_owned(), setup);
            mounts.push(MountPlan::System { target, name, lowers, writable });
        }
    }
    if setup && ids.idmapped {
        let layers = spec.system.get("var").map(Vec::as_slice).unwrap_or_default();
        let lowers: Vec<_> = layers.iter().map(planning::layer).collect();
        mounts.extend(STATE.iter().map(|target| MountPlan::State {
            target: PathBuf::from(target),
            lowers: lowers.clone(),
        }));
    }
}

/// Whether setup may write to it. Files of `/usr` belong to nobody inside where they cannot be
/// shown id-mapped: then it is left as it is, so that a refusal says what it is.
fn writable(name: &str, ids: Ids) -> bool {
    name != "usr" || ids.idmapped
}

/// The names of the overlays of a specification, which are directories of its upper.
pub fn overlay_names(spec: &SandboxSpec) -> Vec<&str> {
    let mut names: Vec<&str> = spec.overlays.iter().map(|one| one.name.as_str()).collect();
    let own: &[&str] = match (&spec.base, spec.user) {
        (SandboxBase::Layers(_), _) => &["home", "root"],
        (SandboxBase::Host, SandboxUser::Agent) => &["home", "var"],
        (SandboxBase::Host, SandboxUser::SetupRoot) => &["home", "usr", "etc", "var", "opt", "srv"],
    };
    names.extend(own);
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether an overlay of this name is worth a layer: one of a system directory in which nothing
/// was written costs every later sandbox a mount.
pub fn is_worth_a_layer(spec: &SandboxSpec, name: &str, upper: &Path) -> bool {
    let named = spec.overlays.iter().any(|overlay| overlay.name == name);
    if named || matches!(name, "home" | "var" | "root") {
        return true;
    }
    std::fs::read_dir(upper).is_ok_and(|mut entries| entries.next().is_some())
}

/// Layers of system directories, by whoever they were made.
pub fn layers(spec: &SandboxSpec) -> impl Iterator<Item = &Layer> {
    spec.system.values().flatten()
}

/// How far package managers of the system can go in setup over `base`.
pub fn packages_in_setup(abilities: &Abilities, base: &SandboxBase) -> Finding {
    let found = |level, detail: &str, remedy: Option<&str>| Finding {
        name: "packages in setup".to_owned(),
        level,
        detail: detail.to_owned(),
        remedy: remedy.map(str::to_owned),
    };
    if abilities.userns_error.is_some() {
        let detail = "not tried, as no user namespace can be made";
        return found(FindingLevel::Missing, detail, None);
    }
    let image = "give the environment an image or a directory as its base, install the packages \
                 on this host, or run as root";
    match base {
        SandboxBase::Host if !abilities.root => found(
            FindingLevel::Degraded,
            "over this host's view apt and its like cannot install: its system directories belong \
             to a root that an ordinary user's sandbox does not have; what installs below the \
             home, the project, /opt or /etc works",
            Some(image),
        ),
        SandboxBase::Host if !abilities.idmap => found(
            FindingLevel::Degraded,
            "over this host's view apt and its like cannot install: its system directories cannot \
             be shown with other owners (id-mapped mounts are refused)",
            Some("use a kernel of 5.19 or later and ext4, xfs or btrfs, or another base"),
        ),
        SandboxBase::Host if sys::mounts_below(Path::new("/usr")) => found(
            FindingLevel::Degraded,
            "over this host's view apt and its like cannot install: something is mounted below \
             /usr, so that nothing can be laid over it",
            Some("unmount what is below /usr (`findmnt -R /usr`), or use another base"),
        ),
        SandboxBase::Layers(_) if abilities.ids == 1 => found(
            FindingLevel::Degraded,
            "there is one id only: every file that a package brings belongs to the same user, and \
             what runs as a user of its own (a database's set-up, for example) fails",
            Some(
                "install uidmap, and give the user 65,536 ids: `usermod --add-subuids \
                 100000-165535 --add-subgids 100000-165535 USER`",
            ),
        ),
        SandboxBase::Host | SandboxBase::Layers(_) => {
            found(FindingLevel::Good, "package managers of the system can install", None)
        }
    }
}
