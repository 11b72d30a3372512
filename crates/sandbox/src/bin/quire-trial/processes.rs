//! Other processes: their memory, descriptors and scheduling.

use std::ffi::CString;

use crate::{Trial, call, numeric};

pub const TRIALS: &[Trial] = &[
    // PTRACE_SEIZE.
    ("ptrace", |arguments| call!(libc::SYS_ptrace, 0x4206, process(arguments), 0, 0)),
    ("vm_readv", |arguments| {
        let mut byte = [0_u8; 1];
        let part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let part = &raw const part;
        call!(libc::SYS_process_vm_readv, process(arguments), part, 1, part, 1, 0)
    }),
    ("vm_writev", |arguments| {
        let mut byte = [0_u8; 1];
        let part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let part = &raw const part;
        call!(libc::SYS_process_vm_writev, process(arguments), part, 1, part, 1, 0)
    }),
    ("kcmp", |arguments| {
        let process = process(arguments);
        call!(libc::SYS_kcmp, process, process, 0, 0, 0)
    }),
    ("process_madvise", |_| call!(libc::SYS_process_madvise, -1, 0, 0, 0, 0)),
    ("pidfd_getfd", |arguments| {
        let pidfd = call!(libc::SYS_pidfd_open, process(arguments), 0)?;
        call!(libc::SYS_pidfd_getfd, pidfd.parse::<i32>().unwrap_or(-1), 0, 0)
    }),
    ("sched_fifo", |_| {
        let priority: libc::c_int = 1;
        call!(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const priority)
    }),
    // The real-time class, level 0.
    ("ioprio_realtime", |_| call!(libc::SYS_ioprio_set, 1, 0, 1 << 13)),
    ("raise_limit", |_| {
        let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: libc::RLIM_INFINITY };
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, &raw const limit, 0)
    }),
    ("stop_everything", |_| {
        // SAFETY: signals to what this process may signal.
        let all = unsafe { [libc::kill(1, libc::SIGSTOP), libc::kill(1, libc::SIGKILL)] };
        std::thread::sleep(std::time::Duration::from_millis(20));
        // Reads the state of process 1: `S`, not `T` or nothing.
        let status = std::fs::read_to_string("/proc/1/stat").unwrap_or_default();
        let state = status.rsplit(')').next().unwrap_or_default().trim().chars().next();
        Ok(format!("{all:?} process 1 is {}", state.unwrap_or('-')))
    }),
    ("quota", |_| {
        let path = CString::default();
        // Q_SYNC of user quotas.
        call!(libc::SYS_quotactl, 0x8000_0100_u32, path.as_ptr(), 0, 0)
    }),
];

/// The first argument as a process id; ourselves without.
fn process(arguments: &[String]) -> i64 {
    match numeric(arguments, 0) {
        0 => std::process::id().into(),
        process => process,
    }
}
