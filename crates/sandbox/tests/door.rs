//! The way out: one port on the sandbox's loopback, served from outside, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod stage;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use quire_domain::sandbox::{EgressDoor, ListenerSink, SandboxUser};
use stage::{Stage, bash, create, run, sh};

/// Answers each line with the same line and its own name, until its listener is shut down.
struct Echo {
    name: String,
    served: AtomicUsize,
    listeners: AtomicUsize,
    ended: Mutex<mpsc::Sender<std::io::Error>>,
}

impl Echo {
    fn door(name: &str) -> (EgressDoor, Arc<Self>, mpsc::Receiver<std::io::Error>) {
        let (ended, ends) = mpsc::channel();
        let echo = Arc::new(Served(Arc::new(Self {
            name: name.to_owned(),
            served: AtomicUsize::new(0),
            listeners: AtomicUsize::new(0),
            ended: Mutex::new(ended),
        })));
        let served = Arc::clone(&echo.0);
        (EgressDoor { port: 3128, sink: echo }, served, ends)
    }
}

struct Served(Arc<Echo>);

impl ListenerSink for Served {
    fn listener(&self, listener: OwnedFd) {
        let listener = TcpListener::from(listener);
        let flags = rustix::fs::fcntl_getfl(&listener).unwrap();
        assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
        let flags = rustix::io::fcntl_getfd(&listener).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        listener.set_nonblocking(false).unwrap();
        let echo = Arc::clone(&self.0);
        echo.listeners.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(move || {
            loop {
                let (stream, peer) = match listener.accept() {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        let _ = echo.ended.lock().unwrap().send(error);
                        return;
                    }
                };
                assert!(peer.ip().is_loopback());
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                (&stream).write_all(format!("{} {line}", echo.name).as_bytes()).unwrap();
                echo.served.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
}

/// Sends a word and reads the answer.
const ASK: &str = "exec 3<>/dev/tcp/127.0.0.1/3128; echo hello >&3; cat <&3";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_connects_to_the_port_is_served_outside_and_nothing_else_is_reached() {
    let stage = Stage::new().await;
    for (name, user) in [("agent", SandboxUser::Agent), ("setup", SandboxUser::SetupRoot)] {
        let (door, served, _ends) = Echo::door(name);
        let mut spec = stage.spec(name, vec![]);
        spec.egress = Some(door);
        spec.user = user;
        let sandbox = create(&stage, spec).await;
        assert_eq!(sh(&sandbox, ASK).await, format!("{name} hello\n"));
        assert_eq!(served.served.load(Ordering::SeqCst), 1);
        let begun = Instant::now();
        for place in ["10.1.2.3/80", "169.254.169.254/80", "192.0.2.1/443"] {
            let said = sh(&sandbox, &format!("echo > /dev/tcp/{place}")).await;
            assert!(said.contains("Network is unreachable"), "{said}");
        }
        let said = sh(&sandbox, "echo > /dev/tcp/127.0.0.1/3129").await;
        assert!(said.contains("Connection refused"), "{said}");
        let (said, end) = run(&sandbox, bash("getent hosts registry.example")).await;
        assert!(!end.success(), "a name was resolved: {said}");
        assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_inside_takes_the_port_or_holds_the_listener() {
    let stage = Stage::new().await;
    let (door, _served, _ends) = Echo::door("held");
    let mut spec = stage.spec("held", vec![]);
    spec.egress = Some(door);
    spec.user = SandboxUser::SetupRoot;
    let sandbox = create(&stage, spec).await;
    let bind = r#"
import socket
for host in ("127.0.0.1", "0.0.0.0"):
    for options in ((), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)):
        s = socket.socket()
        for option in options: s.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            s.bind((host, 3128)); s.listen(); print("taken", host, options)
        except OSError as error: print(error.errno)
"#;
    let said = sh(&sandbox, &format!("python3 -c '{bind}'")).await;
    assert_eq!(said, format!("{}\n", libc::EADDRINUSE).repeat(8));
    // A socket of a command's own, its standard streams aside: none.
    let said = sh(&sandbox, "ls -l /proc/self/fd | grep -c socket").await;
    assert_eq!(said, "0\n");
    let taken = sh(&sandbox, "ls /proc/1/fd 2>&1 | head -1").await;
    assert!(taken.contains("ermission denied"), "{taken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_ends_with_its_sandbox_and_a_new_one_comes_with_the_next_life() {
    let stage = Stage::new().await;
    let (door, served, ends) = Echo::door("lives");
    let mut spec = stage.spec("lives", vec![]);
    spec.egress = Some(door);
    let sandbox = create(&stage, spec).await;
    assert_eq!(sh(&sandbox, ASK).await, "lives hello\n");
    sandbox.fold().await.unwrap();
    let patience = Duration::from_secs(5);
    ends.recv_timeout(patience).expect("the listener of the folded one goes on");
    assert_eq!(sh(&sandbox, ASK).await, "lives hello\n");
    assert_eq!(served.listeners.load(Ordering::SeqCst), 2);
    sandbox.end().await.unwrap();
    let error = ends.recv_timeout(patience).expect("the listener of the dead one goes on");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_sandboxes_each_have_a_way_out_of_their_own() {
    let stage = Arc::new(Stage::new().await);
    let mut all = tokio::task::JoinSet::new();
    for number in 0..50 {
        let stage = Arc::clone(&stage);
        all.spawn(async move {
            let name = format!("one-{number}");
            let (door, served, ends) = Echo::door(&name);
            let mut spec = stage.spec(&name, vec![]);
            spec.egress = Some(door);
            let sandbox = create(&stage, spec).await;
            assert_eq!(sh(&sandbox, ASK).await, format!("{name} hello\n"));
            (sandbox, served, ends)
        });
    }
    // All of them live until the last has been served.
    let all = all.join_all().await;
    assert_eq!(all.len(), 50);
    for (_, served, _) in &all {
        assert_eq!(served.served.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_sandbox_without_a_way_out_listens_nowhere() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("closed", vec![])).await;
    let said = sh(&sandbox, "echo > /dev/tcp/127.0.0.1/3128").await;
    assert!(said.contains("Connection refused"), "{said}");
}

/// Holds every connection, and tells whose it is.
struct Held(Mutex<mpsc::Sender<(u16, std::net::TcpStream)>>);

impl ListenerSink for Held {
    fn listener(&self, listener: OwnedFd) {
        let listener = TcpListener::from(listener);
        listener.set_nonblocking(false).unwrap();
        let tell = self.0.lock().unwrap().clone();
        std::thread::spawn(move || {
            while let Ok((stream, peer)) = listener.accept() {
                let _ = tell.send((peer.port(), stream));
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_leads_to_the_command_that_made_it() {
    const CONNECT: &str = "exec 3<>/dev/tcp/127.0.0.1/3128; cat <&3 >/dev/null";
    let thread = r#"
import subprocess, threading
child = """import socket
s = socket.socket(socket.AF_INET6)
s.connect(("::ffff:127.0.0.1", 3128))
s.recv(1)"""
def run(): subprocess.run(["python3", "-c", child], start_new_session=True)
t = threading.Thread(target=run); t.start(); t.join()
"#;
    let stage = Stage::new().await;
    let (tell, connections) = mpsc::channel();
    let mut spec = stage.spec("behind", vec![]);
    spec.egress = Some(EgressDoor { port: 3128, sink: Arc::new(Held(Mutex::new(tell))) });
    let sandbox = create(&stage, spec).await;
    let next = || connections.recv_timeout(Duration::from_secs(10)).unwrap();
    let mut held = Vec::new();
    let mut numbers = Vec::new();
    for script in [
        CONNECT.to_owned(),
        // A process in a session of its own, started by a thread, by the other kind of socket.
        format!("python3 -c '{thread}'"),
        // Left behind by a command that ended.
        format!("({CONNECT}) >/dev/null 2>&1 & exit 0"),
    ] {
        let mut started = sandbox.start(bash(&script)).await.unwrap();
        let (port, stream) = next();
        if script.ends_with("exit 0") {
            assert!(stage::rest(&mut started.output).await.1.success());
        }
        let begun = Instant::now();
        assert_eq!(sandbox.command_behind(port).await, Some(started.number), "{script}");
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        numbers.push(started.number);
        held.push((stream, started));
    }
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
    // What nobody waits for, in a session of its own, is nobody's.
    let script = format!("setsid -f bash -c '{CONNECT}' >/dev/null 2>&1");
    sh(&sandbox, &script).await;
    let (port, _stream) = next();
    assert_eq!(sandbox.command_behind(port).await, None);
    assert_eq!(sandbox.command_behind(1).await, None);
    sandbox.end().await.unwrap();
    assert_eq!(sandbox.command_behind(held[0].0.peer_addr().unwrap().port()).await, None);
}
