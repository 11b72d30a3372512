//! How names become addresses: once per connection, bounded.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

/// Threads that may wait for the system's resolver at once: it cannot be interrupted.
const LOOKUPS_AT_ONCE: usize = 16;

/// Most addresses of one name that are looked at.
const MOST_ADDRESSES: usize = 32;

/// Resolves host names.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address of `host`, which is lower-case ASCII without the closing dot. The caller
    /// bounds the time.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver: hosts file, DNS, whatever the machine is configured for.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    threads: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { threads: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)) }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.threads).acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            // Held until the thread is free again, also when nobody waits for it any more.
            let _permit = permit;
            let mut addresses: Vec<IpAddr> = Vec::new();
            for found in (host.as_str(), 0).to_socket_addrs()? {
                if addresses.len() == MOST_ADDRESSES {
                    break;
                }
                if !addresses.contains(&found.ip()) {
                    addresses.push(found.ip());
                }
            }
            Ok(addresses)
        });
        lookup.await.map_err(io::Error::other)?
    }
}
