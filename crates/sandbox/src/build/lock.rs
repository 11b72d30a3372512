//! The last steps: limits, the unprivileged user, no capabilities, the filters.

use std::io;

use super::{Step, StepError, landlock, seccomp};
use crate::plan::Plan;
use crate::sys;

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT and
/// SETFCAP: what package managers need.
const SETUP_CAPABILITIES: u64 =
    1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18 | 1 << 31;

/// `IFF_UP | IFF_RUNNING`.
const IFF_UP_RUNNING: libc::c_short = 0x41;

/// The last capability number that is tried; the kernel refuses those it does not know.
const LAST_CAPABILITY: u32 = 63;

/// Takes the first id of the range, with all groups dropped where that is allowed.
pub fn become_root_inside() -> io::Result<()> {
    // Refused where only one id is mapped: then the user's own groups stay, as nobody's.
    // SAFETY: raw calls that change this process alone, which has one thread.
    unsafe {
        libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>());
        sys::check(libc::syscall(libc::SYS_setresgid, 0, 0, 0))?;
        sys::check(libc::syscall(libc::SYS_setresuid, 0, 0, 0))?;
    }
    // Changing ids cleared this; files of `/proc/self` belong to nobody without it.
    sys::prctl(libc::PR_SET_DUMPABLE, 1)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(())
}

/// Raises `lo` and names the host.
pub fn network_and_name() -> io::Result<()> {
    rustix::system::sethostname(b"quire")?;
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: an all-zero `ifreq` is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed() as libc::c_char;
    request.ifr_name[1] = b'o'.cast_signed() as libc::c_char;
    request.ifr_ifru.ifru_flags = IFF_UP_RUNNING;
    // SAFETY: the call reads `request`, which outlives it.
    let result =
        unsafe { libc::ioctl(crate::wire::raw(&socket), libc::SIOCSIFFLAGS, &raw const request) };
    sys::check(result.into()).map(drop)
}

/// Takes everything away that a command must not have.
pub fn lock(
    plan: &Plan,
    filter: &[libc::sock_filter],
    degraded: &mut Vec<String>,
) -> Result<(), StepError> {
    // After the move to the control group, so that it is the root of what is seen.
    if unshare(libc::CLONE_NEWCGROUP).is_err() {
        degraded.push("the control group is visible inside".to_owned());
    }
    if !plan.setup {
        become_user().step("become an ordinary user")?;
    }
    set_affinity(&plan.cpus).step("set the processors")?;
    for (resource, value) in &plan.rlimits {
        set_rlimit(*resource, *value).step("set a resource limit")?;
    }
    for capability in 0..=LAST_CAPABILITY {
        if !plan.setup || SETUP_CAPABILITIES & 1 << capability == 0 {
            // Fails for numbers that the kernel does not know.
            let _ = sys::prctl(libc::PR_CAPBSET_DROP, capability.into());
        }
    }
    sys::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong)
        .step("drop capabilities")?;
    let kept = if plan.setup { SETUP_CAPABILITIES } else { 0 };
    sys::set_capabilities(kept).step("drop capabilities")?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).step("give up new privileges")?;
    // Cleared by the change of ids before.
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong).step("follow the zygote")?;
    sys::prctl(libc::PR_SET_DUMPABLE, 0).step("hide this process's memory")?;
    if !plan.setup
        && let Some(weaker) = landlock::restrict(plan).step("apply Landlock")?
    {
        degraded.push(weaker);
    }
    seccomp::apply(filter).step("apply the system-call filter")
}

/// Uid 1000 for what was uid 0: for programs that refuse to run as root, and without a single
/// capability over the namespaces made so far.
fn become_user() -> io::Result<()> {
    unshare(libc::CLONE_NEWUSER)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", "1000 0 1")?;
    std::fs::write("/proc/self/gid_map", "1000 0 1")
}

fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: raw call in a process of one thread.
    sys::check(unsafe { libc::syscall(libc::SYS_unshare, flags) }).map(drop)
}

fn set_rlimit(resource: u32, value: u64) -> io::Result<()> {
    // SAFETY: plain structures; the calls read and write only these.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        sys::check(libc::getrlimit(resource, &raw mut limit).into())?;
        // Never above what this user may have.
        let value = value.min(limit.rlim_max);
        let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        sys::check(libc::setrlimit(resource, &raw const limit).into()).map(drop)
    }
}

fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = rustix::thread::CpuSet::new();
    for cpu in cpus.iter().filter(|cpu| **cpu < rustix::thread::CpuSet::MAX_CPU) {
        set.set(*cpu);
    }
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}
