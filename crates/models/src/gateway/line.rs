//! Who may go next: the rule of the door, as a function of values. No clock, no waiting.
//!
//! People take turns, not requests: somebody with one request waits for one of each other person at
//! most, however many those have. Of one person's requests the oldest goes first.
//!
//! After a pause that the provider asked for nobody knows how much it takes again. So one request
//! goes, and each one that it lets in makes room for one more that is not answered yet: the number
//! doubles with each round, and a hundred that waited are no storm. Where it takes its time to let
//! one in there is room for another every two seconds.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use quire_domain::ids::UserId;

use super::Limits;
use super::bucket::Bucket;

/// A request's place.
pub(super) type Ticket = u64;

/// Requests let in after a pause until it is forgotten.
const ALL_CLEAR: u32 = 256;

/// How long one that is neither let in nor sent away holds up the others.
const PATIENCE: Duration = Duration::from_secs(2);

/// Those who are inside, and those who wait.
#[derive(Debug)]
pub(super) struct Line {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    seats: Option<u32>,
    /// Under way.
    inside: u32,
    /// Of those, what the provider has not let in yet.
    knocking: u32,
    /// How many may knock at once, after a pause, and since when it is that many.
    cautious: Option<(u32, Instant)>,
    closed_until: Option<Instant>,
    queues: HashMap<UserId, VecDeque<(Ticket, u64)>>,
    /// People who wait, whose turn is next first.
    turns: VecDeque<UserId>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// This one goes.
    Go(Ticket),
    /// Nobody for so long.
    Wait(Duration),
    /// Nobody until one leaves or is let in.
    Full,
    /// Nobody waits.
    Nobody,
}

impl Line {
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        let bucket = |per_minute| Bucket::new(per_minute, now);
        Self {
            requests: limits.requests_per_minute.map(u64::from).map(bucket),
            tokens: limits.tokens_per_minute.map(bucket),
            seats: limits.concurrent.map(|seats| seats.max(1)),
            inside: 0,
            knocking: 0,
            cautious: None,
            closed_until: None,
            queues: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// Somebody comes with a request of about so many tokens.
    pub(super) fn join(&mut self, person: UserId, ticket: Ticket, tokens: u64) {
        let queue = self.queues.entry(person).or_default();
        if queue.is_empty() {
            self.turns.push_back(person);
        }
        queue.push_back((ticket, tokens));
    }

    /// Somebody went away before their turn.
    pub(super) fn forget(&mut self, person: UserId, ticket: Ticket) {
        let Some(queue) = self.queues.get_mut(&person) else { return };
        queue.retain(|(waiting, _)| *waiting != ticket);
        if queue.is_empty() {
            self.queues.remove(&person);
            self.turns.retain(|waiting| *waiting != person);
        }
    }

    /// Who goes now. To be asked again until it is nobody.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let Some(person) = self.turns.front().copied() else { return Next::Nobody };
        if let Some(wait) = self.closed_for(now) {
            return Next::Wait(wait);
        }
        if self.seats.is_some_and(|seats| self.inside >= seats) {
            return Next::Full;
        }
        if let Some((most, since)) = &mut self.cautious
            && self.knocking >= *most
        {
            let waited = now.saturating_duration_since(*since);
            if waited < PATIENCE {
                return Next::Wait(PATIENCE.saturating_sub(waited));
            }
            (*most, *since) = (self.knocking + 1, now);
        }
        let buckets = [&mut self.requests, &mut self.tokens].into_iter().flatten();
        if let Some(wait) = buckets.filter_map(|bucket| bucket.empty_for(now)).max() {
            return Next::Wait(wait);
        }
        self.turns.pop_front();
        let Some(queue) = self.queues.get_mut(&person) else { return Next::Nobody };
        let Some((ticket, tokens)) = queue.pop_front() else { return Next::Nobody };
        if queue.is_empty() {
            self.queues.remove(&person);
        } else {
            self.turns.push_back(person);
        }
        if let Some(bucket) = &mut self.requests {
            bucket.take(1);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens);
        }
        self.inside += 1;
        self.knocking += 1;
        Next::Go(ticket)
    }

    /// The provider takes a request that went.
    pub(super) fn let_in(&mut self) {
        self.knocking = self.knocking.saturating_sub(1);
        self.cautious = self
            .cautious
            .map(|(most, since)| (most + 1, since))
            .filter(|(most, _)| *most < ALL_CLEAR);
    }

    /// A request is over; `let_in` says whether it had been.
    pub(super) fn leave(&mut self, let_in: bool) {
        self.inside = self.inside.saturating_sub(1);
        if !let_in {
            self.knocking = self.knocking.saturating_sub(1);
        }
    }

    /// Nobody goes before `until`. A shorter pause does not end a longer one, and many answers to
    /// requests that left together are one pause.
    pub(super) fn close(&mut self, until: Instant, now: Instant) {
        let closed = self.closed_for(now).is_some();
        let most = match self.cautious {
            Some((most, _)) if closed => most,
            Some((most, _)) => (most / 2).max(1),
            None => 1,
        };
        self.closed_until = self.closed_until.max(Some(until));
        self.cautious = Some((most, self.closed_until.unwrap_or(until)));
    }

    /// How long nobody goes, where that is so.
    pub(super) fn closed_for(&mut self, now: Instant) -> Option<Duration> {
        self.closed_until = self.closed_until.filter(|until| *until > now);
        self.closed_until.map(|until| until - now)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }

    /// Corrects the estimate of a request.
    pub(super) fn correct(&mut self, estimated: u64, real: u64) {
        if let Some(bucket) = &mut self.tokens {
            bucket.give_back(estimated);
            bucket.take(real);
        }
    }
}

#[cfg(test)]
mod tests;
