//! Limits: how much can be had of what is allowed.

use crate::row::{Expected, Row, script, trial};
use crate::stand::Ran;

pub fn rows() -> Vec<Row> {
    let fill = "for i in $(seq 40); do head -c 20M /dev/zero > f$i || exit; sleep 0.05; done; \
                sleep 2; echo had all";
    let many = "for i in $(seq 8); do mkdir $i; (cd $i; touch $(seq 1000)); sleep 0.1; done; \
                sleep 2; echo had all";
    let reserve = "exec 2>/dev/null; for d in . /var/tmp /tmp /dev/shm; do \
                   (fallocate -l 5G $d/big) && echo had $d; rm -f $d/big; done";
    vec![
        script("limit_core", "ulimit -Hc", Expected::Prints("0")),
        script("limit_nofile", "ulimit -Hn", Expected::Prints("4096")),
        script("limit_memlock", "ulimit -Hl", Expected::Judged(finite)),
        script("limit_rtprio", "ulimit -Hr", Expected::Prints("0")),
        trial("raise_limit", "raise_limit").expect(Expected::Refused(&[libc::EPERM])),
        trial("limit_pids", "processes 1000").expect(Expected::StoppedBelow(300)),
        trial("limit_threads", "threads 1000").expect(Expected::StoppedBelow(300)),
        trial("limit_open_files", "open_files 10000").expect(Expected::StoppedBelow(4096)),
        trial("limit_mem", "memory 2048").expect(Expected::Judged(not_all_memory)).alone(),
        trial("limit_file", "one_file 10240").expect(Expected::Refused(&[libc::EFBIG])),
        script("limit_disk", fill, Expected::Judged(not_all)).alone(),
        script("limit_disk_inodes", many, Expected::Judged(not_all)).alone(),
        trial("limit_disk_var_tmp", "fill /var/tmp 1024")
            .expect(Expected::StoppedBelow(256))
            .alone(),
        trial("limit_disk_tmp", "fill /tmp 200").expect(Expected::StoppedBelow(64)),
        trial("limit_disk_dev_shm", "fill /dev/shm 200").expect(Expected::StoppedBelow(16)),
        script("limit_fallocate", reserve, Expected::Prints("")),
        trial("limit_inodes", "files /tmp 10000").expect(Expected::StoppedBelow(3_000)),
        trial("limit_inodes_dev_shm", "files /dev/shm 10000").expect(Expected::StoppedBelow(3_000)),
        script(
            "nice_raise",
            "[ $(nice -n -5 nice 2>/dev/null) -ge $(nice) ] && echo held",
            Expected::Prints("held"),
        ),
        script(
            "oom_shield",
            "(echo -900 > /proc/self/oom_score_adj) 2>/dev/null && echo lowered",
            Expected::Prints(""),
        ),
    ]
}

fn finite(ran: &Ran) -> Option<String> {
    ran.output.trim().parse::<u64>().is_err().then(|| ran.output.clone())
}

fn not_all(ran: &Ran) -> Option<String> {
    ran.output.contains("had all").then(|| "it was all had".to_owned())
}

/// Ended by the kernel at the limit, or by whoever adds it up soon after.
fn not_all_memory(ran: &Ran) -> Option<String> {
    let had = ran.output.contains("had");
    let tried = ran.output.contains(" MiB");
    (had || !tried).then(|| format!("{} ({:?})", ran.output.trim(), ran.end))
}
