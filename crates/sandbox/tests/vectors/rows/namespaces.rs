//! Namespaces and mounts: its own, no new ones, and none of another's.

use crate::row::{Bare, Expected, NO_RIGHT, Row, script, trial};
use crate::stand::Ran;

pub fn rows() -> Vec<Row> {
    let namespaces = "for n in pid ipc uts user cgroup net mnt; do readlink /proc/self/ns/$n; done";
    let no_threads = "for s in /proc/[0-9]*/status; do \
        grep -qE '^VmSize|^State:.Z' $s 2>/dev/null || [ ! -e $s ] || echo $s; done";
    let tools = "exec 2>/dev/null; unshare -m true && echo unshare; nsenter -t 1 -m true && echo \
        nsenter; mount -t tmpfs t /tmp && echo mount; mknod dev b 254 0 && echo mknod; \
        dmesg && echo dmesg; true";
    let pids = "ls -d /proc/[0-9]* | wc -l";
    vec![
        script("ns_own", namespaces, Expected::Judged(not_the_hosts)).bare(Bare::Harmless),
        script("proc_own_pids_only", pids, Expected::Judged(at_most_forty)),
        script("proc_no_kernel_threads", no_threads, Expected::Prints("")),
        script(
            "mount_propagation",
            "grep -E ' (shared|master):' /proc/self/mountinfo",
            Expected::Prints(""),
        ),
        script(
            "userns_cli",
            "unshare -Ur true 2>/dev/null && echo allowed || echo refused",
            Expected::Prints("refused"),
        ),
        script("tools_refused", tools, Expected::Prints("")),
        trial("userns_unshare", "unshare 268435456").bare(Bare::Harmless),
        trial("userns_clone", "clone 268435456").bare(Bare::Harmless),
        trial("userns_clone3", "clone3 268435456").bare(Bare::Harmless),
        trial("netns_unshare", "unshare 1073741824").bare(Bare::Apart),
        trial("mntns_unshare", "unshare 131072").bare(Bare::Apart),
        trial("pidns_unshare", "unshare 536870912").bare(Bare::Apart),
        trial("ipcns_unshare", "unshare 134217728").bare(Bare::Apart),
        trial("utsns_unshare", "unshare 67108864").bare(Bare::Apart),
        trial("cgroupns_unshare", "unshare 33554432").bare(Bare::Apart),
        trial("timens_unshare", "unshare 128").bare(Bare::Apart),
        trial("mntns_clone", "clone 131072").bare(Bare::Apart),
        trial("netns_clone", "clone 1073741824").bare(Bare::Apart),
        trial("setns_own", "setns /proc/self/ns/uts").bare(Bare::AsRoot),
        trial("setns_pid1", "setns /proc/1/ns/mnt").expect(Expected::Refused(NO_RIGHT)),
        trial("setns_pidfd", "setns_pidfd 1"),
        trial("mount_classic", "mount_tmpfs").bare(Bare::Apart),
        trial("mount_syscall_bind", "mount_bind").bare(Bare::Apart),
        trial("mount_remount", "mount_remount").bare(Bare::Apart),
        trial("mount_share", "mount_propagation").bare(Bare::Apart),
        trial("umount", "umount").bare(Bare::Apart),
        trial("mount_fsopen", "fsopen").bare(Bare::Apart),
        trial("mount_fsconfig", "fsconfig").bare(Bare::Apart),
        trial("mount_fsmount", "fsmount").bare(Bare::Apart),
        trial("mount_fspick", "fspick").bare(Bare::Apart),
        trial("mount_open_tree", "open_tree").bare(Bare::Apart),
        trial("mount_open_tree_attr", "open_tree_attr"),
        trial("mount_move", "move_mount").bare(Bare::Apart),
        trial("mount_setattr", "mount_setattr").bare(Bare::Apart),
        trial("pivot_root", "pivot_root").bare(Bare::Apart),
        trial("chroot", "chroot").in_setup(Expected::Allowed).bare(Bare::Apart),
    ]
}

/// The host's are those of this process.
fn not_the_hosts(ran: &Ran) -> Option<String> {
    let seen: Vec<_> = ran.output.lines().collect();
    let same = ["pid", "ipc", "uts", "user", "cgroup", "net", "mnt"].into_iter().find(|name| {
        let host = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        seen.contains(&host.to_str().unwrap())
    });
    match same {
        Some(name) => Some(format!("its {name} namespace is the host's")),
        None => (seen.len() != 7).then(|| format!("only {seen:?} are seen")),
    }
}

fn at_most_forty(ran: &Ran) -> Option<String> {
    let seen = ran.output.trim().parse().unwrap_or(u32::MAX);
    (seen > 40).then(|| format!("{seen} processes are seen"))
}
