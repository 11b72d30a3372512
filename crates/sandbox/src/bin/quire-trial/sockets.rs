//! Sockets: families, and ways out of the sandbox's own network.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{self, UnixStream};
use std::time::Duration;

use crate::{Trial, answer, call, number, numeric};

pub const TRIALS: &[Trial] = &[
    // Family, kind, protocol.
    ("socket", |arguments| {
        let [family, kind, protocol] = [0, 1, 2].map(|index| numeric(arguments, index));
        call!(libc::SYS_socket, family, kind, protocol)
    }),
    ("socketpair", |arguments| {
        let mut pair = [0; 2];
        let [family, kind] = [0, 1].map(|index| numeric(arguments, index));
        call!(libc::SYS_socketpair, family, kind, 0, pair.as_mut_ptr())
    }),
    ("tcp", |arguments| {
        let address: SocketAddr = address(arguments)?;
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(4));
        stream.map(|_| "connected".to_owned()).map_err(|error| number(&error))
    }),
    ("udp", |arguments| {
        let address: SocketAddr = address(arguments)?;
        let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| number(&error))?;
        socket.send_to(b"x", address).map(|_| "sent".to_owned()).map_err(|error| number(&error))
    }),
    ("unix", |arguments| {
        let path = arguments.first().cloned().unwrap_or_default();
        let stream = UnixStream::connect(path);
        stream.map(|_| "connected".to_owned()).map_err(|error| number(&error))
    }),
    ("unix_abstract", |arguments| {
        let name = arguments.first().cloned().unwrap_or_default();
        let stream = net::SocketAddr::from_abstract_name(name)
            .and_then(|address| UnixStream::connect_addr(&address));
        stream.map(|_| "connected".to_owned()).map_err(|error| number(&error))
    }),
    ("make_socket", |arguments| {
        let path = arguments.first().cloned().unwrap_or_default();
        let made = net::UnixListener::bind(path);
        made.map(|_| "made".to_owned()).map_err(|error| number(&error))
    }),
    // A server and a client of our own on the loopback device, by both protocols.
    ("loopback", |_| {
        let mut said = String::new();
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let listener = std::net::TcpListener::bind(any).map_err(|error| number(&error))?;
            let there = listener.local_addr().map_err(|error| number(&error))?;
            let mut client = TcpStream::connect(there).map_err(|error| number(&error))?;
            let (mut server, _) = listener.accept().map_err(|error| number(&error))?;
            server.write_all(b"hello ").map_err(|error| number(&error))?;
            drop(server);
            client.read_to_string(&mut said).map_err(|error| number(&error))?;
        }
        Ok(said)
    }),
    ("abstract_of_our_own", |_| {
        let name = net::SocketAddr::from_abstract_name("quire-own").map_err(|e| number(&e))?;
        let _listener = net::UnixListener::bind_addr(&name).map_err(|e| number(&e))?;
        UnixStream::connect_addr(&name).map_err(|e| number(&e))?;
        answer(0)
    }),
];

fn address(arguments: &[String]) -> Result<SocketAddr, i32> {
    arguments.first().and_then(|text| text.parse().ok()).ok_or(libc::EDESTADDRREQ)
}
