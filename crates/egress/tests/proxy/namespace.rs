//! A listener out of another network, as a sandbox hands it out.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use quire_domain::sandbox::ListenerSink;
use quire_egress::environment;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::net::UnixListener;

use crate::stage::{PATIENCE, Stage};

/// Binds the port inside of a network with a loopback alone, hands the socket out, and then has
/// nothing but the variables.
const INSIDE: &str = "
import fcntl, socket, struct, sys, urllib.request
s = socket.socket()
fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'lo', 1))
s.bind(('127.0.0.1', 3128)); s.listen(16); s.setblocking(False)
out = socket.socket(socket.AF_UNIX); out.connect(sys.argv[1])
socket.send_fds(out, [b'x'], [s.fileno()]); s.close()
print(urllib.request.urlopen(sys.argv[2]).read())
try: urllib.request.urlopen('http://evil.example/')
except urllib.error.HTTPError as error: print(error.code, error.headers['X-Quire-Denied'])
try: socket.create_connection(('203.0.113.1', 80), 5)
except OSError as error: print(error)
";

fn receive(stream: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .unwrap();
    control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_with_a_loopback_alone_reaches_what_its_door_allows() {
    let may = Command::new("unshare").args(["-rn", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        return;
    }
    let stage = Stage::with_rules(&["registry.example:PORT GET"]).await;
    let socket = stage.file("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let child = Command::new("unshare")
        .args(["-rn", "python3", "-c", INSIDE])
        .arg(&socket)
        .arg(stage.ends.fill("https://registry.example:PORT/bytes/3"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(environment(3128, &stage.ca))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap();
    let stream = accepted.unwrap().0.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let inside = receive(&stream);
    stage.door.listener(inside);
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = waiting.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text, "b'xxx'\n403 no_rule\n[Errno 101] Network is unreachable\n", "{errors}");
}
