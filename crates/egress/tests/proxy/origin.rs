//! Which command a request came from: found out while its connection lives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quire_domain::ids::ChunkId;
use quire_egress::{Asking, Audit, AuditQueue, AuditRecord, EgressProxy, EgressSettings, Policy};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::stage::{PATIENCE, listen, read_some};

/// Finds out after this long; never, if `None`.
struct Slow {
    queue: AuditQueue,
    after: Option<Duration>,
}

impl Audit for Slow {
    fn record(&self, record: AuditRecord) {
        self.queue.record(record);
    }

    fn command(&self, _client_port: u16) -> Option<Asking> {
        let after = self.after;
        Some(Box::pin(async move {
            match after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
            Some("0a1b2c".parse::<ChunkId>().unwrap())
        }))
    }
}

#[tokio::test]
async fn a_refusal_waits_a_moment_for_the_command_and_for_no_longer() {
    for (after, found) in [(Some(Duration::from_millis(30)), true), (None, false)] {
        let (queue, mut records) = AuditQueue::new(8);
        let proxy = EgressProxy::new(EgressSettings::default());
        let door = proxy.open(Policy::default(), Arc::new(Slow { queue, after })).unwrap();
        let mut stream = TcpStream::connect(listen(&door)).await.unwrap();
        let begun = Instant::now();
        stream.write_all(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(
            read_some(&mut stream).await.starts_with("HTTP/1.1 403 Forbidden (quire: no_rule)")
        );
        // The answer, and a quarter of a second in which nothing more came.
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        if found {
            assert!(begun.elapsed() >= Duration::from_millis(30));
        }
        drop(stream);
        let told = tokio::time::timeout(PATIENCE, records.next()).await.unwrap().unwrap();
        assert_eq!(told[0].egress.chunk.is_some(), found, "{told:?}");
        door.close().await;
        assert_eq!(records.next().await, None);
    }
}
