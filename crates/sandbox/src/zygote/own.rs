//! The zygote's own namespaces: what makes an ordinary user's zygote as able as root's, within
//! the ids it may map.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use super::idmap::{IdMaps, RANGE, Shift};
use super::spawn::FIRST_ID;
use crate::plan::Abilities;
use crate::sys;

/// Finds out what this process may do and takes namespaces of its own.
pub fn settle() -> Abilities {
    let mut abilities = Abilities { landlock: landlock_version(), ..Abilities::default() };
    let mut maps = IdMaps::default();
    let shift = Shift { from: 0, to: FIRST_ID };
    if rustix::process::geteuid().is_root() && maps.get(shift).is_ok() {
        abilities.root = true;
        abilities.ids = RANGE;
        if let Err(error) = unshare(libc::CLONE_NEWNS).and_then(|()| follow_host_mounts()) {
            abilities.userns_error = error.raw_os_error();
            return abilities;
        }
    } else {
        match enter_user_namespace() {
            Ok((ids, range_error)) => {
                abilities.ids = ids;
                abilities.range_error = range_error;
            }
            Err(error) => abilities.userns_error = error.raw_os_error().or(Some(libc::EIO)),
        }
    }
    // From now on nobody waits for children.
    // SAFETY: no handler is installed, only the default replaced.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    abilities
}

/// New mounts of the host show here; ours do not show there.
fn follow_host_mounts() -> io::Result<()> {
    Ok(rustix::mount::mount_change(
        c"/",
        rustix::mount::MountPropagationFlags::DOWNSTREAM
            | rustix::mount::MountPropagationFlags::REC,
    )?)
}

/// Whether this kernel takes id-mapped layers: since Linux 5.19.
pub fn overlays_take_idmapped_layers() -> bool {
    sys::kernel_is_at_least(5, 19)
}

/// Takes a user namespace with a range of sub-ids where there is one, else with the one id.
fn enter_user_namespace() -> io::Result<(u32, Option<String>)> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let own = std::process::id();
    let (ready, mut say_ready) = io::pipe()?;
    // Made before the namespace: the helpers must stand outside it.
    // SAFETY: the zygote has one thread.
    let mapper = unsafe { libc::fork() };
    if mapper == 0 {
        drop(say_ready);
        let mapped = wait_for(ready).and_then(|()| map_range(own, uid.as_raw(), gid.as_raw()));
        sys::exit_now(match mapped {
            Ok(()) => 0,
            Err(RangeError::NoSubIds) => 1,
            Err(RangeError::NoHelper) => 2,
            Err(RangeError::Refused) => 3,
        });
    }
    sys::check(mapper.into())?;
    drop(ready);
    let entered = unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS);
    if entered.is_ok() {
        io::Write::write_all(&mut say_ready, b"r")?;
    }
    drop(say_ready);
    let mut status = 0;
    // SAFETY: waits for the child made above.
    unsafe { libc::waitpid(mapper, &raw mut status, 0) };
    entered?;
    // Changing namespaces cleared nothing, but the files of `/proc/self` need this.
    sys::prctl(libc::PR_SET_DUMPABLE, 1)?;
    let range_error = match libc::WEXITSTATUS(status) {
        0 => None,
        1 => Some("no range of 65,535 ids in /etc/subuid and /etc/subgid".to_owned()),
        2 => Some("newuidmap and newgidmap are not installed".to_owned()),
        _ => Some("newuidmap refused the range".to_owned()),
    };
    let ids = if range_error.is_none() {
        RANGE
    } else {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw()))?;
        fs::write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw()))?;
        1
    };
    // SAFETY: raw calls in a process of one thread.
    unsafe {
        sys::check(libc::syscall(libc::SYS_setresgid, 0, 0, 0))?;
        sys::check(libc::syscall(libc::SYS_setresuid, 0, 0, 0))?;
    }
    sys::prctl(libc::PR_SET_DUMPABLE, 1)?;
    follow_host_mounts()?;
    Ok((ids, range_error))
}

enum RangeError {
    NoSubIds,
    NoHelper,
    Refused,
}

impl From<io::Error> for RangeError {
    fn from(_: io::Error) -> Self {
        Self::Refused
    }
}

fn wait_for(mut ready: io::PipeReader) -> Result<(), RangeError> {
    let mut byte = [0];
    io::Read::read_exact(&mut ready, &mut byte)?;
    Ok(())
}

/// Has the helpers of the shadow suite map our id and the range after it.
fn map_range(pid: u32, uid: u32, gid: u32) -> Result<(), RangeError> {
    let first_uid = sub_ids("/etc/subuid", uid).ok_or(RangeError::NoSubIds)?;
    let first_gid = sub_ids("/etc/subgid", uid).ok_or(RangeError::NoSubIds)?;
    for (helper, own, first) in [("newuidmap", uid, first_uid), ("newgidmap", gid, first_gid)] {
        let numbers = [pid, 0, own, 1, 1, first, RANGE - 1];
        let status = Command::new(format!("/usr/bin/{helper}"))
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|_| RangeError::NoHelper)?;
        if !status.success() {
            return Err(RangeError::Refused);
        }
    }
    Ok(())
}

/// The first range that is long enough, of the lines for this user.
fn sub_ids(file: &str, uid: u32) -> Option<u32> {
    let name = user_name(uid);
    let number = uid.to_string();
    fs::read_to_string(file).ok()?.lines().find_map(|line| {
        let mut fields = line.split(':');
        let who = fields.next()?;
        let first: u32 = fields.next()?.trim().parse().ok()?;
        let count: u32 = fields.next()?.trim().parse().ok()?;
        let ours = who == number || Some(who) == name.as_deref();
        (ours && count >= RANGE - 1 && first > 0).then_some(first)
    })
}

fn user_name(uid: u32) -> Option<String> {
    fs::read_to_string("/etc/passwd").ok()?.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    })
}

fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: raw call in a process of one thread.
    sys::check(unsafe { libc::syscall(libc::SYS_unshare, flags) }).map(drop)
}

fn landlock_version() -> u32 {
    // SAFETY: asks for the version; no memory is passed.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, 1) };
    u32::try_from(version).unwrap_or(0)
}
