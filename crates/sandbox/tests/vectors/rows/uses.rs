//! What must work: a sandbox that denies all would hold every other row.

use crate::row::{Expected, Row, script, trial};
use crate::stand::Ran;

pub fn rows() -> Vec<Row> {
    let works = |name, arguments| trial(name, arguments).expect(Expected::Allowed);
    let git = "git init -q r && cd r && git config user.name n && git config user.email e@e && \
               echo 1 > f && git add f && git commit -qm one && git log --format=%s && \
               git status --short; cd .. && rm -rf r";
    vec![
        script("use_write", "echo x > use && cat use", Expected::Prints("x")),
        script(
            "use_exec",
            "printf '#!/bin/sh\\necho ran' > use.sh && chmod +x use.sh && ./use.sh",
            Expected::Prints("ran"),
        ),
        script(
            "use_links",
            "echo x > use; ln -sf use soft && ln -f use hard && readlink soft && stat -c %h hard",
            Expected::Prints("use\n2"),
        ),
        script("use_fifo", "mkfifo p && (echo x > p &) && cat p; rm p", Expected::Prints("x")),
        script("use_tmp", "f=$(mktemp) && echo x > $f && cat $f && rm $f", Expected::Prints("x")),
        script("use_home", "echo x > ~/use && cat ~/use && rm ~/use", Expected::Prints("x")),
        script("use_pipes", "seq 1000 | sort -n | tail -1", Expected::Prints("1000")),
        script("use_var_tmp", "f=/var/tmp/use; echo x > $f && cat $f", Expected::Prints("x")),
        script(
            "use_rename",
            "rm -rf e d; mkdir -p d/e && echo x > d/e/f && mv d e && cat e/e/f",
            Expected::Prints("x"),
        ),
        script("use_locks", "flock use -c 'echo locked'", Expected::Prints("locked")),
        script(
            "use_user",
            "id -un; id -u; getent passwd quire | cut -d: -f6",
            Expected::Prints("quire\n1000\n/home/quire"),
        )
        .in_setup(Expected::Skipped("setup is root inside")),
        script("use_processors", "test $(nproc) -ge 1 && echo x", Expected::Prints("x")),
        script("use_proc", "cat /proc/cpuinfo /proc/meminfo | grep -c .", Expected::Judged(some)),
        script("use_dev_fd", "cat <(echo x); echo y > /dev/stderr", Expected::Prints("x\ny")),
        script("use_signals", "sleep 9 & kill $!; wait $!; echo $?", Expected::Prints("143")),
        script("use_git", git, Expected::Prints("one")),
        trial("use_fork", "fork").expect(Expected::Gives("7")),
        trial("use_thread", "thread").expect(Expected::Gives("7")),
        trial("use_loopback", "loopback").expect(Expected::Gives("hello hello")),
        works("use_abstract", "abstract_of_our_own"),
        works("use_socketpair", "pair"),
        works("use_route_socket", "route_socket"),
        works("use_pty", "terminal"),
        works("use_ptrace_child", "trace_child"),
        works("use_memory_file", "memory_file"),
        works("use_inotify", "inotify"),
        works("use_event_poll", "event_poll"),
        works("use_execute_memory", "execute_memory"),
        works("use_shared_memory", "shared_memory"),
    ]
}

fn some(ran: &Ran) -> Option<String> {
    (ran.output.trim().parse::<u32>().unwrap_or(0) < 10).then(|| ran.output.clone())
}
