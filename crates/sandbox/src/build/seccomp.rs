//! The system-call filter: everything is allowed but what a list denies.
//!
//! Assembled by hand: one filter answers with three error numbers, looks at arguments, and
//! refuses the 32-bit forms, which share the architecture mark of the 64-bit ones.

use libc::sock_filter;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GREATER_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

#[cfg(target_arch = "x86_64")]
const OWN_ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OWN_ARCHITECTURE: u32 = 0xc000_00b7;

/// Flags of `clone` that make a namespace.
const NAMESPACES: u32 = 0x7e02_0080;

/// Calls that are denied whatever their arguments.
const DENIED: &[libc::c_long] = &[
    // Mounts, old and new.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    467, // open_tree_attr
    // Namespaces.
    libc::SYS_setns,
    libc::SYS_unshare,
    // Wide attack surface that no build or test needs.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_vhangup,
    libc::SYS_acct,
    libc::SYS_syslog,
    // Other processes' memory, and files by handle.
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// Socket families that are allowed; of netlink only the routing protocol.
const FAMILIES: [u32; 3] = [1, 2, 10];
const NETLINK: u32 = 16;

/// Whose filter it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Filtered {
    /// The agent's commands.
    Agent,
    /// Setup: `chroot` is allowed, which package managers use.
    Setup,
    /// Setup where one id is mapped alone: giving a file to another, or dropping groups, is said
    /// to be done and is not. Package managers stop at the refusal, and the agent, who is that one
    /// id, owns every file in any case.
    SetupOfOneId,
}

/// Calls that give files to others or take groups away.
const OWNERS: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setgroups,
];

/// The filter.
pub fn filter(filtered: Filtered) -> Vec<sock_filter> {
    let mut program = Program(Vec::new());
    program.load(ARCHITECTURE);
    program.unless_equal_return(OWN_ARCHITECTURE, KILL);
    program.load(NUMBER);
    if cfg!(target_arch = "x86_64") {
        // The x32 calls.
        program.jump(JUMP_GREATER_EQUAL, 0x4000_0000, 0, 1);
        program.give(errno(libc::ENOSYS));
    }
    for call in DENIED {
        program.if_call(*call, &[Program::ret(errno(libc::EPERM))]);
    }
    if filtered == Filtered::Agent {
        program.if_call(libc::SYS_chroot, &[Program::ret(errno(libc::EPERM))]);
    }
    if filtered == Filtered::SetupOfOneId {
        for call in OWNERS {
            program.if_call(*call, &[Program::ret(errno(0))]);
        }
    }
    // libc falls back to `clone`, whose flags can be read.
    program.if_call(libc::SYS_clone3, &[Program::ret(errno(libc::ENOSYS))]);
    program.if_call(
        libc::SYS_clone,
        &[
            Program::load_argument(0),
            Program::op(JUMP_SET, NAMESPACES, 0, 1),
            Program::ret(errno(libc::EPERM)),
            Program::ret(ALLOW),
        ],
    );
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        program.if_call(call, &socket_families());
    }
    program.if_call(
        libc::SYS_ioctl,
        &[
            Program::load_argument(1),
            Program::op(JUMP_EQUAL, 0x5412, 2, 0), // TIOCSTI
            Program::op(JUMP_EQUAL, 0x541c, 1, 0), // TIOCLINUX
            Program::ret(ALLOW),
            Program::ret(errno(libc::EPERM)),
        ],
    );
    #[cfg(target_arch = "x86_64")]
    program.if_call(libc::SYS_mknod, &device_nodes(1));
    program.if_call(libc::SYS_mknodat, &device_nodes(2));
    program.give(ALLOW);
    program.0
}

fn socket_families() -> Vec<sock_filter> {
    let refused = errno(libc::EAFNOSUPPORT);
    vec![
        Program::load_argument(0),
        Program::op(JUMP_EQUAL, FAMILIES[0], 6, 0),
        Program::op(JUMP_EQUAL, FAMILIES[1], 5, 0),
        Program::op(JUMP_EQUAL, FAMILIES[2], 4, 0),
        Program::op(JUMP_EQUAL, NETLINK, 0, 2),
        Program::load_argument(2),
        Program::op(JUMP_EQUAL, 0, 1, 0),
        Program::ret(refused),
        Program::ret(ALLOW),
    ]
}

/// Denies making block and character devices; `mode` is the number of that argument.
fn device_nodes(mode: u32) -> Vec<sock_filter> {
    vec![
        Program::load_argument(mode),
        Program::op(AND, libc::S_IFMT, 0, 0),
        Program::op(JUMP_EQUAL, libc::S_IFBLK, 2, 0),
        Program::op(JUMP_EQUAL, libc::S_IFCHR, 1, 0),
        Program::ret(ALLOW),
        Program::ret(errno(libc::EPERM)),
    ]
}

fn errno(number: i32) -> u32 {
    0x0005_0000 | number.cast_unsigned()
}

struct Program(Vec<sock_filter>);

impl Program {
    fn op(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
        sock_filter { code, jt, jf, k }
    }

    fn ret(value: u32) -> sock_filter {
        Self::op(RETURN, value, 0, 0)
    }

    /// The low half of an argument: the kernel reads these as 32 bits.
    fn load_argument(index: u32) -> sock_filter {
        Self::op(LOAD, 16 + 8 * index, 0, 0)
    }

    fn load(&mut self, offset: u32) {
        self.0.push(Self::op(LOAD, offset, 0, 0));
    }

    fn jump(&mut self, code: u16, k: u32, jt: u8, jf: u8) {
        self.0.push(Self::op(code, k, jt, jf));
    }

    fn give(&mut self, value: u32) {
        self.0.push(Self::ret(value));
    }

    fn unless_equal_return(&mut self, k: u32, value: u32) {
        self.jump(JUMP_EQUAL, k, 1, 0);
        self.give(value);
    }

    /// Runs `body`, which returns in each branch, for one call.
    fn if_call(&mut self, call: libc::c_long, body: &[sock_filter]) {
        let (Ok(number), Ok(length)) = (u32::try_from(call), u8::try_from(body.len())) else {
            return;
        };
        self.jump(JUMP_EQUAL, number, 0, length);
        self.0.extend_from_slice(body);
    }
}

/// Puts the filter on this process for good.
pub fn apply(filter: &[sock_filter]) -> std::io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(std::io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program outlives the call, which only reads it.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    crate::sys::check(result).map(drop)
}
