//! How often one token, session or address may ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State as Given};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use quire_api::ProblemKind;
use quire_evidence::digest::sha256;

use crate::access::network;
use crate::guard::Peer;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::state::State;

/// How many are told apart; beyond that, who asked least lately is forgotten.
const MOST: usize = 20_000;

/// Who asks, as far as this is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Asker {
    /// An address; of IPv6 its network, as one machine has as many of them as it likes.
    Address(IpAddr),
    /// What was sent to say who it is, valid or not, with its address: a wrong token must not use
    /// up what a right one may, nor be tried from everywhere at once.
    Sent([u8; 16], Option<IpAddr>),
}

/// A bucket that fills at a steady rate.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// The buckets of all who asked lately.
pub(crate) struct Rates {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<Asker, Bucket>>,
}

impl Rates {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            per_second: f64::from(settings.requests_per_second.max(1)),
            burst: f64::from(settings.request_burst.max(1)),
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// Takes one request; how long to wait if there is none left.
    fn take(&self, asker: Asker, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST {
            self.forget(&mut buckets, now);
        }
        let full = Bucket { left: self.burst, at: now };
        let bucket = buckets.entry(asker).or_insert(full);
        bucket.left = self.filled(bucket, now);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.left) / self.per_second))
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + passed * self.per_second).min(self.burst)
    }

    /// Forgets who has a full bucket again; all, if that is nobody.
    fn forget(&self, buckets: &mut HashMap<Asker, Bucket>, now: Instant) {
        buckets.retain(|_, bucket| self.filled(bucket, now) < self.burst);
        if buckets.len() >= MOST {
            buckets.clear();
        }
    }
}

/// Refuses who asks too often.
pub(crate) async fn limit(
    Given(state): Given<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    match state.rates.take(asker(&request), Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let seconds = wait.as_secs() + 1;
            Refusal::new(
                ProblemKind::TooMany,
                "more requests came than one may send",
                format!("wait {seconds} s, then go on more slowly"),
            )
            .with(header::RETRY_AFTER, HeaderValue::from(seconds))
            .into_response()
        }
    }
}

fn asker(request: &Request) -> Asker {
    let address = request.extensions().get::<Peer>().map(|peer| network(peer.0.ip()));
    let headers = request.headers();
    let sent = headers.get(header::AUTHORIZATION).or_else(|| headers.get(header::COOKIE));
    match (sent, address) {
        (Some(sent), address) => {
            let digest = sha256(sent.as_bytes());
            let mut short = [0; 16];
            short.copy_from_slice(&digest.as_str().as_bytes()[..16]);
            Asker::Sent(short, address)
        }
        (None, Some(address)) => Asker::Address(address),
        (None, None) => Asker::Address(IpAddr::from([0, 0, 0, 0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_often_waits_and_nobody_else_does() {
        let settings = Settings { requests_per_second: 2, request_burst: 3, ..Settings::default() };
        let rates = Rates::new(&settings);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(rates.take(Asker::Address(one), start), Ok(()));
        }
        let wait = rates.take(Asker::Address(one), start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(rates.take(Asker::Address(other), start), Ok(()));
        assert_eq!(rates.take(Asker::Address(one), start + wait), Ok(()));
    }

    #[test]
    fn however_many_ask_only_so_many_are_remembered() {
        let rates = Rates::new(&Settings::default());
        let now = Instant::now();
        for n in 0..50_000_u32 {
            let _ = rates.take(Asker::Address(IpAddr::from(n.to_be_bytes())), now);
        }
        assert!(rates.buckets.lock().unwrap().len() <= MOST);
    }
}
