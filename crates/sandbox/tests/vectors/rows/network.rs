//! Sockets: few families, a network of its own with nothing in it.

use crate::row::{Bare, Expected, Row, script, trial};

/// What a family that is not offered answers.
const NO_FAMILY: Expected = Expected::Refused(&[libc::EAFNOSUPPORT]);

const NOT_HEARD: Expected = Expected::Refused(&[libc::ECONNREFUSED, libc::EPERM]);

pub fn rows() -> Vec<Row> {
    let families = "for f in 3 4 5 6 8 9 11 12 15 18 20 21 23 24 26 27 28 29 30 31 33 34 35 36 \
        37 39 41 42 43 44 45; do for kind in 1 2 3 5; do quire-trial socket $f $kind 0; done; \
        done | grep -v '^refused 97 '";
    let raw = Expected::Refused(&[libc::EPERM, libc::EACCES, libc::EAFNOSUPPORT]);
    vec![
        trial("socket_vsock", "socket 40 1 0").expect(NO_FAMILY),
        // The kernel reads the low half of a family alone.
        trial("socket_vsock_high_bits", "socket 4294967336 1 0").expect(NO_FAMILY),
        trial("socketpair_vsock", "socketpair 40 1").expect(NO_FAMILY),
        trial("socket_af_alg", "socket 38 5 0").expect(NO_FAMILY),
        trial("socket_packet", "socket 17 3 0").expect(NO_FAMILY).bare(Bare::AsRoot),
        trial("socket_raw_icmp", "socket 2 3 1").expect(raw.clone()).bare(Bare::AsRoot),
        trial("socket_raw_icmp6", "socket 10 3 58").expect(raw).bare(Bare::AsRoot),
        trial("netlink_audit", "socket 16 3 9").expect(NO_FAMILY).bare(Bare::Harmless),
        trial("netlink_generic", "socket 16 3 16").expect(NO_FAMILY).bare(Bare::Harmless),
        trial("netlink_uevent", "socket 16 3 15").expect(NO_FAMILY).bare(Bare::Harmless),
        trial("netlink_netfilter", "socket 16 3 12").expect(NO_FAMILY),
        trial("netlink_xfrm", "socket 16 3 6").expect(NO_FAMILY),
        trial("netlink_high_bits", "socket 16 3 4294967305").expect(NO_FAMILY).bare(Bare::Harmless),
        script("socket_families", families, Expected::Prints("")),
        script(
            "net_only_loopback",
            "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '",
            Expected::Prints("lo"),
        ),
        script("net_no_default_route", "tail -n +2 /proc/net/route", Expected::Prints("")),
        trial("net_tcp_out", "tcp 1.1.1.1:443").expect(Expected::Unreachable),
        trial("net_tcp6_out", "tcp [2606:4700:4700::1111]:443").expect(Expected::Unreachable),
        trial("net_udp_out", "udp 1.1.1.1:53").expect(Expected::Unreachable),
        trial("net_metadata", "tcp 169.254.169.254:80").expect(Expected::Unreachable),
        script(
            "net_dns",
            "timeout 3 getent hosts example.com; [ $? = 124 ] && echo it waits",
            Expected::Prints(""),
        ),
        script(
            "net_host_listeners",
            "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp | grep -vc local_address",
            Expected::Prints("0"),
        )
        .bare(Bare::Harmless),
        trial("net_host_loopback", "tcp 127.0.0.1:{port}").expect(NOT_HEARD).bare(Bare::Harmless),
        trial("unix_abstract", "unix_abstract {abstract}").expect(NOT_HEARD).bare(Bare::Harmless),
        script("unix_abstract_seen", "grep -c @ /proc/net/unix", Expected::Prints("0"))
            .bare(Bare::Harmless),
        trial("unix_host_socket", "unix {place}/socket")
            .expect(Expected::Closed)
            .bare(Bare::Harmless),
        script(
            "unix_host_sockets",
            "find / -path /proc -prune -o -path /usr -prune -o -type s -print 2>/dev/null",
            Expected::Prints(""),
        ),
    ]
}
