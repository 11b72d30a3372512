//! Control groups: found by trying, made below our own, removed at the end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use quire_domain::environment::Limits;

use super::group_places;
use super::limits_met::Counters;

/// The period that CPU quotas count in, in microseconds.
const PERIOD: u64 = 100_000;

/// The start of every group's name of ours.
pub(super) const PREFIX: &str = "quire-";

/// Where groups can be made on this host.
#[derive(Debug, Default)]
pub struct Groups {
    places: Vec<Place>,
    /// Where it is noted that groups are made, before the first is.
    note_in: Option<PathBuf>,
    noted: OnceLock<()>,
}

/// A directory in which groups can be made.
#[derive(Debug, Clone)]
struct Place {
    directory: PathBuf,
    version: Version,
    /// Of memory, pids and cpu, those that it limits.
    controllers: Vec<&'static str>,
}

impl Place {
    fn limits(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The controllers that are used.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The groups of one sandbox; removed when it is dropped, once their processes are gone.
#[derive(Debug, Default)]
pub struct Group {
    directories: Vec<(PathBuf, Place)>,
}

impl Groups {
    /// Tries what can be made here, below the groups that this process is in.
    pub fn find() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut places = Vec::new();
        if let Some(place) = version_two(&own, &mounts) {
            places.push(place);
        }
        for controller in CONTROLLERS {
            let covered = |place: &Place| place.controllers.contains(&controller);
            if !places.iter().any(covered)
                && let Some(place) = version_one(controller, &own, &mounts)
            {
                places.push(place);
            }
        }
        Self { places, ..Self::default() }
    }

    /// Has it noted in the state directory where groups are made, for whoever clears away.
    #[must_use]
    pub fn noted_in(self, state_dir: &Path) -> Self {
        Self { note_in: Some(state_dir.to_owned()), ..self }
    }

    /// Where they are made.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.places.iter().map(|place| place.directory.as_path())
    }

    /// How a controller is enforced, e.g. `cgroup v1`; `None` if it is not.
    pub fn mode(&self, controller: &str) -> Option<&'static str> {
        let place = self.places.iter().find(|place| place.controllers.contains(&controller))?;
        Some(match place.version {
            Version::One => "cgroup v1",
            Version::Two => "cgroup v2",
        })
    }

    /// Makes the groups of one sandbox, without limits yet. Gives the files that a process is
    /// put into them by.
    pub fn make(&self, name: Option<&str>) -> io::Result<(Group, Vec<OwnedFd>)> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        if let Some(state_dir) = &self.note_in {
            self.noted.get_or_init(|| {
                // Without it they are swept by a process of the same scope alone.
                let _ = group_places::remember(state_dir, self.directories());
            });
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut unique = format!("{PREFIX}{}-{number}", std::process::id());
        if let Some(name) = name {
            unique = format!("{unique}-{name}");
        }
        let mut group = Group::default();
        let mut files = Vec::new();
        for place in &self.places {
            let directory = place.directory.join(&unique);
            // What another process of this number left goes first.
            let _ = fs::remove_dir(&directory);
            fs::create_dir(&directory)?;
            group.directories.push((directory.clone(), place.clone()));
            let procs = OpenOptions::new().write(true).open(directory.join("cgroup.procs"))?;
            files.push(File::into(procs));
        }
        Ok((group, files))
    }

    /// Removes groups of ours whose process is gone.
    pub fn sweep(&self) {
        if let Some(state_dir) = &self.note_in {
            group_places::sweep(state_dir);
        }
        for place in &self.places {
            let Ok(entries) = fs::read_dir(&place.directory) else { continue };
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name();
                let owner = name
                    .to_str()
                    .and_then(|name| name.strip_prefix(PREFIX))
                    .and_then(|rest| rest.split('-').next())
                    .and_then(|pid| pid.parse::<u32>().ok());
                if let Some(pid) = owner
                    && !Path::new("/proc").join(pid.to_string()).exists()
                {
                    end_processes(&entry.path());
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }
}

fn settings(place: &Place, limits: &Limits) -> Vec<(&'static str, String)> {
    let quota = (u64::from(limits.cpu_millis) * PERIOD / 1000).max(1000);
    let mut all = Vec::new();
    for controller in &place.controllers {
        match (*controller, place.version) {
            ("memory", Version::One) => {
                all.push(("memory.limit_in_bytes", limits.memory_bytes.to_string()));
                all.push(("memory.memsw.limit_in_bytes", limits.memory_bytes.to_string()));
            }
            ("memory", Version::Two) => {
                all.push(("memory.max", limits.memory_bytes.to_string()));
                all.push(("memory.swap.max", "0".to_owned()));
            }
            ("pids", _) => all.push(("pids.max", limits.processes.to_string())),
            ("cpu", Version::One) => {
                all.push(("cpu.cfs_period_us", PERIOD.to_string()));
                all.push(("cpu.cfs_quota_us", quota.to_string()));
            }
            ("cpu", Version::Two) => all.push(("cpu.max", format!("{quota} {PERIOD}"))),
            _ => {}
        }
    }
    all
}

/// The nearest group of ours or above, below which this process may make groups with limits.
fn version_two(own: &str, mounts: &str) -> Option<Place> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mount_point(mounts, |kind, _| kind == "cgroup2")?;
    let top = PathBuf::from(&mount);
    let mut directory = top.join(path.trim_start_matches('/'));
    // Our own group is asked for what it lacks: one that holds processes refuses, the root does
    // not. Those above are taken as they are.
    for controller in CONTROLLERS {
        let _ = fs::write(directory.join("cgroup.subtree_control"), format!("+{controller}"));
    }
    loop {
        let enabled =
            fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
        let controllers: Vec<_> = CONTROLLERS
            .into_iter()
            .filter(|controller| enabled.split_whitespace().any(|word| word == *controller))
            .collect();
        let place = Place { directory: directory.clone(), version: Version::Two, controllers };
        if !place.controllers.is_empty() && can_make(&place) {
            return Some(place);
        }
        if directory == top || !directory.pop() {
            return None;
        }
    }
}

fn version_one(controller: &'static str, own: &str, mounts: &str) -> Option<Place> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let named = fields.nth(1)?.split(',').any(|name| name == controller);
        fields.next().filter(|_| named)
    })?;
    let mount = mount_point(mounts, |kind, options| {
        kind == "cgroup" && options.split(',').any(|option| option == controller)
    })?;
    let directory = Path::new(&mount).join(path.trim_start_matches('/'));
    let place = Place { directory, version: Version::One, controllers: vec![controller] };
    can_make(&place).then_some(place)
}

/// Where a file system whose kind and options fit is mounted.
fn mount_point(mounts: &str, fits: impl Fn(&str, &str) -> bool) -> Option<String> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (name, options) = (kind.next()?, kind.nth(1)?);
        fits(name, options).then(|| place.split(' ').nth(4).map(str::to_owned))?
    })
}

/// Whether a group can be made there, limited, and entered.
fn can_make(place: &Place) -> bool {
    let trial = place.directory.join(format!("{PREFIX}{}-trial", std::process::id()));
    if fs::create_dir(&trial).is_err() {
        return false;
    }
    let limits = Limits::default();
    let settled = settings(place, &limits)
        .iter()
        .filter(|(file, _)| !file.contains("sw"))
        .all(|(file, value)| fs::write(trial.join(file), value).is_ok());
    let entered = OpenOptions::new().write(true).open(trial.join("cgroup.procs")).is_ok();
    let _ = fs::remove_dir(&trial);
    settled && entered
}

/// Ends what still runs in a group that a dead process left.
pub(super) fn end_processes(directory: &Path) {
    let _ = fs::write(directory.join("cgroup.kill"), "1");
    let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| line.parse::<i32>().ok()) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

impl Group {
    /// Sets the limits.
    pub fn limit(&self, limits: &Limits) -> io::Result<()> {
        for (directory, place) in &self.directories {
            for (file, value) in settings(place, limits) {
                // A host without swap accounting lacks some; the first of each pair is checked.
                let written = fs::write(directory.join(file), value);
                if !file.contains("sw") {
                    written?;
                }
            }
        }
        Ok(())
    }
}

impl Group {
    /// Where the kernel counts what met their limits.
    pub fn counters(&self) -> Counters {
        let file = |controller: &str, name: fn(Version) -> &'static str| {
            let found = self.directories.iter().find(|(_, place)| place.limits(controller));
            found.map(|(directory, place)| directory.join(name(place.version)))
        };
        Counters {
            memory: file("memory", |version| match version {
                Version::One => "memory.oom_control",
                Version::Two => "memory.events",
            }),
            processes: file("pids", |_| "pids.events"),
        }
    }

    /// Where they are.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.directories.iter().map(|(directory, _)| directory.clone()).collect()
    }

    /// Removes them when their last process is gone; waits a tenth of a second at most.
    pub fn remove_soon(&mut self) {
        for _ in 0..100 {
            self.directories.retain(|(directory, _)| !is_removed(directory));
            if self.directories.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Removes the directory of a group. It may be gone already: the zygote clears away as well.
fn is_removed(directory: &Path) -> bool {
    match fs::remove_dir(directory) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut left: Vec<_> =
            std::mem::take(&mut self.directories).into_iter().map(|(path, _)| path).collect();
        left.retain(|directory| !is_removed(directory));
        if left.is_empty() {
            return;
        }
        // Its processes are on their way out. Whatever is left after that is swept later.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                for _ in 0..50 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    left.retain(|directory| !is_removed(directory));
                    if left.is_empty() {
                        return;
                    }
                }
            });
        }
    }
}
