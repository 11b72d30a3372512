//! A process that may open no more: who asks for a way out is told so, and served again later.
//!
//! A program of its own, as what it takes away it takes from everybody in the process.

#![expect(clippy::unwrap_used, reason = "a test ends where its stage fails")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use quire_domain::sandbox::ListenerSink as _;
use quire_egress::{AuditQueue, EgressProxy, EgressSettings, Policy};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const ASK: &[u8] = b"CONNECT a.example:443 HTTP/1.1\r\n\r\n";

fn answer(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_a_request_is_answered_with_that_and_counted() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), maximum: most }).unwrap();
    let (queue, mut records) = AuditQueue::new(64);
    let proxy = EgressProxy::new(EgressSettings::default());
    let door = proxy.open(Policy::default(), Arc::new(queue)).unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    door.listener(OwnedFd::from(listener));

    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    // One for the client, none for who accepts it.
    taken.pop();
    let client = TcpStream::connect(address).unwrap();
    let text = tokio::task::spawn_blocking(move || answer(client)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("(descriptors)"), "{text}");
    let told = records.next().await.unwrap();
    assert_eq!(told[0].egress.reason.as_deref(), Some("descriptors"), "{told:?}");

    drop(taken);
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(ASK).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let text = tokio::task::spawn_blocking(move || answer(client)).await.unwrap();
    assert!(text.contains("(no_rule)"), "{text}");
}
