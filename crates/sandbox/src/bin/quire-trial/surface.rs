//! Calls that no build or test needs, and the machine's own settings.
//!
//! Arguments are valid where that is harmless, so that a refusal is one of the call itself; where
//! it is not they are such that nothing happens.

use crate::{Answer, Trial, call, in_child};

const NULL: *const libc::c_void = std::ptr::null();

pub const TRIALS: &[Trial] = &[
    ("bpf", |_| {
        // BPF_MAP_CREATE of an array of one number.
        let attributes: [u32; 32] = std::array::from_fn(|index| match index {
            0 => 2,
            1 | 2 => 4,
            3 => 1,
            _ => 0,
        });
        call!(libc::SYS_bpf, 0, attributes.as_ptr(), 128)
    }),
    ("perf_event", |_| {
        // The CPU clock of this process, without the kernel's share.
        let mut attributes = [0_u64; 8];
        attributes[0] = 1 | 64 << 32;
        attributes[5] = 1 << 5 | 1 << 6;
        call!(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0)
    }),
    ("userfaultfd", |_| call!(libc::SYS_userfaultfd, 1)),
    ("io_uring_setup", |_| {
        let parameters = [0_u64; 15];
        call!(libc::SYS_io_uring_setup, 2, parameters.as_ptr())
    }),
    ("io_uring_enter", |_| call!(libc::SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0)),
    ("io_uring_register", |_| call!(libc::SYS_io_uring_register, -1, 0, NULL, 0)),
    ("keyctl", |_| call!(libc::SYS_keyctl, 0, -2, 1)),
    ("add_key", |_| {
        let (kind, name) = (c"user".as_ptr(), c"quire-trial".as_ptr());
        call!(libc::SYS_add_key, kind, name, c"v".as_ptr(), 1, -2)
    }),
    ("request_key", |_| {
        call!(libc::SYS_request_key, c"user".as_ptr(), c"quire-none".as_ptr(), NULL, 0)
    }),
    ("fanotify", |_| call!(libc::SYS_fanotify_init, 0x200, 0)),
    ("fanotify_mark", |_| call!(libc::SYS_fanotify_mark, -1, 1, 2, -1, NULL)),
    ("open_by_handle", |_| {
        let handle = [8_u32, 1, 0, 0];
        call!(libc::SYS_open_by_handle_at, libc::AT_FDCWD, handle.as_ptr(), 0)
    }),
    ("name_to_handle", |_| {
        let mut handle = [0_u32; 34];
        handle[0] = 128;
        let (root, mut mount) = (c"/".as_ptr(), 0);
        let handle = handle.as_mut_ptr();
        call!(libc::SYS_name_to_handle_at, libc::AT_FDCWD, root, handle, &raw mut mount, 0)
    }),
    // More segments than there may be.
    ("kexec_load", |_| call!(libc::SYS_kexec_load, 0, 1000, NULL, 0)),
    ("kexec_file_load", |_| call!(libc::SYS_kexec_file_load, -1, -1, 0, NULL, 0)),
    ("init_module", |_| call!(libc::SYS_init_module, NULL, 0, c"".as_ptr())),
    ("finit_module", |_| call!(libc::SYS_finit_module, -1, c"".as_ptr(), 0)),
    ("delete_module", |_| call!(libc::SYS_delete_module, c"quire_none".as_ptr(), 0x800)),
    // Not the magic numbers.
    ("reboot", |_| call!(libc::SYS_reboot, 0xdead, 0xbeef, 0, NULL)),
    ("swapon", |_| call!(libc::SYS_swapon, c"/quire-none".as_ptr(), 0)),
    ("swapoff", |_| call!(libc::SYS_swapoff, c"/quire-none".as_ptr())),
    // Five million microseconds are no time.
    ("settimeofday", |_| {
        let time = libc::timeval { tv_sec: 0, tv_usec: 5_000_000 };
        call!(libc::SYS_settimeofday, &raw const time, NULL)
    }),
    ("clock_settime", |_| {
        let time = libc::timespec { tv_sec: 0, tv_nsec: 5_000_000_000 };
        call!(libc::SYS_clock_settime, libc::CLOCK_REALTIME, &raw const time)
    }),
    ("adjtimex", |_| {
        let settings = [0_u64; 32];
        call!(libc::SYS_adjtimex, settings.as_ptr())
    }),
    ("sethostname", |_| call!(libc::SYS_sethostname, c"trial".as_ptr(), 5)),
    ("setdomainname", |_| call!(libc::SYS_setdomainname, c"trial".as_ptr(), 5)),
    ("syslog_size", |_| call!(libc::SYS_syslog, 10, NULL, 0)),
    ("acct", |_| call!(libc::SYS_acct, c"/quire-none".as_ptr())),
    ("quotactl_fd", |_| call!(libc::SYS_quotactl_fd, -1, 0x8000_0100_u32, 0, NULL)),
    ("vhangup", |_| call!(libc::SYS_vhangup)),
    ("iopl", |_| processor(Processor::Level)),
    ("ioperm", |_| processor(Processor::Ports)),
    ("modify_ldt", |_| processor(Processor::Segments)),
    ("call_of_32_bits", |_| processor(Processor::Call32)),
    // `mount` as a call of the x32 form.
    ("call_of_x32", |_| {
        call!(0x4000_0000 | libc::SYS_mount, NULL, c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, NULL)
    }),
];

#[derive(Clone, Copy)]
enum Processor {
    Level,
    Ports,
    Segments,
    Call32,
}

/// What only one family of processors has.
#[cfg(target_arch = "x86_64")]
fn processor(what: Processor) -> Answer {
    match what {
        Processor::Level => call!(libc::SYS_iopl, 3),
        Processor::Ports => call!(libc::SYS_ioperm, 0x80, 1, 1),
        Processor::Segments => {
            let segments = [0_u64; 2];
            call!(libc::SYS_modify_ldt, 0, segments.as_ptr(), 16)
        }
        Processor::Call32 => {
            let ended = in_child(|| {
                let mut result: i32 = 20; // getpid
                // SAFETY: a call that takes no argument; r8 to r11 are lost by it.
                unsafe {
                    std::arch::asm!(
                        "int 0x80", inout("eax") result,
                        out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                    );
                }
                i32::from(result <= 0)
            })?;
            if ended == 0 { Ok("it gave a number".to_owned()) } else { Err(libc::ENOSYS) }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor(what: Processor) -> Answer {
    let _ = (what, in_child(|| 0));
    Err(libc::ENOSYS)
}
