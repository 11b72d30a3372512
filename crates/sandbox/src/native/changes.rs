//! What was written: a walk of the upper from outside, which follows nothing.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::measure::measure;
use quire_domain::sandbox::{ChangeMark, Changes, UpperUse};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};

/// Entries that a snapshot remembers; beyond, times alone tell what is new.
const REMEMBERED: usize = 50_000;

/// Paths that one walk gathers.
const GATHERED: usize = 250_000;

/// Entries that one walk looks at.
const WALKED: usize = 2_000_000;

/// The deepest directory.
const DEPTH: usize = 200;

/// How often the rest of an upper is measured when its changes are listed.
const REST_EVERY: Duration = Duration::from_secs(30);

/// How coarse the times of files are.
const TICK: Duration = Duration::from_millis(20);

/// What an upper held when it was last walked.
#[derive(Debug, Default)]
pub struct Snapshot {
    mark: ChangeMark,
    /// `None` when there was too much to remember.
    entries: Option<BTreeMap<String, Print>>,
    /// What the rest of the upper held, and when that was measured.
    rest: Option<(Instant, UpperUse)>,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy)]
struct Print {
    inode: u64,
    /// [`REMOVED`] where there is none any more.
    size: i64,
    changed: i128,
}

const REMOVED: i64 = -1;

impl PartialEq for Print {
    /// The times of what marks a removal say little: one inode may stand for many of them.
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size
            && (self.size == REMOVED || (self.inode, self.changed) == (other.inode, other.changed))
    }
}

/// Opens a directory that nothing in the path may redirect.
pub fn open_directory(from: impl AsFd, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat2(
        from,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV,
    )?)
}

/// Lists what was written since `since`, at most `limit` paths, and what the whole upper holds.
/// `lowers` are the overlay's layers: what a removed directory held is read from them.
pub fn list(
    upper: &OwnedFd,
    name: &str,
    lowers: &[OwnedFd],
    since: Option<ChangeMark>,
    limit: usize,
    last: &Snapshot,
) -> io::Result<(Changes, Snapshot)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mark = ChangeMark(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
    let mut found = Found::default();
    match open_directory(upper, format!("{name}/upper")) {
        Ok(directory) => found.walk(&directory, "", lowers, 0)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let known = last.entries.as_ref().filter(|_| since == Some(last.mark));
    let from =
        since.map_or(0, |since| i128::from(since.0) - i128::try_from(TICK.as_nanos()).unwrap_or(0));
    let coarse = coarse_times();
    let mut paths: Vec<String> = Vec::new();
    for (path, print) in &found.entries {
        let new = match known {
            // Where times are coarse, a file may change within a tick of the last walk without
            // its times showing.
            Some(known) => known.get(path) != Some(print) || coarse && print.changed >= from,
            None => print.changed >= from,
        };
        if new {
            paths.push(path.clone());
        }
    }
    if let Some(known) = known {
        paths.extend(known.keys().filter(|path| !found.entries.contains_key(*path)).cloned());
    }
    paths.sort();
    let more = paths.len() > limit || found.cut;
    paths.truncate(limit);
    let remember = !found.cut && found.entries.len() <= REMEMBERED;
    // Caches of tools in the home change often and matter little: not at each step.
    let (when, rest) = match last.rest {
        Some((when, rest)) if when.elapsed() < REST_EVERY => (when, rest),
        _ => (Instant::now(), measure_but(upper, name)?),
    };
    let used =
        UpperUse { bytes: found.used.bytes + rest.bytes, files: found.used.files + rest.files };
    let entries = remember.then_some(found.entries);
    let snapshot = Snapshot { mark, entries, rest: Some((when, rest)) };
    Ok((Changes { paths, more, mark, used }, snapshot))
}

/// Bytes and entries of an upper without one of its overlays.
fn measure_but(upper: &OwnedFd, name: &str) -> io::Result<UpperUse> {
    let mut used = UpperUse::default();
    let mut left = WALKED as u64;
    for entry in Dir::read_from(upper)? {
        let Ok(entry) = entry else { break };
        let other = entry.file_name();
        if other == c"." || other == c".." || other.to_bytes() == name.as_bytes() {
            continue;
        }
        if let Ok(directory) = open_directory(upper, other) {
            let measured = measure(&directory, left)?.used;
            used.bytes += measured.bytes;
            used.files += measured.files;
            left = left.saturating_sub(measured.files);
        }
    }
    Ok(used)
}

/// Whether two changes of a file may bear one time although it was looked at between them; since
/// Linux 6.13 they do not.
fn coarse_times() -> bool {
    !crate::sys::kernel_is_at_least(6, 13)
}

fn look(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Stat> {
    Ok(rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

#[derive(Default)]
struct Found {
    entries: BTreeMap<String, Print>,
    used: UpperUse,
    walked: usize,
    cut: bool,
}

impl Found {
    /// Walks a directory of the upper; `path` is its own, with a slash at its end unless empty.
    fn walk(
        &mut self,
        directory: &OwnedFd,
        path: &str,
        lowers: &[OwnedFd],
        depth: usize,
    ) -> io::Result<()> {
        if opaque(directory) {
            let stat = rustix::fs::fstat(directory)?;
            self.beneath(lowers, path, removed(&stat))?;
        }
        let mut listing = Dir::read_from(directory)?;
        while let Some((name, stat)) = self.next(&mut listing, directory) {
            self.used.files += 1;
            self.used.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            let full = format!("{path}{}", name.to_string_lossy());
            if is(&stat, FileType::Directory) {
                match open_directory(directory, &*name) {
                    Ok(inner) if depth < DEPTH => {
                        self.walk(&inner, &format!("{full}/"), lowers, depth + 1)?;
                    }
                    // Of another owner and closed to us, or too deep.
                    _ => self.cut = true,
                }
            } else if is(&stat, FileType::CharacterDevice) && stat.st_rdev == 0 {
                if !self.beneath(lowers, &format!("{full}/"), removed(&stat))? {
                    self.entries.insert(full, removed(&stat));
                }
            } else {
                self.entries.insert(full, print(&stat));
            }
        }
        Ok(())
    }

    /// The next entry of a directory. Nothing after the bounds of the whole, and `cut` says so.
    fn next(&mut self, listing: &mut Dir, directory: &OwnedFd) -> Option<(CString, Stat)> {
        loop {
            let entry = listing.next()?.ok()?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if self.walked == WALKED || self.entries.len() >= GATHERED {
                self.cut = true;
                return None;
            }
            self.walked += 1;
            if let Ok(stat) = look(directory.as_fd(), name) {
                return Some((name.to_owned(), stat));
            }
        }
    }

    /// Adds what the layers hold below `path`, as removed at `when`. Whether a layer has a
    /// directory there.
    fn beneath(&mut self, lowers: &[OwnedFd], path: &str, when: Print) -> io::Result<bool> {
        let place = path.trim_end_matches('/');
        let mut any = false;
        for lower in lowers {
            let opened = if place.is_empty() {
                rustix::io::dup(lower).map_err(Into::into)
            } else {
                open_directory(lower, place)
            };
            if let Ok(directory) = opened {
                any = true;
                self.gone(&directory, path, when, 0)?;
            }
        }
        Ok(any)
    }

    fn gone(
        &mut self,
        directory: &OwnedFd,
        path: &str,
        when: Print,
        depth: usize,
    ) -> io::Result<()> {
        let mut listing = Dir::read_from(directory)?;
        while let Some((name, stat)) = self.next(&mut listing, directory) {
            let full = format!("{path}{}", name.to_string_lossy());
            if is(&stat, FileType::Directory) {
                if depth < DEPTH
                    && let Ok(inner) = open_directory(directory, &*name)
                {
                    self.gone(&inner, &format!("{full}/"), when, depth + 1)?;
                }
            } else if !is(&stat, FileType::CharacterDevice) {
                self.entries.entry(full).or_insert(when);
            }
        }
        Ok(())
    }
}

/// Whether a directory of the upper hides what is beneath it.
fn opaque(directory: &OwnedFd) -> bool {
    let mut value = [0; 4];
    let read = rustix::fs::fgetxattr(directory, c"user.overlay.opaque", &mut value[..]);
    read.is_ok_and(|length| length == 1 && value[0] == b'y')
}

fn removed(stat: &Stat) -> Print {
    Print { inode: 0, size: REMOVED, ..print(stat) }
}

fn print(stat: &Stat) -> Print {
    Print {
        inode: stat.st_ino,
        size: stat.st_size,
        changed: i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec),
    }
}

/// Opens the layers of an overlay for [`list`].
pub fn open_layers<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    paths.filter_map(|path| rustix::fs::open(path, flags, Mode::empty()).ok()).collect()
}
