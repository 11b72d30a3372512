//! Before a sandbox is folded: is anything lost by it? And `/tmp`, carried over.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::SAVED_TMP;
use super::helper::head;
use crate::frames::answer;

/// The most of `/tmp` that is carried: more takes longer than folding is worth.
const CARRY_BYTES: u64 = 64 << 20;
const CARRY_ENTRIES: usize = 10_000;

/// Answers whether nothing runs and nothing would be lost; saves `/tmp` if so.
pub fn prepare(mut to: File) {
    let may = alone().unwrap_or(false) && empty(Path::new("/dev/shm")).unwrap_or(false);
    let code = if may && save().is_ok() { answer::DONE } else { answer::BUSY };
    head(&mut to, code, 0, 0);
}

/// Whether there is no process but the guest and this one.
fn alone() -> io::Result<bool> {
    let own = std::process::id();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(pid) = pid
            && pid != 1
            && pid != own
            && lives(pid)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a process is more than a dead one that waits to be buried.
fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it may hold anything, a bracket too.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

fn empty(directory: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(directory)?.next().is_none())
}

fn save() -> io::Result<()> {
    let saved = Path::new(SAVED_TMP);
    if saved.exists() {
        fs::remove_dir_all(saved)?;
    }
    if empty(Path::new("/tmp"))? {
        return Ok(());
    }
    fs::DirBuilder::new().mode(0o700).create(saved)?;
    let mut room = Room { bytes: CARRY_BYTES, entries: CARRY_ENTRIES };
    let carried = carry(Path::new("/tmp"), saved, &mut room);
    if carried.is_err() {
        let _ = fs::remove_dir_all(saved);
    }
    carried
}

/// Puts back what was saved; called while the sandbox is made anew, below its new root.
pub fn restore(root: &Path) -> io::Result<()> {
    let saved = root.join(SAVED_TMP.trim_start_matches('/'));
    match fs::symlink_metadata(&saved) {
        Ok(found) if found.is_dir() => {}
        // Something that a command put there: not what was saved.
        Ok(_) | Err(_) => return Ok(()),
    }
    let mut room = Room { bytes: CARRY_BYTES * 2, entries: CARRY_ENTRIES * 2 };
    carry(&saved, &root.join("tmp"), &mut room)?;
    fs::remove_dir_all(saved)
}

struct Room {
    bytes: u64,
    entries: usize,
}

/// Copies a tree as it is: links as links, pipes as pipes. A socket without its process is
/// nothing.
fn carry(from: &Path, to: &Path, room: &mut Room) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        let full = || io::Error::from(io::ErrorKind::FileTooLarge);
        room.entries = room.entries.checked_sub(1).ok_or_else(full)?;
        let mode = metadata.mode() & 0o7777;
        match metadata.mode() & libc::S_IFMT {
            libc::S_IFDIR => {
                fs::DirBuilder::new().mode(0o700).create(&to)?;
                carry(&from, &to, room)?;
                fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
            }
            libc::S_IFREG => {
                room.bytes = room.bytes.checked_sub(metadata.len()).ok_or_else(full)?;
                fs::copy(&from, &to)?;
                File::options()
                    .write(true)
                    .open(&to)
                    .and_then(|copy| {
                        let modified = metadata.modified()?;
                        copy.set_times(fs::FileTimes::new().set_modified(modified))
                    })
                    .or_else(|error| {
                        // A file that is not writable keeps the new time.
                        if error.kind() == io::ErrorKind::PermissionDenied {
                            Ok(())
                        } else {
                            Err(error)
                        }
                    })?;
            }
            libc::S_IFLNK => symlink(fs::read_link(&from)?, &to)?,
            libc::S_IFIFO => {
                let path = CString::new(to.as_os_str().as_bytes())?;
                // SAFETY: a NUL-terminated path.
                crate::sys::check(unsafe { libc::mkfifo(path.as_ptr(), mode) }.into())?;
            }
            _ => {}
        }
    }
    Ok(())
}
