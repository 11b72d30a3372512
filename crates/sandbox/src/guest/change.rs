//! Changing several files: all or none, also when this process is killed at any line.
//!
//! New content is written beside its target. A journal names every pair before anything is
//! exchanged; who finds one takes back what was done. Renamed away, the journal says that all was
//! done, and only what is left over is removed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::JOURNAL;
use super::helper::head;
use crate::frames::answer;
use crate::wire::{self, u32_at};

/// The largest request.
pub const REQUEST_LIMIT: usize = 512 << 20;

/// In a request: write.
pub const WRITE: u8 = 0;
/// In a request: remove.
pub const REMOVE: u8 = 1;

/// Does what the request says and answers.
pub fn change(request: &OwnedFd, mut to: File) {
    match wire::read_memory_file(request, REQUEST_LIMIT).map_err(Fault::nowhere).and_then(|bytes| {
        recover().map_err(Fault::nowhere)?;
        let changes =
            parse(&bytes).ok_or_else(|| Fault::nowhere(io::ErrorKind::InvalidData.into()))?;
        apply(&changes)
    }) {
        Ok(()) => head(&mut to, answer::DONE, 0, 0),
        Err(Fault { path, code, source }) => {
            head(&mut to, code, source.raw_os_error().unwrap_or(libc::EIO), 0);
            let _ = to.write_all(path.as_os_str().as_bytes());
        }
    }
}

/// What could not be done, and where.
struct Fault {
    path: PathBuf,
    code: u32,
    source: io::Error,
}

impl Fault {
    fn nowhere(source: io::Error) -> Self {
        Self { path: PathBuf::new(), code: answer::DENIED, source }
    }

    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            let missing = source.kind() == io::ErrorKind::NotFound;
            let code = if missing { answer::NOT_FOUND } else { answer::DENIED };
            Self { path, code, source }
        }
    }

    fn no_file(path: &Path) -> Self {
        let source = io::Error::from_raw_os_error(libc::EISDIR);
        Self { path: path.to_owned(), code: answer::NOT_A_FILE, source }
    }
}

/// One change of the request.
struct Change<'a> {
    path: PathBuf,
    /// Whose mode it takes.
    moved_from: Option<PathBuf>,
    /// `None` to remove.
    content: Option<&'a [u8]>,
}

/// `[u32 length, root]`, then for each `[u8 kind, u32 length, path, u32 length, path it was moved
/// from or nothing, u64 length, content]`.
fn parse(bytes: &[u8]) -> Option<Vec<Change<'_>>> {
    let mut rest = bytes;
    let mut take = |count: usize| -> Option<&[u8]> {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    let length = u32_at(take(4)?, 0) as usize;
    let root = Path::new(OsStr::from_bytes(take(length)?));
    let mut changes = Vec::new();
    while let Some(kind) = take(1) {
        let length = u32_at(take(4)?, 0) as usize;
        let path = root.join(OsStr::from_bytes(take(length)?));
        let length = u32_at(take(4)?, 0) as usize;
        let from = take(length)?;
        let moved_from = (!from.is_empty()).then(|| root.join(OsStr::from_bytes(from)));
        let length = u64::from_le_bytes(take(8)?.try_into().ok()?);
        let content = take(usize::try_from(length).ok()?)?;
        changes.push(Change { path, moved_from, content: (kind == [WRITE]).then_some(content) });
    }
    Some(changes)
}

/// A change that is ready to be made.
struct Step {
    /// What is changed.
    target: PathBuf,
    /// New content before, old content after.
    beside: PathBuf,
    /// Of the new content; 0 until that is written.
    inode: u64,
    kind: Kind,
}

/// What a step does to its target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    Replace,
    Remove,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }

    fn read(word: &OsStr) -> Self {
        let known = [Self::Create, Self::Replace, Self::Remove];
        known.into_iter().find(|kind| word == kind.word()).unwrap_or(Self::Create)
    }
}

fn apply(changes: &[Change<'_>]) -> Result<(), Fault> {
    let mut steps = Vec::with_capacity(changes.len());
    let mut modes = Vec::with_capacity(changes.len());
    for (index, change) in changes.iter().enumerate() {
        let (target, mode) = look(change)?;
        let beside = beside(&target, index);
        let kind = match (change.content, mode) {
            (None, _) => Kind::Remove,
            (Some(_), Some(_)) => Kind::Replace,
            (Some(_), None) => Kind::Create,
        };
        steps.push(Step { target, beside, inode: 0, kind });
        modes.push(mode_of_source(change).or(mode).unwrap_or(0o644));
    }
    let mut directories = Vec::new();
    for step in &steps {
        missing_directories(&step.target, &mut directories);
    }
    write_journal(&directories, &steps).map_err(Fault::nowhere)?;
    let made = prepare(changes, &mut steps, &modes, &directories)
        .and_then(|()| write_journal(&directories, &steps).map_err(Fault::nowhere))
        .and_then(|()| {
            steps.iter().try_for_each(|step| exchange(step).map_err(Fault::at(&step.target)))
        });
    if let Err(fault) = made {
        take_back(&directories, &steps).map_err(Fault::nowhere)?;
        return Err(fault);
    }
    fs::rename(journal("begun"), journal("done")).map_err(Fault::nowhere)?;
    clear(&steps);
    Ok(())
}

/// The permissions of the file that a change was moved from, if it is one.
fn mode_of_source(change: &Change<'_>) -> Option<u32> {
    let metadata = fs::metadata(change.moved_from.as_ref()?).ok()?;
    metadata.is_file().then(|| metadata.mode() & 0o777)
}

/// Where a change really goes, and the mode of what is there.
fn look(change: &Change<'_>) -> Result<(PathBuf, Option<u32>), Fault> {
    let at = Fault::at(&change.path);
    let metadata = match fs::symlink_metadata(&change.path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound && change.content.is_some() => {
            return Ok((change.path.clone(), None));
        }
        Err(error) => return Err(at(error)),
    };
    if metadata.is_symlink() && change.content.is_some() {
        // A link is written through, as an editor would.
        let target = fs::canonicalize(&change.path).map_err(at)?;
        let behind = fs::metadata(&target).map_err(Fault::at(&target))?;
        return if behind.is_file() {
            Ok((target, Some(behind.mode() & 0o7777)))
        } else {
            Err(Fault::no_file(&change.path))
        };
    }
    if metadata.is_file() || metadata.is_symlink() {
        Ok((change.path.clone(), Some(metadata.mode() & 0o7777)))
    } else {
        Err(Fault::no_file(&change.path))
    }
}

fn beside(target: &Path, index: usize) -> PathBuf {
    let mut name = OsString::from(".quire-change-");
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    name.push(format!("{:x}{:x}-{index}", now.tv_sec, now.tv_nsec));
    target.with_file_name(name)
}

/// Directories above `target` that are not there yet, outermost first.
fn missing_directories(target: &Path, all: &mut Vec<PathBuf>) {
    let mut missing: Vec<PathBuf> = target
        .ancestors()
        .skip(1)
        .take_while(|directory| fs::symlink_metadata(directory).is_err())
        .map(Path::to_path_buf)
        .collect();
    missing.reverse();
    for directory in missing {
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
}

fn prepare(
    changes: &[Change<'_>],
    steps: &mut [Step],
    modes: &[u32],
    directories: &[PathBuf],
) -> Result<(), Fault> {
    for directory in directories {
        fs::create_dir(directory).map_err(Fault::at(directory))?;
    }
    for ((change, step), mode) in changes.iter().zip(steps).zip(modes) {
        let Some(content) = change.content else { continue };
        let write = || -> io::Result<u64> {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&step.beside)?;
            file.write_all(content)?;
            file.set_permissions(Permissions::from_mode(*mode))?;
            Ok(file.metadata()?.ino())
        };
        step.inode = write().map_err(Fault::at(&change.path))?;
    }
    Ok(())
}

fn exchange(step: &Step) -> io::Result<()> {
    match step.kind {
        Kind::Remove => rename(&step.target, &step.beside, RenameFlags::NOREPLACE),
        Kind::Replace => rename(&step.beside, &step.target, RenameFlags::EXCHANGE),
        Kind::Create => rename(&step.beside, &step.target, RenameFlags::NOREPLACE),
    }
}

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, flags)?)
}

/// Undoes what was done of `steps`, last first, and what was prepared.
fn take_back(directories: &[PathBuf], steps: &[Step]) -> io::Result<()> {
    for step in steps.iter().rev() {
        let placed = || {
            let now = fs::symlink_metadata(&step.target);
            step.inode != 0 && now.is_ok_and(|now| now.ino() == step.inode)
        };
        match step.kind {
            Kind::Remove if fs::symlink_metadata(&step.beside).is_ok() => {
                rename(&step.beside, &step.target, RenameFlags::NOREPLACE)?;
            }
            Kind::Replace if placed() => {
                rename(&step.beside, &step.target, RenameFlags::EXCHANGE)?;
            }
            Kind::Create if placed() => {
                rename(&step.target, &step.beside, RenameFlags::NOREPLACE)?;
            }
            _ => {}
        }
    }
    // What is beside a target now is new content only, or was never written; a removal's is back.
    for step in steps {
        let _ = fs::remove_file(&step.beside);
    }
    for directory in directories.iter().rev() {
        let _ = fs::remove_dir(directory);
    }
    remove_if_there(&journal("begun"))
}

/// Removes what is left of changes that were all made.
fn clear(steps: &[Step]) {
    for step in steps {
        let _ = fs::remove_file(&step.beside);
    }
    let _ = remove_if_there(&journal("done"));
}

/// Finishes or takes back what a process that died had begun.
fn recover() -> io::Result<()> {
    if let Some((_, steps)) = read_journal("done")? {
        clear(&steps);
    }
    if let Some((directories, steps)) = read_journal("begun")? {
        take_back(&directories, &steps)?;
    }
    Ok(())
}

fn journal(name: &str) -> PathBuf {
    Path::new(JOURNAL).join(name)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Words with a NUL after each: how many directories, these, and four for each step.
fn write_journal(directories: &[PathBuf], steps: &[Step]) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut word = |text: &[u8]| {
        bytes.extend_from_slice(text);
        bytes.push(0);
    };
    word(directories.len().to_string().as_bytes());
    for directory in directories {
        word(directory.as_os_str().as_bytes());
    }
    for step in steps {
        word(step.target.as_os_str().as_bytes());
        word(step.beside.as_os_str().as_bytes());
        word(step.inode.to_string().as_bytes());
        word(step.kind.word().as_bytes());
    }
    fs::write(journal("new"), bytes)?;
    fs::rename(journal("new"), journal("begun"))
}

/// `None` where there is no such journal.
fn read_journal(name: &str) -> io::Result<Option<(Vec<PathBuf>, Vec<Step>)>> {
    let bytes = match fs::read(journal(name)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut words = bytes.split(|byte| *byte == 0);
    let mut path = || words.next().map(|word| PathBuf::from(OsString::from_vec(word.to_vec())));
    let number = |word: PathBuf| word.to_str().and_then(|text| text.parse::<u64>().ok());
    let count = path().and_then(number).unwrap_or(0);
    let directories = (0..count).filter_map(|_| path()).collect();
    let mut steps = Vec::new();
    while let (Some(target), Some(beside), Some(inode), Some(kind)) =
        (path(), path(), path(), path())
    {
        let kind = Kind::read(kind.as_os_str());
        steps.push(Step { target, beside, inode: number(inode).unwrap_or(0), kind });
    }
    Ok(Some((directories, steps)))
}
