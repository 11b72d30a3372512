//! What is seen of the host: nothing that was not shown.

use crate::row::{Bare, Expected, Row, script, trial};

pub fn rows() -> Vec<Row> {
    let closed = |name, arguments| trial(name, arguments).expect(Expected::Closed);
    let nothing = |name, text| script(name, text, Expected::Prints(""));
    let writable = "setup writes to a copy of its own";
    vec![
        closed("proc_core_pattern", "open_write /proc/sys/kernel/core_pattern").bare(Bare::AsRoot),
        closed("proc_modprobe", "open_write /proc/sys/kernel/modprobe"),
        closed("proc_sysrq", "open_write /proc/sysrq-trigger /proc/sys/kernel/sysrq"),
        closed("proc_drop_caches", "open_write /proc/sys/vm/drop_caches").bare(Bare::AsRoot),
        closed("proc_binfmt", "open_write /proc/sys/fs/binfmt_misc/register"),
        closed("proc_hostname", "open_write /proc/sys/kernel/hostname"),
        closed("proc_net_sysctl", "open_write /proc/sys/net/ipv4/ip_forward"),
        closed("proc_user_limits", "open_write /proc/sys/user/max_user_namespaces"),
        closed("proc_irq", "open_write /proc/irq/default_smp_affinity"),
        closed("proc_bus", "open_write /proc/bus/pci/devices /proc/bus/pci/00/00.0"),
        closed("proc_kcore", "open_read /proc/kcore"),
        closed("proc_kmsg", "open_read /proc/kmsg /dev/kmsg"),
        closed("proc_kallsyms", "open_read /proc/kallsyms").bare(Bare::Harmless),
        closed("proc_keys", "open_read /proc/keys /proc/key-users"),
        closed("proc_timer_list", "open_read /proc/timer_list /proc/sched_debug"),
        closed("sys_uevent_helper", "open_write /sys/kernel/uevent_helper"),
        closed("sys_power_state", "open_write /sys/power/state"),
        closed("sys_debugfs", "open_read /sys/kernel/debug/sched/features /sys/kernel/vmcoreinfo"),
        nothing("sys_absent", "ls -A /sys 2>/dev/null").bare(Bare::Harmless),
        nothing("cgroup_write", "mkdir /sys/fs/cgroup/trial 2>/dev/null && echo made"),
        closed("cgroup_release_agent", "open_write /sys/fs/cgroup/release_agent"),
        script(
            "cgroup_path_hidden",
            "cut -d: -f3 /proc/self/cgroup | sort -u",
            Expected::Prints("/"),
        ),
        nothing("dev_no_block", "find /dev -type b"),
        script(
            "dev_minimal",
            "ls /dev | tr '\\n' ' '",
            Expected::Prints(
                "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero",
            ),
        ).bare(Bare::Harmless),
        closed("dev_kvm", "open_read /dev/kvm /dev/vhost-net /dev/vhost-vsock /dev/vsock"),
        closed("dev_fuse", "open_write /dev/fuse /dev/cuse"),
        closed("dev_tun", "open_write /dev/net/tun"),
        closed("dev_mem", "open_read /dev/mem /dev/port /dev/nvram"),
        closed("dev_control", "open_write /dev/loop-control /dev/mapper/control /dev/uinput"),
        nothing("dev_write", "(: > /dev/trial) 2>/dev/null && echo made"),
        closed("shadow", "open_read /etc/shadow /etc/gshadow /etc/shadow- /etc/sudoers").bare(Bare::AsRoot),
        nothing("etc_private_keys", "grep -rlsE 'BEGIN [A-Z ]*PRIVATE KEY' /etc"),
        nothing(
            "home_credentials",
            "cd ~ && ls -d .ssh .aws .netrc .gitconfig .docker .npmrc .gnupg .config \
             .cargo/credentials* /root/.[a-z]* 2>/dev/null",
        ),
        script("home_only_its_own", "ls -A /home", Expected::Prints("quire")),
        nothing(
            "host_homes",
            "find /root /run/user /boot /mnt /media -mindepth 1 2>/dev/null",
        ).bare(Bare::AsRoot),
        nothing("host_canary_found", "find / -xdev -name canary 2>/dev/null"),
        closed("host_canary", "open_read {place}/canary /proc/1/root{place}/canary")
            .bare(Bare::Harmless),
        nothing(
            "host_directories",
            "ls -A / | grep -vxE 'bin|sbin|lib.*|usr|etc|opt|srv|proc|dev|tmp|var|run|home|\
             workspace|trial'",
        ).bare(Bare::Harmless),
        script(
            "env_secrets",
            "env | cut -d= -f1 | grep -vxE 'HOME|PATH|PWD|OLDPWD|SHLVL|_'",
            Expected::Prints(""),
        ).bare(Bare::Harmless),
        script(
            "proc_environ_secrets",
            "cat /proc/[0-9]*/environ 2>/dev/null | grep -c -a {canary}",
            Expected::Prints("0"),
        ).bare(Bare::Harmless),
        nothing(
            "no_host_mounts",
            "awk '$5 ~ /^\\/(sys|run|boot|mnt|media|root)(\\/|$)/ {print $5}' /proc/self/mountinfo; \
             grep -F {place} /proc/self/mounts",
        )
        // In memory, and its own.
        .in_setup(Expected::Prints("/run"))
        .bare(Bare::Harmless),
        nothing("mounts_tell_no_layer", "grep -F lowerdir=/ /proc/self/mountinfo"),
        nothing("resolver_empty", "cat /etc/resolv.conf"),
        nothing(
            "mounts_nodev",
            "awk '$6 !~ /nodev/ && $5 !~ /^\\/(dev|proc)\\// {print $5}' /proc/self/mountinfo",
        ).bare(Bare::Harmless),
        script(
            "dotdot_escape",
            "cd / && cd ../../.. && [ $(stat -c %d:%i .) = $(stat -c %d:%i /) ] && echo same",
            Expected::Prints("same"),
        ),
        nothing(
            "system_read_only",
            "exec 2>/dev/null; for d in / /usr /usr/bin /bin /lib /etc /opt /srv; do \
             touch $d/trial && echo $d; done",
        )
        .in_setup(Expected::Skipped(writable)),
    ]
}
