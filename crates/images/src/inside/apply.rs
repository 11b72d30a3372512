//! Lays a layer's entries down over what the layers beneath show.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::owners::Owners;
use super::place::{self, Place, Root};
use super::reader::{Entry, Kind, Reader};
use super::stream::Stream;
use super::{Counts, Fault, Job};
use crate::digest::Digest;

/// A name that begins so removes what lies beneath it.
const WHITEOUT: &[u8] = b".wh.";
/// All that lies beneath in this directory goes.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Marks of the storage that images were once made with.
const MARK: &[u8] = b".wh..wh.";
/// The longest path of an entry, and the most names in it.
const MAX_PATH: usize = 16 << 10;
const MAX_DEPTH: usize = 1_000;

/// Unpacks the whole tar; gives its digest and what was counted.
pub fn apply(job: &Job, blob: &Path, root: &Root) -> Result<(Digest, Counts), Fault> {
    let (stream, ledger) = Stream::open(job, blob)?;
    let mut reader = Reader::new(stream);
    let mut layer = Layer {
        root,
        job,
        owners: Owners::read(),
        counts: Counts::default(),
        made: HashSet::new(),
        state: RandomState::new(),
        times: Vec::new(),
    };
    while let Some(entry) = reader.next().map_err(|error| ledger.fault(&error))? {
        layer.lay(&entry, &mut reader).map_err(|cause| match cause {
            Cause::Fault(fault) => fault,
            Cause::Read(error) => ledger.fault(&error),
            Cause::Place(error) => refused(&entry, &error),
        })?;
    }
    layer.set_times();
    Ok((ledger.digest(), layer.counts))
}

fn refused(entry: &Entry, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::DiskFull,
        _ => Fault::entry(&entry.path, error),
    }
}

/// Why an entry could not be laid down.
enum Cause {
    Fault(Fault),
    /// The tar could not be read: the default of a conversion, as reading is what converts.
    Read(io::Error),
    Place(io::Error),
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

struct Layer<'a> {
    root: &'a Root,
    job: &'a Job,
    owners: Owners,
    counts: Counts,
    /// What this layer laid down, by the hashes of the paths: not beneath its own marks.
    made: HashSet<u64>,
    state: RandomState,
    /// Times of directories: set last, as what is put into them changes them.
    times: Vec<(Vec<u8>, (i64, u32))>,
}

impl Layer<'_> {
    fn lay(&mut self, entry: &Entry, reader: &mut Reader<Stream>) -> Result<(), Cause> {
        self.counts.entries += 1;
        if self.counts.entries > self.job.max_entries {
            return Err(Cause::Fault(Fault::Entries));
        }
        let path =
            parts(&entry.path).map_err(|why| Cause::Fault(Fault::entry(&entry.path, why)))?;
        let Some(name) = path.last() else {
            if entry.kind == Kind::Directory {
                let top =
                    self.root.directory(&[]).and_then(|top| place::open_directory(&top, c"."));
                self.dress(&top.map_err(Cause::Place)?, entry).map_err(Cause::Place)?;
                self.times.push((Vec::new(), entry.mtime));
            }
            return Ok(());
        };
        if name.starts_with(WHITEOUT) {
            return self.remove(&path, name).map_err(Cause::Place);
        }
        match entry.kind {
            Kind::Device => self.counts.devices += 1,
            Kind::Unknown => self.counts.unknown += 1,
            _ => {
                let (made, state) = (&mut self.made, &self.state);
                let place = self.root.place(&path, |path| {
                    made.insert(state.hash_one(path));
                });
                let place = place.map_err(Cause::Place)?;
                self.put(entry, &place, reader)?;
                self.made.insert(self.state.hash_one(&path[..]));
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        entry: &Entry,
        place: &Place,
        reader: &mut Reader<Stream>,
    ) -> Result<(), Cause> {
        match entry.kind {
            Kind::Directory => self.directory(entry, place).map_err(Cause::Place),
            Kind::File => self.file(entry, place, reader),
            Kind::Symlink => self.symlink(entry, place).map_err(Cause::Place),
            Kind::HardLink => self.hard_link(entry, place),
            _ => self.fifo(entry, place).map_err(Cause::Place),
        }
    }

    /// A directory stays with what is in it; anything else gives way.
    fn directory(&mut self, entry: &Entry, place: &Place) -> io::Result<()> {
        match rustix::fs::mkdirat(&place.parent, &place.name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                if place.kind()? != Some(FileType::Directory) {
                    place.clear()?;
                    rustix::fs::mkdirat(&place.parent, &place.name, Mode::from_raw_mode(0o755))?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.dress(&place.open_directory()?, entry)?;
        self.times.push((entry.path.clone(), entry.mtime));
        Ok(())
    }

    fn file(
        &mut self,
        entry: &Entry,
        place: &Place,
        reader: &mut Reader<Stream>,
    ) -> Result<(), Cause> {
        let stored: u64 = entry.pieces.iter().map(|(_, length)| length).sum();
        self.counts.bytes = self.counts.bytes.saturating_add(stored);
        // Holes take no room, but a limit on the size of a file would end this process.
        if self.counts.bytes > self.job.max_bytes || entry.size > self.job.max_bytes {
            return Err(Cause::Fault(Fault::Bytes));
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let open = || rustix::fs::openat(&place.parent, &place.name, flags, mode);
        let file = match open() {
            Err(Errno::EXIST) => place.clear().and_then(|()| Ok(open()?)),
            other => other.map_err(io::Error::from),
        };
        let file = file.map_err(Cause::Place)?;
        reader.content(entry, |mut at, mut bytes| {
            while !bytes.is_empty() {
                match rustix::io::pwrite(&file, bytes, at) {
                    Ok(written) => {
                        bytes = &bytes[written..];
                        at += written as u64;
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(Cause::Place(error.into())),
                }
            }
            Ok(())
        })?;
        if entry.size > stored {
            rustix::fs::ftruncate(&file, entry.size).map_err(|error| Cause::Place(error.into()))?;
        }
        self.dress(&file, entry).map_err(Cause::Place)?;
        rustix::fs::futimens(&file, &times(entry.mtime)).map_err(|error| Cause::Place(error.into()))
    }

    fn symlink(&mut self, entry: &Entry, place: &Place) -> io::Result<()> {
        place.clear()?;
        rustix::fs::symlinkat(&entry.link[..], &place.parent, &place.name)?;
        self.give_by_name(entry, place)
    }

    /// To what is there by then, in this layer or beneath.
    fn hard_link(&mut self, entry: &Entry, place: &Place) -> Result<(), Cause> {
        let fault = |why: &str| Cause::Fault(Fault::entry(&entry.path, why));
        let target = parts(&entry.link).map_err(|why| fault(&why))?;
        if target.is_empty() {
            return Err(fault("it is a link to the root"));
        }
        let target = self.root.existing(&target).map_err(Cause::Place)?;
        match target.kind().map_err(Cause::Place)? {
            None => return Err(fault("what it is a link to is not there")),
            Some(FileType::Directory) => return Err(fault("it is a link to a directory")),
            Some(_) => {}
        }
        let link = || {
            let (from, to) = (&target.parent, &place.parent);
            rustix::fs::linkat(from, &target.name, to, &place.name, AtFlags::empty())
        };
        match link() {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) if same(&target, place) => Ok(()),
            Err(Errno::EXIST) => place.clear().and_then(|()| Ok(link()?)).map_err(Cause::Place),
            Err(error) => Err(Cause::Place(error.into())),
        }
    }

    fn fifo(&mut self, entry: &Entry, place: &Place) -> io::Result<()> {
        place.clear()?;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        rustix::fs::mknodat(&place.parent, &place.name, FileType::Fifo, mode, 0)?;
        self.give_by_name(entry, place)
    }

    /// Owner and times of what cannot be opened.
    fn give_by_name(&mut self, entry: &Entry, place: &Place) -> io::Result<()> {
        let given = match self.owners.of(entry.uid, entry.gid) {
            Some((uid, gid)) => rustix::fs::chownat(
                &place.parent,
                &place.name,
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            ),
            None => Err(Errno::INVAL),
        };
        self.given(given)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::utimensat(&place.parent, &place.name, &times(entry.mtime), flags)?)
    }

    /// Owner, permissions and extended attributes, in this order: the first takes away what the
    /// others give.
    fn dress(&mut self, file: &OwnedFd, entry: &Entry) -> io::Result<()> {
        let given = match self.owners.of(entry.uid, entry.gid) {
            Some((uid, gid)) => rustix::fs::fchown(file, Some(uid), Some(gid)),
            None => Err(Errno::INVAL),
        };
        let ours = self.given(given)?;
        // Bits that lend an owner's rights mean another owner where it could not be given.
        let bits = if ours { 0o7777 } else { 0o1777 };
        rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode & bits))?;
        for (name, value) in &entry.attributes {
            let set = is_taken(name)
                && rustix::fs::fsetxattr(file, &name[..], value, XattrFlags::empty()).is_ok();
            if !set {
                self.counts.attributes += 1;
            }
        }
        Ok(())
    }

    /// Counts an owner that is not ours to give; gives whether it was.
    fn given(&mut self, given: rustix::io::Result<()>) -> io::Result<bool> {
        match given {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::PERM) => {
                self.counts.owners += 1;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A mark: what lies beneath goes, and what this layer itself laid down stays, whichever of the
    /// two stands first in the tar.
    fn remove(&mut self, path: &[&[u8]], name: &[u8]) -> io::Result<()> {
        let (_, above) = path.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        if name == OPAQUE {
            return match self.root.directory(above) {
                Ok(_) => self.empty(above),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
        }
        let hidden = &name[WHITEOUT.len()..];
        if name.starts_with(MARK) || matches!(hidden, b"" | b"." | b"..") {
            return Ok(());
        }
        let mut path = above.to_vec();
        path.push(hidden);
        let place = match self.root.existing(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if !self.made.contains(&self.state.hash_one(&path[..])) {
            return place.clear();
        }
        match place.kind()? {
            Some(FileType::Directory) => self.empty(&path),
            _ => Ok(()),
        }
    }

    /// Removes what this layer did not lay down below a directory.
    fn empty(&self, path: &[&[u8]]) -> io::Result<()> {
        let found = self.root.directory(path)?;
        let directory = place::open_directory(&found, c".")?;
        for name in place::names(&directory)? {
            let mut child = path.to_vec();
            child.push(name.to_bytes());
            if !self.made.contains(&self.state.hash_one(&child[..])) {
                place::remove(&directory, &name)?;
                continue;
            }
            let place = self.root.existing(&child)?;
            if place.kind()? == Some(FileType::Directory) && child.len() < MAX_DEPTH {
                self.empty(&child)?;
            }
        }
        Ok(())
    }

    /// What was replaced meanwhile is left as it is.
    fn set_times(&mut self) {
        for (path, time) in std::mem::take(&mut self.times).into_iter().rev() {
            let found = parts(&path).ok().and_then(|path| {
                if path.is_empty() {
                    return place::open_directory(self.root.directory(&[]).ok()?, c".").ok();
                }
                self.root.existing(&path).ok()?.open_directory().ok()
            });
            if let Some(found) = found {
                let _ = rustix::fs::futimens(found.as_fd(), &times(time));
            }
        }
    }
}

/// The plain names of a path; `.` and empty ones left out. One that leads upwards is refused.
fn parts(path: &[u8]) -> Result<Vec<&[u8]>, String> {
    if path.len() > MAX_PATH {
        return Err("its name is too long".to_owned());
    }
    if path.contains(&0) {
        return Err("its name holds a zero".to_owned());
    }
    let parts: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) {
        return Err("its name leads upwards (`..`)".to_owned());
    }
    if parts.len() > MAX_DEPTH {
        return Err("it lies too deep".to_owned());
    }
    Ok(parts)
}

/// Whether two places are the same file already: a link that comes twice.
fn same(one: &Place, other: &Place) -> bool {
    let stat = |place: &Place| {
        rustix::fs::statat(&place.parent, &place.name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|stat| (stat.st_dev, stat.st_ino))
    };
    matches!((stat(one), stat(other)), (Ok(one), Ok(other)) if one == other)
}

/// Attributes that mean something in a sandbox and nothing to overlayfs, which takes the word of
/// its own for where a file's content is.
fn is_taken(name: &[u8]) -> bool {
    name == b"security.capability"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay"))
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}
