//! The way out: a port on the sandbox's own loopback, listened to before any command runs and
//! served by the host, to which the socket goes.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// How many connections wait for the host to take them. More are asked to try again, by the
/// kernel.
const WAITING: i32 = 256;

/// A socket that listens on the port. Without an option to share the address, so that no second
/// one can.
pub fn open(port: u16) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    rustix::net::listen(&socket, WAITING)?;
    Ok(socket)
}
