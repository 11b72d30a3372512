//! One sign-in on its way: bound to the browser that began it, and held nowhere but in its cookie.
//!
//! The cookie has a random part, the time, and where to go afterwards. `state`, `nonce` and PKCE's
//! verifier are computed from it with a key that this process alone has: nobody makes a pair of
//! cookie and state that fits, and who has the cookie knows neither nonce nor verifier. A round that
//! came to its end is remembered for as long as it could be tried again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quire_domain::secret::Secret;
use quire_domain::time::Timestamp;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::SystemRandom;

use crate::access::secrets::{NoRandom, mint, same};

/// How long somebody may take at the provider, in milliseconds.
pub(super) const ROUND_MILLIS: u64 = 10 * 60 * 1000;

/// The most rounds that are remembered as used.
const MOST_USED: usize = 50_000;

/// The longest address to go to afterwards, in bytes.
const MOST_RETURN: usize = 512;

/// What makes rounds and knows them again. A restart ends those that are under way.
pub(super) struct Rounds {
    key: hmac::Key,
    used: Mutex<VecDeque<([u8; 32], Timestamp)>>,
}

/// One sign-in on its way.
pub(super) struct Round {
    /// What the browser keeps.
    pub cookie: Secret<String>,
    pub state: String,
    pub nonce: String,
    pub verifier: Secret<String>,
    /// Where to go afterwards: a path of this server.
    pub return_to: String,
}

impl Rounds {
    pub fn new() -> Result<Self, NoRandom> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self { key: key.map_err(|_| NoRandom)?, used: Mutex::new(VecDeque::new()) })
    }

    /// Begins one.
    pub fn begin(&self, return_to: &str, now: Timestamp) -> Result<Round, NoRandom> {
        let random = mint("")?;
        let after = URL_SAFE_NO_PAD.encode(safe_return(return_to));
        Ok(self.round(format!("{}.{}.{after}", random.reveal(), now.0)))
    }

    /// The round that a browser's cookie and the provider's answer belong to, once.
    pub fn end(&self, cookie: &str, state: &str, now: Timestamp) -> Option<Round> {
        if cookie.len() > 2 * MOST_RETURN {
            return None;
        }
        let round = self.round(cookie.to_owned());
        let begun: u64 = cookie.split('.').nth(1)?.parse().ok()?;
        let fresh = begun <= now.0 && now.0 - begun <= ROUND_MILLIS;
        if !same(&round.state, state) || !fresh || !self.first(&round.state, now) {
            return None;
        }
        Some(round)
    }

    fn round(&self, cookie: String) -> Round {
        let made = |what: &str| {
            let mut context = hmac::Context::with_key(&self.key);
            context.update(what.as_bytes());
            context.update(&[0]);
            context.update(cookie.as_bytes());
            URL_SAFE_NO_PAD.encode(context.sign())
        };
        let after = cookie.split('.').nth(2).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let after = after.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        Round {
            state: made("state"),
            nonce: made("nonce"),
            verifier: Secret::new(made("verifier")),
            return_to: safe_return(&after).to_owned(),
            cookie: Secret::new(cookie),
        }
    }

    /// Whether it comes for the first time; it then counts as used.
    fn first(&self, state: &str, now: Timestamp) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while used.front().is_some_and(|(_, at)| now.millis_since(*at) > ROUND_MILLIS)
            || used.len() >= MOST_USED
        {
            used.pop_front();
        }
        let name = sha256(state);
        let first = !used.iter().any(|(known, _)| *known == name);
        if first {
            used.push_back((name, now));
        }
        first
    }
}

impl Round {
    /// What the provider is told of the verifier: its SHA-256.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(self.verifier.reveal()))
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

/// A path of this server to go to after signing in; `/` for whatever else somebody was sent with.
fn safe_return(path: &str) -> &str {
    let inside = path.starts_with('/') && !path.starts_with("//") && path.len() <= MOST_RETURN;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if inside && plain { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_belongs_to_one_browser_once_and_for_ten_minutes() {
        let rounds = Rounds::new().unwrap();
        let now = Timestamp(1_000_000);
        let begun = rounds.begin("/tasks/42?tab=log#x", now).unwrap();
        let other = rounds.begin("/", now).unwrap();
        let cookie = begun.cookie.reveal();
        assert!(rounds.end(cookie, &other.state, now).is_none(), "another browser's");
        let elsewhere = Rounds::new().unwrap();
        assert!(elsewhere.end(cookie, &begun.state, now).is_none(), "another server's");
        let late = now.plus_millis(ROUND_MILLIS + 1);
        assert!(rounds.end(cookie, &begun.state, late).is_none(), "too late");
        let changed = cookie.replace(".1000000.", ".1000001.");
        assert!(rounds.end(&changed, &begun.state, now).is_none(), "of another time");
        for garbage in ["", ".", "a.b.c", "..", &"x".repeat(5000)] {
            assert!(rounds.end(garbage, &begun.state, now).is_none());
        }
        let ended = rounds.end(cookie, &begun.state, now).unwrap();
        assert_eq!(ended.return_to, "/tasks/42?tab=log#x");
        assert_eq!((&ended.nonce, ended.challenge()), (&begun.nonce, begun.challenge()));
        assert!(rounds.end(cookie, &begun.state, now).is_none(), "a second time");
    }

    #[test]
    fn nobody_is_led_to_another_server_afterwards() {
        for inside in ["/", "/tasks/42", "/a?b=//c"] {
            assert_eq!(safe_return(inside), inside);
        }
        let long = format!("/{}", "a".repeat(600));
        for outside in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/ä",
            &long,
        ] {
            assert_eq!(safe_return(outside), "/", "{outside:?}");
        }
    }
}
