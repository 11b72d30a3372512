//! Tries, from inside a sandbox, what must not work: one line for each attempt.
//!
//! `held NAME`, `BREACH NAME: what happened` or `skipped NAME: why`. Only for the tests of this
//! crate; outside a sandbox some attempts would do harm, so it refuses to run there.
#![allow(clippy::print_stdout, reason = "printing is its job")]

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

/// What became of an attempt.
enum Outcome {
    Held,
    Breach(String),
    Skipped(&'static str),
}

type Probe = (&'static str, fn() -> Outcome);

fn main() {
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if hostname.trim() != "quire" || std::process::id() == 1 {
        println!("BREACH probe: this is no sandbox");
        std::process::exit(1);
    }
    for (name, probe) in NAMESPACES.iter().chain(SELF).chain(CALLS).chain(SOCKETS).chain(FILES) {
        match probe() {
            Outcome::Held => println!("held {name}"),
            Outcome::Breach(what) => println!("BREACH {name}: {what}"),
            Outcome::Skipped(why) => println!("skipped {name}: {why}"),
        }
    }
}

/// Held if the call failed.
fn refused(result: libc::c_long) -> Outcome {
    if result < 0 { Outcome::Held } else { Outcome::Breach(format!("the call gave {result}")) }
}

/// Held if the call failed for want of a right, not for its arguments.
fn forbidden(result: libc::c_long) -> Outcome {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        _ if result >= 0 => Outcome::Breach(format!("the call gave {result}")),
        Some(libc::EPERM | libc::ENOSYS | libc::EACCES | libc::EAFNOSUPPORT) => Outcome::Held,
        _ => Outcome::Breach(format!("the call got as far as: {error}")),
    }
}

fn when(held: bool, what: impl FnOnce() -> String) -> Outcome {
    if held { Outcome::Held } else { Outcome::Breach(what()) }
}

macro_rules! call {
    ($number:expr $(, $argument:expr)*) => {
        // SAFETY: arguments are numbers or point to what outlives the call.
        unsafe { libc::syscall($number $(, $argument)*) }
    };
}

const NULL: *const libc::c_void = ptr::null();

/// Another than the host's, which the test passes in the environment.
fn own_namespace(name: &str) -> Outcome {
    let own = fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default();
    match std::env::var(format!("HOST_NS_{}", name.to_uppercase())) {
        Ok(host) => when(own.to_string_lossy() != host, || format!("{host} is the host's")),
        Err(_) => Outcome::Skipped("the host's is not known"),
    }
}

const NAMESPACES: &[Probe] = &[
    ("ns_pid", || own_namespace("pid")),
    ("ns_ipc", || own_namespace("ipc")),
    ("ns_uts", || own_namespace("uts")),
    ("ns_user", || own_namespace("user")),
    ("ns_cgroup", || own_namespace("cgroup")),
    ("ns_net", || own_namespace("net")),
    ("ns_mnt", || own_namespace("mnt")),
    ("userns_unshare", || forbidden(call!(libc::SYS_unshare, libc::CLONE_NEWUSER))),
    ("netns_unshare", || forbidden(call!(libc::SYS_unshare, libc::CLONE_NEWNET))),
    ("mntns_unshare", || forbidden(call!(libc::SYS_unshare, libc::CLONE_NEWNS))),
    ("userns_clone", || forbidden(call!(libc::SYS_clone, libc::CLONE_NEWUSER, 0, 0, 0, 0))),
    ("userns_clone3", || {
        let arguments = [libc::CLONE_NEWUSER as u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
        forbidden(call!(libc::SYS_clone3, arguments.as_ptr(), 64))
    }),
    ("setns_pid1", || match fs::File::open("/proc/1/ns/mnt") {
        Ok(file) => forbidden(call!(libc::SYS_setns, file.as_raw_fd(), 0)),
        Err(_) => Outcome::Held,
    }),
];

fn status_field(name: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').trim().to_owned()
}

fn field_is(name: &str, wanted: &str) -> Outcome {
    let found = status_field(name);
    when(found == wanted, || format!("{name} is {found}"))
}

const NO_CAPABILITY: &str = "0000000000000000";

const SELF: &[Probe] = &[
    ("caps_effective", || field_is("CapEff", NO_CAPABILITY)),
    ("caps_permitted", || field_is("CapPrm", NO_CAPABILITY)),
    ("caps_bounding_empty", || field_is("CapBnd", NO_CAPABILITY)),
    ("caps_ambient", || field_is("CapAmb", NO_CAPABILITY)),
    ("no_new_privs", || field_is("NoNewPrivs", "1")),
    ("seccomp_filter", || field_is("Seccomp", "2")),
    ("groups_dropped", || {
        let groups = status_field("Groups");
        when(groups.split_whitespace().count() <= 1, || groups)
    }),
    ("fd_leak", || {
        let open: Vec<_> = fs::read_dir("/proc/self/fd")
            .map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()).collect())
            .unwrap_or_default();
        // The fourth is the directory that is being read.
        when(open.len() <= 4, || format!("{open:?}"))
    }),
    ("proc_own_pids_only", || {
        let pids = numbers_in_proc().len();
        when(pids <= 40, || format!("{pids} processes are seen"))
    }),
    ("proc_no_kernel_threads", || {
        let thread = numbers_in_proc().into_iter().find(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            !status.is_empty() && !status.contains("VmSize") && !status.contains("zombie")
        });
        when(thread.is_none(), || format!("process {thread:?} has no memory"))
    }),
    ("mount_propagation", || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        when(!mounts.contains(" shared:") && !mounts.contains(" master:"), || mounts)
    }),
    ("no_host_mounts", || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let strange = mounts.lines().find(|line| {
            let target = line.split(' ').nth(4).unwrap_or_default();
            ["/sys", "/run/", "/boot", "/mnt", "/media", "/root"]
                .iter()
                .any(|prefix| target.starts_with(prefix))
        });
        when(strange.is_none(), || strange.unwrap_or_default().to_owned())
    }),
    ("cgroup_path_hidden", || {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let named = groups.lines().find(|line| !line.ends_with(":/"));
        when(named.is_none(), || named.unwrap_or_default().to_owned())
    }),
    ("dotdot_escape", || {
        let above = fs::read_dir("/../../../..").map_or(0, Iterator::count);
        let root = fs::read_dir("/").map_or(0, Iterator::count);
        when(above == root, || "the root has something above it".to_owned())
    }),
];

fn numbers_in_proc() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

const CALLS: &[Probe] = &[
    ("mount_classic", || {
        forbidden(call!(
            libc::SYS_mount,
            c"t".as_ptr(),
            c"/tmp".as_ptr(),
            c"tmpfs".as_ptr(),
            0,
            NULL
        ))
    }),
    ("mount_syscall_bind", || {
        forbidden(call!(
            libc::SYS_mount,
            c"/usr".as_ptr(),
            c"/tmp".as_ptr(),
            NULL,
            libc::MS_BIND,
            NULL
        ))
    }),
    ("umount", || forbidden(call!(libc::SYS_umount2, c"/tmp".as_ptr(), libc::MNT_DETACH))),
    ("mount_fsopen", || forbidden(call!(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0))),
    ("mount_open_tree", || forbidden(call!(libc::SYS_open_tree, -100, c"/".as_ptr(), 1))),
    ("mount_setattr", || {
        let attributes = [0_u64; 4];
        forbidden(call!(
            libc::SYS_mount_setattr,
            -100,
            c"/usr".as_ptr(),
            0,
            attributes.as_ptr(),
            32
        ))
    }),
    ("pivot_root", || forbidden(call!(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))),
    ("chroot", || {
        // In a child, so that the others still see the root.
        // SAFETY: the child makes one call and ends.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(i32::from(libc::chroot(c"/tmp".as_ptr()) == 0));
            }
            let mut status = 0;
            libc::waitpid(child, &raw mut status, 0);
            libc::WEXITSTATUS(status)
        };
        when(status == 0, || "the root was changed".to_owned())
    }),
    ("ptrace_pid1", || forbidden(call!(libc::SYS_ptrace, 0x4206, 1, 0, 0))),
    ("vm_readv_pid1", || {
        let mut byte = [0_u8; 1];
        let part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        let part = &raw const part;
        forbidden(call!(libc::SYS_process_vm_readv, 1, part, 1, part, 1, 0))
    }),
    ("kill_pid1", || {
        call!(libc::SYS_kill, 1, libc::SIGKILL);
        std::thread::sleep(std::time::Duration::from_millis(20));
        when(fs::metadata("/proc/1").is_ok(), || "it is gone".to_owned())
    }),
    ("bpf", || forbidden(call!(libc::SYS_bpf, 0, [0_u64; 16].as_ptr(), 128))),
    ("perf_event", || {
        let mut attributes = [0_u64; 16];
        attributes[0] = 1 | 128 << 32;
        forbidden(call!(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0))
    }),
    ("userfaultfd", || forbidden(call!(libc::SYS_userfaultfd, 1))),
    ("io_uring", || {
        let parameters = [0_u64; 16];
        forbidden(call!(libc::SYS_io_uring_setup, 4, parameters.as_ptr()))
    }),
    ("keyctl", || forbidden(call!(libc::SYS_keyctl, 0, -3, 1))),
    ("add_key", || {
        forbidden(call!(libc::SYS_add_key, c"user".as_ptr(), c"k".as_ptr(), c"v".as_ptr(), 1, -3))
    }),
    ("request_key", || {
        forbidden(call!(libc::SYS_request_key, c"user".as_ptr(), c"k".as_ptr(), NULL, 0))
    }),
    ("kexec", || forbidden(call!(libc::SYS_kexec_load, 0, 0, NULL, 0))),
    ("init_module", || forbidden(call!(libc::SYS_init_module, c"x".as_ptr(), 1, c"".as_ptr()))),
    ("finit_module", || forbidden(call!(libc::SYS_finit_module, 0, c"".as_ptr(), 0))),
    ("delete_module", || forbidden(call!(libc::SYS_delete_module, c"nothing".as_ptr(), 0))),
    ("reboot_bad_magic", || forbidden(call!(libc::SYS_reboot, 0, 0, 0, NULL))),
    ("swapon", || forbidden(call!(libc::SYS_swapon, c"/tmp/none".as_ptr(), 0))),
    ("settimeofday", || {
        let time = libc::timeval { tv_sec: 0, tv_usec: 0 };
        forbidden(call!(libc::SYS_settimeofday, &raw const time, NULL))
    }),
    ("sethostname", || forbidden(call!(libc::SYS_sethostname, c"quire".as_ptr(), 5))),
    ("syslog_read", || {
        let mut buffer = [0_u8; 64];
        forbidden(call!(libc::SYS_syslog, 3, buffer.as_mut_ptr(), 64))
    }),
    #[cfg(target_arch = "x86_64")]
    ("iopl", || forbidden(call!(libc::SYS_iopl, 3))),
    ("fanotify", || forbidden(call!(libc::SYS_fanotify_init, 0, 0))),
    ("sched_fifo", || {
        let priority: libc::c_int = 10;
        forbidden(call!(libc::SYS_sched_setscheduler, 0, 1, &raw const priority))
    }),
    ("open_by_handle", || {
        let mut handle = [0_u32; 34];
        handle[0] = 128;
        let mut mount: libc::c_int = 0;
        let root = c"/".as_ptr();
        let named =
            call!(libc::SYS_name_to_handle_at, -100, root, handle.as_mut_ptr(), &raw mut mount, 0);
        if named < 0 {
            return Outcome::Held;
        }
        forbidden(call!(libc::SYS_open_by_handle_at, -100, handle.as_ptr(), 0))
    }),
    ("mknod_block", || {
        let path = c"/tmp/block".as_ptr();
        let device = libc::makedev(254, 0);
        forbidden(call!(libc::SYS_mknodat, -100, path, libc::S_IFBLK | 0o600, device))
    }),
    ("tiocsti", || {
        // SAFETY: a new terminal of our own, and one byte.
        unsafe {
            let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
            forbidden(libc::ioctl(master, libc::TIOCSTI, c"x".as_ptr()).into())
        }
    }),
    ("ctty", || refused(call!(libc::SYS_openat, -100, c"/dev/tty".as_ptr(), libc::O_RDWR))),
    ("nice_raise", || {
        // SAFETY: a number.
        forbidden(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -5) }.into())
    }),
    ("x32_and_unknown_calls", || refused(call!(0x4000_0000 | libc::SYS_getpid))),
];

fn socket(family: i32, kind: i32, protocol: i32) -> Outcome {
    // SAFETY: numbers.
    forbidden(unsafe { libc::socket(family, kind, protocol) }.into())
}

const SOCKETS: &[Probe] = &[
    ("socket_vsock", || socket(40, libc::SOCK_STREAM, 0)),
    ("socket_af_alg", || socket(38, libc::SOCK_SEQPACKET, 0)),
    ("socket_packet", || socket(17, libc::SOCK_RAW, 0)),
    ("socket_raw_icmp", || socket(libc::AF_INET, libc::SOCK_RAW, 1)),
    ("socket_families", || {
        // Netlink but for routing, and families that have had holes.
        let others = [3, 4, 5, 9, 11, 15, 20, 21, 26, 29, 30, 31, 33, 37, 39, 41, 43, 44, 45];
        let opened = others.into_iter().find(|family| {
            // SAFETY: numbers.
            unsafe { libc::socket(*family, libc::SOCK_DGRAM, 0) >= 0 }
        });
        when(opened.is_none(), || format!("family {opened:?} opens"))
    }),
    ("socket_netlink_audit", || socket(16, libc::SOCK_RAW, 9)),
    ("net_only_loopback", || {
        let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
        let others = devices.lines().skip(2).any(|line| !line.trim_start().starts_with("lo:"));
        when(!others, || devices)
    }),
    ("net_no_default_route", || {
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        when(routes.lines().count() <= 1, || routes)
    }),
    ("net_tcp_out", || connect("1.1.1.1:443")),
    ("net_metadata", || connect("169.254.169.254:80")),
    ("net_udp_out", || {
        let sent = std::net::UdpSocket::bind("0.0.0.0:0")
            .and_then(|socket| socket.send_to(b"x", "1.1.1.1:53"));
        when(sent.is_err(), || "it was sent".to_owned())
    }),
    ("net_dns", || {
        let found = std::net::ToSocketAddrs::to_socket_addrs("example.com:80");
        when(found.is_err(), || "the name resolves".to_owned())
    }),
    ("net_host_listeners", || {
        let listeners = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        when(listeners.lines().count() <= 1, || listeners)
    }),
    ("unix_abstract", || {
        let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let named = sockets.lines().find(|line| line.contains('@'));
        when(named.is_none(), || named.unwrap_or_default().to_owned())
    }),
];

fn connect(address: &str) -> Outcome {
    let begun = std::time::Instant::now();
    let connected = std::net::TcpStream::connect(address);
    when(connected.is_err() && begun.elapsed().as_secs() < 2, || {
        format!("{connected:?} after {:?}", begun.elapsed())
    })
}

/// Held if it cannot be opened to write.
fn unwritable(path: &str) -> Outcome {
    let opened = fs::OpenOptions::new().write(true).open(path);
    when(opened.is_err(), || format!("{path} opens to write"))
}

/// Held if it cannot be read, or is empty.
fn unreadable(path: &str) -> Outcome {
    let mut first = [0; 1];
    let read = fs::File::open(path).and_then(|mut file| io::Read::read(&mut file, &mut first));
    when(!matches!(read, Ok(1..)), || format!("{path} reads"))
}

const FILES: &[Probe] = &[
    ("pid1_mem", || unreadable("/proc/1/mem")),
    ("pid1_environ", || unreadable("/proc/1/environ")),
    ("pid1_maps", || unreadable("/proc/1/maps")),
    ("pid1_fd", || {
        // Where an outer user namespace made the zygote its numbers may list; what they stand
        // for may not.
        let entries = fs::read_dir("/proc/1/fd").into_iter().flatten().filter_map(Result::ok);
        let seen = entries.map(|entry| entry.path()).find(|path| fs::read_link(path).is_ok());
        when(seen.is_none(), || format!("{seen:?} reads"))
    }),
    ("pid1_root", || when(fs::read_dir("/proc/1/root/").is_err(), || "it lists".to_owned())),
    ("pid1_exe_write", || unwritable("/proc/1/exe")),
    ("proc_core_pattern", || unwritable("/proc/sys/kernel/core_pattern")),
    ("proc_modprobe", || unwritable("/proc/sys/kernel/modprobe")),
    ("proc_sysrq", || unwritable_or_null("/proc/sysrq-trigger")),
    ("proc_drop_caches", || unwritable("/proc/sys/vm/drop_caches")),
    ("proc_binfmt", || unwritable("/proc/sys/fs/binfmt_misc/register")),
    ("proc_keys", || unreadable("/proc/keys")),
    ("proc_kcore", || unreadable("/proc/kcore")),
    ("proc_kmsg", || unreadable("/proc/kmsg")),
    ("proc_kallsyms", || unreadable("/proc/kallsyms")),
    ("proc_timer_list", || unreadable("/proc/timer_list")),
    ("sys_absent", || when(fs::metadata("/sys/kernel").is_err(), || "it is there".to_owned())),
    ("sys_uevent_helper", || unwritable("/sys/kernel/uevent_helper")),
    ("sys_power_state", || unwritable("/sys/power/state")),
    ("sys_debugfs", || unreadable("/sys/kernel/debug/sched/features")),
    ("cgroup_write", || {
        when(fs::create_dir("/sys/fs/cgroup/x").is_err(), || "a group was made".to_owned())
    }),
    ("cgroup_release_agent", || unwritable("/sys/fs/cgroup/memory/release_agent")),
    ("dev_minimal", || {
        let known = [
            "null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr",
            "ptmx", "pts", "shm",
        ];
        let strange = fs::read_dir("/dev")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find(|name| !known.contains(&name.as_str()));
        when(strange.is_none(), || format!("{strange:?}"))
    }),
    ("dev_kvm", || unwritable("/dev/kvm")),
    ("dev_fuse", || unwritable("/dev/fuse")),
    ("dev_tun", || unwritable("/dev/net/tun")),
    ("dev_mem", || unwritable("/dev/mem")),
    ("usr_write", || when(fs::write("/usr/x", "x").is_err(), || "it was written".to_owned())),
    ("etc_write", || when(fs::write("/etc/x", "x").is_err(), || "it was written".to_owned())),
    ("root_write", || when(fs::write("/x", "x").is_err(), || "it was written".to_owned())),
    ("dev_write", || when(fs::write("/dev/x", "x").is_err(), || "it was written".to_owned())),
    ("shadow", || unreadable("/etc/shadow")),
    ("host_homes", || {
        let seen = ["/root", "/home", "/run/user", "/boot", "/mnt"].into_iter().find(|path| {
            let entries = fs::read_dir(path).map(|entries| {
                entries
                    .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                    .filter(|name| name != "quire")
                    .count()
            });
            entries.is_ok_and(|count| count > 0)
        });
        when(seen.is_none(), || format!("{seen:?} holds something"))
    }),
    ("proc_environ_secrets", || {
        let secret = numbers_in_proc().into_iter().find(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains("CANARY_OF_THE_HOST")
        });
        when(secret.is_none(), || format!("process {secret:?} holds it"))
    }),
    ("suid_inert", || {
        // With no_new_privs and nosuid it may run, but as us.
        let run = std::process::Command::new("su")
            .args(["-c", "id -u"])
            .stdin(std::process::Stdio::null())
            .output();
        when(!run.is_ok_and(|output| output.stdout.starts_with(b"0")), || "su gave root".to_owned())
    }),
    ("oom_shield", || {
        let written = fs::write("/proc/self/oom_score_adj", "-900");
        when(written.is_err(), || "it was lowered".to_owned())
    }),
    ("limit_core", || limit(libc::RLIMIT_CORE, 0)),
    ("limit_nofile", || limit(libc::RLIMIT_NOFILE, 65_536)),
    ("limit_memlock", || limit(libc::RLIMIT_MEMLOCK, 1 << 30)),
    ("limit_rtprio", || limit(libc::RLIMIT_RTPRIO, 0)),
    ("limit_disk_tmp", || full(c"/tmp/big")),
    ("limit_disk_dev_shm", || full(c"/dev/shm/big")),
    ("limit_disk_upper", || full(c"/var/tmp/big")),
];

/// Reads as the null device, or is not there.
fn unwritable_or_null(path: &str) -> Outcome {
    use std::os::unix::fs::MetadataExt as _;
    let null = fs::metadata(path).is_ok_and(|metadata| metadata.rdev() == libc::makedev(1, 3));
    if null { Outcome::Held } else { unwritable(path) }
}

fn limit(resource: u32, most: u64) -> Outcome {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the structure only.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    when(limit.rlim_max <= most, || format!("{} is allowed", limit.rlim_max))
}

/// Held if 5 GiB cannot be had there.
fn full(path: &std::ffi::CStr) -> Outcome {
    // SAFETY: a NUL-terminated path and numbers; SIGXFSZ is what a limit sends.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        let fd = libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o600);
        let result = libc::fallocate(fd, 0, 0, 5 << 30);
        libc::close(fd);
        libc::unlink(path.as_ptr());
        refused(result.into())
    }
}
