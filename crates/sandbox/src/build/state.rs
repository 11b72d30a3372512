//! What package managers know, below `/var`: the host's, and written to inside the upper of `var`,
//! so that freezing that takes it along.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::overlay::{self, UPPER};
use crate::plan::Plan;

/// What is hidden of it: answers to questions of packages that the host keeps from all but root.
const HIDDEN: [(&str, &str); 1] = [("/var/cache/debconf", "passwords.dat")];

/// The overlay for `target`, whose layers end with the host's directory.
pub fn overlay(plan: &Plan, target: &Path, layers: &[OwnedFd]) -> io::Result<OwnedFd> {
    let below_var = target.strip_prefix("/var").map_err(io::Error::other)?;
    let mut upper = format!("{UPPER}/var/upper");
    // An earlier life of the setup may have put links there: nothing is made beyond one.
    let mut holder = open(CWD, &upper)?;
    for part in below_var {
        match rustix::fs::mkdirat(&holder, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        holder = open(&holder, part)?;
        upper = format!("{upper}/{}", part.to_string_lossy());
    }
    for (_, name) in HIDDEN.iter().filter(|(directory, _)| Path::new(directory) == target) {
        let whiteout = rustix::fs::mknodat(
            &holder,
            *name,
            FileType::CharacterDevice,
            Mode::empty(),
            rustix::fs::makedev(0, 0),
        );
        match whiteout {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let name = below_var.to_string_lossy().replace('/', "-");
    let work = format!("{UPPER}/state-{name}");
    match rustix::fs::mkdir(work.as_str(), Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    overlay::over(layers, plan, &upper, &format!("{work}/work"))
}

fn open(from: impl AsFd, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(from, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?)
}
