//! Where a request really came from: told by a proxy, if that one is trusted, else seen.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State as Given};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;

use crate::guard::Peer;
use crate::state::State;

/// Addresses whose word counts: `10.0.0.0/8`, `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address or network, as in `10.0.0.1` or `10.0.0.0/8`")]
pub struct BadNetwork(String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.chars().take(60).collect());
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| bad()))?;
        if bits > most {
            return Err(bad());
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(it)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(net) & mask == u32::from(it) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(it)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(net) & mask == u128::from(it) & mask
            }
            _ => false,
        }
    }
}

/// Whether the browser speaks TLS, to us or to the proxy before us; an extension of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted(pub bool);

/// Puts in place of the peer's address the one a trusted proxy names.
pub(crate) async fn forwarded(
    Given(state): Given<Arc<State>>,
    mut request: Request,
    next: Next,
) -> Response {
    let seen = request.extensions().get::<Peer>().copied();
    let tls = request.extensions().get::<Encrypted>().is_some_and(|it| it.0);
    let trusted = |address| state.access.trusts(address);
    let mut encrypted = tls;
    if let Some(Peer(peer)) = seen
        && trusted(peer.ip())
    {
        let headers = request.headers();
        let https = last(headers, "x-forwarded-proto").is_some_and(|it| it == "https");
        let address = told(headers, trusted).unwrap_or(peer.ip());
        request.extensions_mut().insert(Peer(SocketAddr::new(address, peer.port())));
        encrypted |= https;
        request.extensions_mut().insert(Encrypted(encrypted));
    }
    let mut response = next.run(request).await;
    // For what lies around this layer and has seen the request before.
    response.extensions_mut().insert(Encrypted(encrypted));
    response
}

/// The last address of `X-Forwarded-For` that is not a trusted proxy's own: what stands before it
/// is what the client said of itself.
fn told(headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let values: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut nearest = None;
    for value in values.iter().rev() {
        let Ok(address) = value.trim().parse::<IpAddr>() else { break };
        nearest = Some(address);
        if !trusted(address) {
            break;
        }
    }
    nearest
}

fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(value: &'static str) -> Option<String> {
        let proxy: Network = "10.0.0.0/8".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", axum::http::HeaderValue::from_static(value));
        told(&headers, |address| proxy.holds(address)).map(|address| address.to_string())
    }

    #[test]
    fn what_a_client_says_of_itself_before_the_proxy_does_not_count() {
        assert_eq!(from("1.2.3.4").as_deref(), Some("1.2.3.4"));
        assert_eq!(from("9.9.9.9, 1.2.3.4").as_deref(), Some("1.2.3.4"));
        assert_eq!(from("9.9.9.9, 1.2.3.4, 10.0.0.7").as_deref(), Some("1.2.3.4"));
        assert_eq!(from("nonsense").as_deref(), None);
        assert_eq!(from("nonsense, 10.0.0.7").as_deref(), Some("10.0.0.7"));
    }

    #[test]
    fn a_network_holds_its_own_and_no_other() {
        let holds =
            |net: &str, it: &str| net.parse::<Network>().unwrap().holds(it.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.9.8.7") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1") && holds("0.0.0.0/0", "1.1.1.1"));
        assert!(holds("::1", "::1") && !holds("::1", "::2") && holds("fd00::/8", "fd12::1"));
        for bad in ["", "10.0.0.0/33", "x/8", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
