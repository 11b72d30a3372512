//! Whether a viewer may still see what it sees.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Request, header, request};
use quire_api::ProblemKind;
use quire_evidence::digest::sha256;
use tokio::time::Instant;

use crate::access::Who;
use crate::state::State;

/// An answer serves all viewers that came with the same token for this part of the time after which
/// it is asked for again.
const KNOWN_FOR: u32 = 5;

/// Answers that are kept at once.
const MOST: usize = 4_096;

/// How often it may be left open because the store does not answer.
const PATIENCE: u32 = 5;

/// Who came lately with which token or session; by its digest.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<String, (Instant, Option<Who>)>>);

/// What a viewer came with.
pub(crate) struct Still {
    parts: request::Parts,
    digest: String,
    every: Duration,
    next: Instant,
    unanswered: u32,
}

impl Still {
    /// Of a request that was let in just now; asked again after `every`.
    pub(crate) fn of(parts: &request::Parts, every: Duration) -> Self {
        let mut kept = Request::new(()).into_parts().0;
        let mut text = Vec::new();
        for name in [header::AUTHORIZATION, header::COOKIE] {
            for value in parts.headers.get_all(&name) {
                text.extend_from_slice(name.as_str().as_bytes());
                text.extend_from_slice(value.as_bytes());
                kept.headers.append(&name, value.clone());
            }
        }
        // Where it came from, and whether a proxy had it encrypted.
        kept.extensions = parts.extensions.clone();
        let digest = sha256(&text).to_string();
        Self { parts: kept, digest, every, next: Instant::now() + every, unanswered: 0 }
    }

    /// When to ask again.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Who they are now; `None` if nobody any more.
    pub(super) async fn who(&mut self, state: &State) -> Option<Who> {
        self.next = Instant::now() + self.every;
        let known = &state.events.known.0;
        {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, who)) = known.get(&self.digest)
                && at.elapsed() < self.every / KNOWN_FOR
            {
                return who.clone();
            }
        }
        let who = match state.access.who(&self.parts, state).await {
            Ok(who) => Some(who),
            Err(refusal) if refusal.problem().kind == ProblemKind::NotSignedIn.path() => None,
            Err(_) => {
                self.unanswered += 1;
                return self.last_known(state).filter(|_| self.unanswered <= PATIENCE);
            }
        };
        self.unanswered = 0;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(self.digest.clone(), (Instant::now(), who.clone()));
        who
    }

    fn last_known(&self, state: &State) -> Option<Who> {
        let known = state.events.known.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&self.digest).and_then(|known| known.1.clone())
    }
}
