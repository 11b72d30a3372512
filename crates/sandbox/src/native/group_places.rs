//! Where control groups were made, by every process that made some: a process that is killed may
//! have been in another part of the hierarchy than the one that clears away after it.
//!
//! A file for each process, named after it: `<boot>-<pid namespace>-<pid>-<start>`, its lines the
//! directories. Groups are found again by that name alone: below those directories, with the
//! prefix and the number of a process that is dead for certain.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::groups::{PREFIX, end_processes};

/// The largest file that is read.
const MOST_BYTES: u64 = 64 << 10;

/// Both versions of the control group file system.
const CGROUP_FILE_SYSTEMS: [i64; 2] = [0x0027_e0eb, 0x6367_7270];

/// A process, as nothing else was or will be until the machine starts again.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    boot: String,
    namespace: u64,
    pid: u32,
    /// When it started, in ticks since the machine did.
    start: u64,
}

impl Process {
    fn this() -> Option<Self> {
        let pid = std::process::id();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let boot = boot.trim().replace('-', "");
        Some(Self { boot, namespace: pid_namespace()?, pid, start: started(pid)? })
    }

    fn name(&self) -> String {
        format!("{}-{}-{}-{}", self.boot, self.namespace, self.pid, self.start)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let process = Self {
            boot: parts.next()?.to_owned(),
            namespace: parts.next()?.parse().ok()?,
            pid: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(process)
    }
}

/// Notes that this process makes groups below `places`.
pub fn remember<'a>(state_dir: &Path, places: impl Iterator<Item = &'a Path>) -> io::Result<()> {
    let Some(process) = Process::this() else { return Ok(()) };
    let mut text = Vec::new();
    for place in places {
        text.extend_from_slice(place.as_os_str().as_bytes());
        text.push(b'\n');
    }
    let dir = state_dir.join("groups");
    let path = dir.join(process.name());
    match fs::write(&path, &text) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(&dir)?;
            fs::write(path, text)
        }
        written => written,
    }
}

/// Removes the groups of processes that are dead, wherever they made them.
pub fn sweep(state_dir: &Path) {
    let Some(this) = Process::this() else { return };
    for entry in fs::read_dir(state_dir.join("groups")).into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(Process::parse) else { continue };
        if process.boot == this.boot {
            // Whether a process of another namespace lives cannot be seen from here. Where its
            // number was given to another, that one may have groups of this name.
            if process.namespace != this.namespace || exists(process.pid) {
                continue;
            }
            if !sweep_places(&entry.path(), process.pid) {
                continue;
            }
        }
        // Those of an earlier boot went with it.
        let _ = fs::remove_file(entry.path());
    }
}

/// Whether none of its groups is left.
fn sweep_places(noted: &Path, pid: u32) -> bool {
    let small =
        fs::symlink_metadata(noted).is_ok_and(|found| found.is_file() && found.len() <= MOST_BYTES);
    let (true, Ok(text)) = (small, fs::read(noted)) else { return false };
    let mut gone = true;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let place = PathBuf::from(std::ffi::OsString::from_vec(line.to_vec()));
        if !is_of_groups(&place) {
            continue;
        }
        let prefix = format!("{PREFIX}{pid}-");
        for group in fs::read_dir(&place).into_iter().flatten().flatten() {
            if group.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
                gone &= remove(&group.path());
            }
        }
    }
    gone
}

fn remove(group: &Path) -> bool {
    end_processes(group);
    // What was ended is on its way out.
    for _ in 0..10 {
        match fs::remove_dir(group) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    false
}

/// Whether a directory, reached by no link, is one of control groups.
fn is_of_groups(place: &Path) -> bool {
    place.is_absolute()
        && fs::canonicalize(place).is_ok_and(|found| found == place)
        && rustix::fs::statfs(place).is_ok_and(|found| {
            CGROUP_FILE_SYSTEMS.iter().any(|kind| i128::from(found.f_type) == i128::from(*kind))
        })
}

fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn pid_namespace() -> Option<u64> {
    fs::metadata("/proc/self/ns/pid").ok().map(|found| found.ino())
}

/// The 22nd field of a process's status; the second may hold anything.
fn started(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    status.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that has ended and was waited for.
    fn dead() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    fn note(state_dir: &Path, process: &Process, places: &[&Path]) -> PathBuf {
        let path = state_dir.join("groups").join(process.name());
        let lines: Vec<String> =
            places.iter().map(|place| format!("{}\n", place.display())).collect();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, lines.concat()).unwrap();
        path
    }

    #[test]
    fn a_process_is_known_again_by_its_name_and_nothing_else_is_one() {
        let this = Process::this().unwrap();
        assert_eq!(Process::parse(&this.name()), Some(this));
        for name in ["", "a-b-c-d", "a-1-2", "a-1-2-3-4", "README"] {
            assert_eq!(Process::parse(name), None, "{name}");
        }
    }

    #[test]
    fn only_what_lies_among_control_groups_is_touched_and_only_of_the_dead() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("place");
        let this = Process::this().unwrap();
        let gone = Process { pid: dead(), start: 1, ..Process::this().unwrap() };
        let of_dead = place.join(format!("{PREFIX}{}-1", gone.pid));
        let of_this = place.join(format!("{PREFIX}{}-1", this.pid));
        fs::create_dir_all(&of_dead).unwrap();
        fs::create_dir_all(&of_this).unwrap();
        let earlier = Process { boot: "0".repeat(32), ..Process::this().unwrap() };
        let elsewhere = Process { namespace: 1, pid: gone.pid, ..Process::this().unwrap() };
        let kept = [note(dir.path(), &this, &[&place]), note(dir.path(), &elsewhere, &[&place])];
        let goes = [note(dir.path(), &gone, &[&place]), note(dir.path(), &earlier, &[&place])];
        sweep(dir.path());
        assert!(of_dead.exists() && of_this.exists(), "the place is none of control groups");
        assert!(kept.iter().all(|path| path.exists()));
        assert!(!goes.iter().any(|path| path.exists()));
    }

    #[test]
    fn the_groups_of_a_dead_process_go_wherever_they_are_and_those_beside_them_stay() {
        let Some(place) =
            super::super::groups::Groups::find().directories().next().map(Path::to_owned)
        else {
            println!("skipped: no control groups can be made here");
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let gone = Process { pid: dead(), start: 1, ..Process::this().unwrap() };
        // As a scope of its own, in which the one that clears away is not.
        let scope = place.join(format!("scope-{}", std::process::id()));
        let (left, other) =
            (scope.join(format!("{PREFIX}{}-1-a", gone.pid)), scope.join("other-1"));
        for group in [&scope, &left, &other] {
            fs::create_dir(group).unwrap();
        }
        let noted = note(dir.path(), &gone, &[&scope]);
        sweep(dir.path());
        let (swept, stays) = (!left.exists(), other.exists());
        for group in [&left, &other, &scope] {
            let _ = fs::remove_dir(group);
        }
        assert!(swept && stays && !noted.exists());
    }
}
