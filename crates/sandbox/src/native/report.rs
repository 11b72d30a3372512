//! What isolation and which limits this host gives: a sandbox is made, and what it says counts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quire_domain::environment::Limits;
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, Finding, FindingLevel, IsolationReport, Layer, LayerOwner,
    OverlayMount, Sandbox, SandboxBase, SandboxError, SandboxSpec, SandboxUser, Upper,
};

use super::backend::{Life, Made, Maker};
use super::sandbox::NativeSandbox;
use super::system;
use crate::zygote::RANGE;

/// Tries everything once; about 20 ms.
pub async fn report(maker: &Arc<Maker>) -> IsolationReport {
    let mut findings = vec![user_namespaces(maker)];
    let trial = trial(maker).await;
    match &trial {
        Ok(degraded) => {
            let detail = "a command ran in one, over an overlay on disk".to_owned();
            findings.push(finding("sandbox", FindingLevel::Good, detail, None));
            for weaker in degraded {
                findings.push(finding("sandbox", FindingLevel::Degraded, weaker.clone(), None));
            }
        }
        Err(error) => {
            let mut detail = error.to_string();
            if let Some(cause) = std::error::Error::source(error) {
                detail = format!("{detail}: {cause}");
            }
            let full = "make room on the disk that holds the data directory".to_owned();
            let remedy = error.is_host_disk_full().then_some(full);
            findings.push(finding("sandbox", FindingLevel::Missing, detail, remedy));
        }
    }
    findings.push(ids(maker));
    findings.push(layers(maker));
    findings.push(system::packages_in_setup(&maker.abilities, &SandboxBase::Host));
    findings.push(landlock(maker));
    findings.extend(limits(maker));
    findings.push(finding(
        "disk limit",
        FindingLevel::Degraded,
        "the upper is measured while commands run; each file is limited by RLIMIT_FSIZE; an upper \
         in memory has hard limits"
            .to_owned(),
        None,
    ));
    IsolationReport { usable: trial.is_ok(), findings }
}

fn finding(name: &str, level: FindingLevel, detail: String, remedy: Option<String>) -> Finding {
    Finding { name: name.to_owned(), level, detail, remedy }
}

fn user_namespaces(maker: &Maker) -> Finding {
    let name = "user namespaces";
    match maker.abilities.userns_error {
        None => finding(name, FindingLevel::Good, "can be made".to_owned(), None),
        Some(errno) => {
            let (detail, remedy) = no_user_namespace(errno);
            finding(name, FindingLevel::Missing, detail, Some(remedy))
        }
    }
}

/// Why none can be made, as far as settings tell, and what to do.
pub fn no_user_namespace(errno: i32) -> (String, String) {
    let reads =
        |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    let (cause, remedy) = if reads("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        (
            "AppArmor restricts unprivileged user namespaces",
            "install the AppArmor profile that comes with Quire, or set \
             kernel.apparmor_restrict_unprivileged_userns=0 with sysctl",
        )
    } else if reads("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        ("a sysctl forbids them", "set kernel.unprivileged_userns_clone=1 with sysctl")
    } else if reads("/proc/sys/user/max_user_namespaces", "0") {
        ("none are allowed", "set user.max_user_namespaces=10000 with sysctl")
    } else if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        (
            "the container's profile forbids them",
            "run the container with `--security-opt seccomp=unconfined --security-opt \
             apparmor=unconfined`, or Quire on the host",
        )
    } else {
        ("the system refused", "run as root, or allow user namespaces for this user")
    };
    // The system's own words for the limit would be those of a full disk.
    if errno == libc::ENOSPC {
        let cause = "as many as user.max_user_namespaces allows are in use, or it is 0";
        let remedy = "set user.max_user_namespaces=10000 with sysctl";
        return (format!("no user namespace can be made: {cause}"), remedy.to_owned());
    }
    let error = io::Error::from_raw_os_error(errno);
    (format!("no user namespace can be made: {cause} ({error})"), remedy.to_owned())
}

fn ids(maker: &Maker) -> Finding {
    let name = "user ids";
    let abilities = &maker.abilities;
    if abilities.userns_error.is_some() {
        let detail = "not tried, as no user namespace can be made".to_owned();
        return finding(name, FindingLevel::Degraded, detail, None);
    }
    if abilities.root {
        let detail = "a range of 65,536 for each sandbox, never the host's root".to_owned();
        return finding(name, FindingLevel::Good, detail, None);
    }
    if abilities.ids == RANGE {
        let detail = "a range of 65,536 from the sub-ids of this user".to_owned();
        return finding(name, FindingLevel::Good, detail, None);
    }
    let why = abilities.range_error.clone().unwrap_or_default();
    let remedy = "install uidmap, and give the user 65,536 ids: `usermod --add-subuids \
                  100000-165535 --add-subgids 100000-165535 USER`";
    finding(
        name,
        FindingLevel::Degraded,
        format!(
            "one id only ({why}): package managers of the system cannot work in setup, and this \
             user's other groups cannot be dropped"
        ),
        Some(remedy.to_owned()),
    )
}

fn layers(maker: &Maker) -> Finding {
    let name = "layers";
    let abilities = &maker.abilities;
    if !abilities.root {
        let detail = "owned by this user, mounted as they are".to_owned();
        return finding(name, FindingLevel::Good, detail, None);
    }
    if abilities.idmap {
        return finding(name, FindingLevel::Good, "mounted id-mapped".to_owned(), None);
    }
    let detail = "id-mapped mounts are refused: all sandboxes share one range of ids".to_owned();
    let remedy = "use a kernel of 5.19 or later and a file system that allows them (ext4, xfs, \
                  btrfs)";
    finding(name, FindingLevel::Degraded, detail, Some(remedy.to_owned()))
}

fn landlock(maker: &Maker) -> Finding {
    let name = "Landlock";
    match maker.abilities.landlock {
        0 => {
            let detail = "missing: writes are confined by mounts alone".to_owned();
            let remedy = "use a kernel with Landlock on (`lsm=landlock,...`)".to_owned();
            finding(name, FindingLevel::Degraded, detail, Some(remedy))
        }
        version @ 1..6 => {
            let detail = format!("ABI {version}: no scope for signals and abstract sockets");
            finding(name, FindingLevel::Good, detail, None)
        }
        version => finding(name, FindingLevel::Good, format!("ABI {version}"), None),
    }
}

fn limits(maker: &Maker) -> Vec<Finding> {
    let fallback = [
        ("memory", "memory limit", "memory is added up every 250 ms while commands run"),
        ("pids", "process limit", "RLIMIT_NPROC, counted per sandbox"),
        ("cpu", "CPU limit", "the number of CPUs only, by affinity"),
    ];
    fallback
        .into_iter()
        .map(|(controller, name, otherwise)| match maker.groups.mode(controller) {
            Some(mode) => finding(name, FindingLevel::Good, mode.to_owned(), None),
            None => finding(
                name,
                FindingLevel::Degraded,
                format!("no control group: {otherwise}"),
                Some(
                    "run under `systemd-run --user --scope -p Delegate=yes`, or as root".to_owned(),
                ),
            ),
        })
        .collect()
}

/// Makes a sandbox, runs a command, and takes it down. What is weaker in it than it should be.
async fn trial(maker: &Arc<Maker>) -> Result<Vec<String>, SandboxError> {
    let creating = super::guest::creating;
    let place = maker.state_dir.join(format!("trial-{}", std::process::id()));
    let lower = place.join("lower");
    fs::create_dir_all(&lower).map_err(creating("make the trial's layer"))?;
    let spec = trial_spec(&place, lower);
    let made = maker.make(&spec, Life::First).await;
    let result = match made {
        Ok(made) => run_trial(maker, spec, made).await,
        Err(error) => Err(error),
    };
    let removed = maker.remove(&place).await;
    let degraded = result?;
    removed.map(|()| degraded)
}

async fn run_trial(
    maker: &Arc<Maker>,
    spec: SandboxSpec,
    made: Made,
) -> Result<Vec<String>, SandboxError> {
    let degraded = made.degraded.clone();
    let sandbox = NativeSandbox::new(Arc::clone(maker), spec, made);
    let argv = ["/bin/sh", "-c", "echo > written"].map(str::to_owned).to_vec();
    let command = Command { argv, env: BTreeMap::new(), workdir: None, io: CommandIo::Output };
    let mut output = sandbox.start(command).await?.output;
    let status = loop {
        if let CommandEvent::Exited(status) = output.next().await? {
            break status;
        }
    };
    sandbox.end().await?;
    if status.success() {
        return Ok(degraded);
    }
    Err(SandboxError::Gone(format!("a command could not write: it exited with {}", status.code())))
}

fn trial_spec(place: &Path, lower: PathBuf) -> SandboxSpec {
    SandboxSpec {
        name: "trial".to_owned(),
        base: SandboxBase::Host,
        system: BTreeMap::new(),
        overlays: vec![OverlayMount {
            target: PathBuf::from("/workspace/trial"),
            lowers: vec![Layer { path: lower, owner: LayerOwner::Host }],
            name: "work".to_owned(),
        }],
        binds: Vec::new(),
        upper: Upper::Disk(place.join("upper")),
        workdir: PathBuf::from("/workspace/trial"),
        home: PathBuf::from("/home/quire"),
        env: BTreeMap::new(),
        user: SandboxUser::Agent,
        limits: Limits { processes: 64, ..Limits::default() },
        egress: None,
    }
}
