//! Who the commands are: privileges, descriptors, and process 1, which they must leave alone.

use crate::row::{Bare, Expected, NO_RIGHT, Row, script, trial};
use crate::stand::Ran;

pub fn rows() -> Vec<Row> {
    let root_inside = "setup is root inside";
    let same_root = "seen=$(stat -L -c %d:%i /proc/1/root 2>/dev/null) || exit 0; \
                     [ $seen = $(stat -c %d:%i /) ] || echo another root";
    vec![
        script(
            "caps_none",
            "grep ^Cap /proc/self/status | cut -f2 | sort -u",
            Expected::Prints("0000000000000000"),
        )
        .bare(Bare::AsRoot)
        .in_setup(Expected::Prints("0000000000000000\n00000000800404fb")),
        script(
            "no_new_privs, seccomp_filter",
            "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'",
            Expected::Prints("NoNewPrivs:1\nSeccomp:2"),
        )
        .bare(Bare::Harmless),
        script(
            "groups_dropped",
            "grep ^Groups: /proc/self/status",
            Expected::Judged(at_most_one_group),
        ),
        script("fd_leak", "ls /proc/$$/fd; true", Expected::Prints("0\n1\n2")),
        trial("setuid_root", "setuid_root")
            .expect(Expected::Refused(&[libc::EPERM, libc::EINVAL]))
            .in_setup(Expected::Allowed)
            .bare(Bare::AsRoot),
        trial("setgid_root", "setgid_root")
            .expect(Expected::Refused(&[libc::EPERM, libc::EINVAL]))
            .in_setup(Expected::Allowed)
            .bare(Bare::AsRoot),
        trial("setgroups", "setgroups")
            .expect(Expected::Refused(&[libc::EPERM, libc::EINVAL]))
            .in_setup(Expected::Skipped("package managers set groups in setup"))
            .bare(Bare::AsRoot),
        trial("capset", "capset").bare(Bare::Apart),
        trial("ambient", "ambient"),
        trial("securebits", "securebits").bare(Bare::Apart),
        trial("regain_privileges", "regain_privileges").expect(Expected::Refused(&[libc::EINVAL])),
        trial("own_uid_map", "write 0_0_4294967295 /proc/self/uid_map")
            .expect(Expected::Refused(&[libc::EPERM, libc::EACCES, libc::EINVAL])),
        script(
            "suid_inert",
            "awk '$6 !~ /nosuid/ {print $5}' /proc/self/mountinfo",
            Expected::Prints(""),
        )
        .bare(Bare::Harmless),
        script(
            "suid_copy",
            "cp /bin/bash b && chmod 4755 b && ./b -p -c 'id -u'; rm -f b",
            Expected::Prints("1000"),
        )
        .in_setup(Expected::Prints("0")),
        script(
            "su_sudo",
            "timeout 5 su -c 'id -u' </dev/null 2>/dev/null | grep -x 0; \
             timeout 5 sudo -n id -u </dev/null 2>/dev/null | grep -x 0",
            Expected::Prints(""),
        )
        .in_setup(Expected::Skipped(root_inside)),
        trial("ptrace_pid1", "ptrace 1").expect(Expected::Refused(NO_RIGHT)),
        trial("vm_readv_pid1", "vm_readv 1"),
        trial("vm_readv_own", "vm_readv").bare(Bare::Harmless),
        trial("vm_writev_own", "vm_writev").bare(Bare::Harmless),
        trial("kcmp", "kcmp").bare(Bare::Harmless),
        trial("process_madvise", "process_madvise").bare(Bare::Harmless),
        trial("pidfd_getfd_pid1", "pidfd_getfd 1").expect(Expected::Refused(NO_RIGHT)),
        trial("pid1_mem", "open_read /proc/1/mem").expect(Expected::Closed),
        trial("pid1_environ", "open_read /proc/1/environ /proc/1/auxv").expect(Expected::Closed),
        trial("pid1_maps", "open_read /proc/1/maps /proc/1/smaps").expect(Expected::Closed),
        trial("pid1_syscall", "open_read /proc/1/syscall /proc/1/stack").expect(Expected::Closed),
        // In a nested user namespace the numbers are listed; where they lead is not.
        script(
            "pid1_fd",
            "exec 2>/dev/null; readlink /proc/1/fd/* /proc/1/cwd /proc/1/exe; \
             for f in /proc/1/fd/*; do (exec 9<$f) && echo opened $f; done",
            Expected::Prints(""),
        ),
        script("pid1_root", same_root, Expected::Prints("")),
        trial("pid1_exe_write", "open_write /proc/1/exe").expect(Expected::Closed),
        trial("pid1_maps_write", "write 0_0_1 /proc/1/uid_map").expect(Expected::Closed),
        trial("pid1_setgroups", "write allow /proc/1/setgroups").expect(Expected::Closed),
        trial("pid1_oom", "write -1000 /proc/1/oom_score_adj").expect(Expected::Closed),
        trial("kill_pid1", "stop_everything").expect(Expected::Judged(process_one_lives)),
        script("kill_all", "kill -9 -1 2>/dev/null; echo alive", Expected::Prints("alive")),
    ]
}

fn at_most_one_group(ran: &Ran) -> Option<String> {
    let words = ran.output.split_whitespace().count();
    (!(1..=2).contains(&words)).then(|| ran.output.clone())
}

fn process_one_lives(ran: &Ran) -> Option<String> {
    let lives = ran.output.contains("process 1 is S") || ran.output.contains("process 1 is R");
    (!lives).then(|| ran.output.clone())
}
