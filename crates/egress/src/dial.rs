//! From a host to a connection: its name resolved once, every address checked, one of them taken.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use quire_domain::address::{Address, classify};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::descriptors;
use crate::parent::Parent;
use crate::private::PrivateHost;
use crate::proxy::Shared;
use crate::refusal::Refusal;
use crate::target::Target;

/// The next address is tried beside one that did not answer in this time (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses that are tried.
const MOST_TRIED: usize = 8;

/// A longer answer of the worker's own proxy is none.
const MOST_PARENT_HEAD: usize = 16 << 10;

/// How a target is reached, decided once for everything that a connection sends there.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// At one of these addresses, all of them checked.
    Direct(Vec<SocketAddr>),
    /// Through the worker's own proxy, which resolves the name.
    Parent,
}

/// Resolves the target's name and checks every address it has.
pub(crate) async fn route(
    shared: &Shared,
    private: Option<&PrivateHost>,
    target: &Target,
) -> Result<Route, Refusal> {
    let settings = &shared.settings;
    let parent = settings.parent.as_ref().filter(|it| it.serves(&target.host, target.port));
    if let Some(address) = private.and_then(PrivateHost::address) {
        check(&[address], true, target)?;
        return Ok(match parent {
            Some(_) => Route::Parent,
            None => Route::Direct(vec![SocketAddr::new(address, target.port)]),
        });
    }
    let lookup = settings.resolver.resolve(&target.host);
    let found = match tokio::time::timeout(settings.limits.resolve, lookup).await {
        Ok(found) => found.and_then(|found| {
            let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            (!found.is_empty()).then_some(found).ok_or_else(none)
        }),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match (found, parent) {
        (Ok(addresses), parent) => {
            check(&addresses, private.is_some(), target)?;
            Ok(match parent {
                Some(_) => Route::Parent,
                None => Route::Direct(
                    addresses.iter().map(|ip| SocketAddr::new(*ip, target.port)).collect(),
                ),
            })
        }
        (Err(_), Some(_)) if private.is_none() && is_inside(&target.host) => {
            let why = format!(
                "{} is a name of a network inside; an administrator can list `{target}` as private",
                target.host
            );
            Err(Refusal::denied("private_name", why))
        }
        // Where a proxy is a must, names of the world often resolve at the proxy alone.
        (Err(_), Some(_)) => Ok(Route::Parent),
        (Err(error), None) if error.kind() == io::ErrorKind::TimedOut => Err(Refusal::late(
            "resolve_timeout",
            format!("resolving {} took too long", target.host),
        )),
        (Err(error), None) if descriptors::ran_out(&error) => Err(Refusal::no_descriptor()),
        (Err(_), None) => Err(Refusal::upstream(
            "unresolved",
            format!("the name {} does not resolve", target.host),
        )),
    }
}

/// Whether a name is none of the world's: one label, or below a domain that is kept for networks
/// inside (RFC 6761, 6762, 8375, and `internal`, where clouds put their metadata services).
fn is_inside(host: &str) -> bool {
    let below = |domain: &str| host.strip_suffix(domain).is_some_and(|front| front.ends_with('.'));
    !host.contains('.')
        || ["internal", "local", "localhost", "home.arpa", "intranet", "corp", "lan", "home"]
            .iter()
            .any(|domain| below(domain))
        || host == "metadata.goog"
}

/// One address that nobody outside should reach spoils the name: an answer that mixes public and
/// private ones is how rebinding begins.
fn check(addresses: &[IpAddr], listed: bool, target: &Target) -> Result<(), Refusal> {
    for address in addresses {
        match classify(*address) {
            Address::Public => {}
            Address::Private(_) if listed => {}
            Address::Private(what) => {
                let why = format!(
                    "{} has a {what} address; an administrator can list `{target}` as a private host",
                    target.host
                );
                return Err(Refusal::denied("private_address", why));
            }
            Address::Metadata => {
                let why = format!("{} is a metadata service, which is never reached", target.host);
                return Err(Refusal::denied("metadata_address", why));
            }
        }
    }
    Ok(())
}

/// Connects to the target for a tunnel or TLS.
pub(crate) async fn dial(
    shared: &Shared,
    route: &Route,
    target: &Target,
) -> Result<TcpStream, Refusal> {
    match route {
        Route::Direct(addresses) => connect(shared, addresses, target).await,
        Route::Parent => {
            let stream = dial_parent(shared).await?;
            let Some(parent) = &shared.settings.parent else { return Ok(stream) };
            let ask = tunnel_through(stream, parent, target);
            match tokio::time::timeout(shared.settings.limits.connect, ask).await {
                Ok(result) => result,
                Err(_) => Err(Refusal::late("parent_timeout", "the worker's own proxy is slow")),
            }
        }
    }
}

/// Connects to the worker's own proxy. It may be anywhere: it is the worker's setting.
pub(crate) async fn dial_parent(shared: &Shared) -> Result<TcpStream, Refusal> {
    let unreachable = || Refusal::upstream("parent", "the worker's own proxy cannot be reached");
    let parent = shared.settings.parent.as_ref().ok_or_else(unreachable)?;
    let addresses = if let Ok(address) = parent.host.parse::<IpAddr>() {
        vec![address]
    } else {
        let lookup = shared.settings.resolver.resolve(&parent.host);
        let found = tokio::time::timeout(shared.settings.limits.resolve, lookup).await;
        found.ok().and_then(Result::ok).ok_or_else(unreachable)?
    };
    let addresses: Vec<_> = addresses.iter().map(|ip| SocketAddr::new(*ip, parent.port)).collect();
    let stream = tokio::time::timeout(shared.settings.limits.connect, race(&addresses)).await;
    stream.ok().and_then(Result::ok).ok_or_else(unreachable)
}

async fn connect(
    shared: &Shared,
    addresses: &[SocketAddr],
    target: &Target,
) -> Result<TcpStream, Refusal> {
    match tokio::time::timeout(shared.settings.limits.connect, race(addresses)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if descriptors::ran_out(&error) => Err(Refusal::no_descriptor()),
        Ok(Err(error)) => {
            Err(Refusal::upstream("unreachable", format!("cannot connect to {target}: {error}")))
        }
        Err(_) => {
            Err(Refusal::late("connect_timeout", format!("connecting to {target} took too long")))
        }
    }
}

/// The first connection that comes about; each address a moment after the one before.
async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().take(MOST_TRIED);
    let mut trying = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no address");
    loop {
        let next = waiting.next();
        let more = next.is_some();
        if let Some(address) = next {
            trying.push(TcpStream::connect(*address));
        }
        loop {
            let tried = if more {
                match tokio::time::timeout(STAGGER, trying.next()).await {
                    Ok(tried) => tried,
                    Err(_) => break,
                }
            } else {
                trying.next().await
            };
            match tried {
                Some(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Some(Err(error)) => last = error,
                None if more => break,
                None => return Err(last),
            }
            if more {
                break;
            }
        }
    }
}

/// Asks the worker's own proxy for a tunnel to `target`.
async fn tunnel_through(
    mut stream: TcpStream,
    parent: &Parent,
    target: &Target,
) -> Result<TcpStream, Refusal> {
    let broken = |_| Refusal::upstream("parent", "the worker's own proxy broke the connection off");
    let mut ask = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(authorization) = &parent.authorization {
        ask.extend_from_slice(b"Proxy-Authorization: ");
        ask.extend_from_slice(authorization.reveal().as_bytes());
        ask.extend_from_slice(b"\r\n");
    }
    ask.extend_from_slice(b"\r\n");
    stream.write_all(&ask).await.map_err(broken)?;

    let mut head = Vec::new();
    let mut byte = [0];
    // One at a time: what follows the head belongs to the tunnel.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MOST_PARENT_HEAD || stream.read(&mut byte).await.map_err(broken)? == 0 {
            return Err(Refusal::upstream("parent", "the worker's own proxy answered no HTTP"));
        }
        head.push(byte[0]);
    }
    let status = head.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    match status {
        Some(status) if head.starts_with(b"HTTP/1.") && status.starts_with('2') => Ok(stream),
        Some(status) if head.starts_with(b"HTTP/1.") => {
            let status: String = status.chars().filter(char::is_ascii_digit).collect();
            let why = format!("the worker's own proxy answered {status} for {target}");
            Err(Refusal::upstream("parent", why))
        }
        _ => Err(Refusal::upstream("parent", "the worker's own proxy answered no HTTP")),
    }
}
