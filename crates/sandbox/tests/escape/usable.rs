//! What must work: a sandbox that denies all is no sandbox.

use quire_domain::sandbox::CommandIo;

use super::stage::{Stage, bash, create, run, sh};

#[tokio::test]
async fn ordinary_work_is_possible() {
    let stage = Stage::new().await;
    let mut spec = super::spec(&stage, "usable");
    spec.overlays[0].lowers = vec![stage.layer("layer", &[("a", "a")])];
    let sandbox = create(&stage, spec).await;
    for (what, script, says) in [
        ("write", "echo x > f && cat f", "x"),
        ("execute", "printf '#!/bin/sh\\necho ran' > s && chmod +x s && ./s", "ran"),
        ("links", "ln -s f l && ln f h && readlink l && stat -c %h f", "l\n2"),
        ("tmp", "mktemp >/dev/null && echo x > /tmp/t && cat /tmp/t", "x"),
        ("pipes", "seq 1000 | sort -n | tail -1", "1000"),
        (
            "dev_fd",
            "cat <(echo sub); echo err > /dev/stderr; echo out > /dev/stdout",
            "sub\nerr\nout",
        ),
        ("home", "echo h > ~/.config && cat ~/.config", "h"),
        ("user", "id -un; id -u; getent passwd quire | cut -d: -f6", "quire\n1000\n/home/quire"),
        ("cpu", "test $(nproc) -ge 1 && echo ok", "ok"),
        ("proc", "test -r /proc/cpuinfo && test -r /proc/meminfo && echo ok", "ok"),
        ("rename", "mkdir -p d/e && echo 1 > d/e/f && mv d d2 && cat d2/e/f", "1"),
        ("var_tmp", "echo v > /var/tmp/v && cat /var/tmp/v", "v"),
        ("locks", "flock f -c 'echo locked'", "locked"),
        ("signals", "sleep 5 & kill $! && wait $!; echo $?", "143"),
    ] {
        let said = sh(&sandbox, script).await;
        let said = said.trim_end();
        // Links prints what it reads: the name, then the count.
        let wanted = if what == "links" { "f\n2" } else { says };
        assert_eq!(said, wanted, "{what}");
    }
}

#[tokio::test]
async fn servers_on_the_loopback_terminals_debuggers_and_git_work() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, super::spec(&stage, "tools")).await;
    let has = async |program: &str| {
        let found = sh(&sandbox, &format!("command -v {program}")).await;
        if found.is_empty() {
            println!("skipped {program}: not on this host");
        }
        !found.is_empty()
    };
    if has("git").await {
        let said = sh(&sandbox, "git init -q r && cd r && git config user.email a@b && git config user.name n && echo 1 > f && git add f && git commit -qm one && git log --format=%s && git status --short").await;
        assert_eq!(said, "one\n");
    }
    if has("perl").await {
        let server = r#"perl -MIO::Socket::INET -e '
            $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die "listen: $!";
            if (!fork) { $c = $l->accept; print $c "hello\n"; exit }
            $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $l->sockport) or die;
            print scalar <$c>;
            socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!"; print "pair\n"'"#;
        assert_eq!(sh(&sandbox, server).await, "hello\npair\n");
    }
    if has("strace").await {
        let said =
            sh(&sandbox, "strace -o trace -e trace=execve true && grep -c execve trace").await;
        assert_eq!(said, "1\n");
    }
    let mut terminal = bash("test -t 0 && test -t 1 && tty");
    terminal.io = CommandIo::Terminal { columns: 80, rows: 24 };
    assert_eq!(run(&sandbox, terminal).await.0, "/dev/pts/0\r\n");
}
