//! Keeps a provider's limits for all attempts of the process: calls at once, requests and tokens
//! per minute, and the pause that `Retry-After` asks for.
//!
//! It stands here and not around [`quire_domain::model::Model`], as each try counts against a limit
//! and only who makes the tries sees them.

mod bucket;
mod line;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quire_domain::ids::UserId;
use serde::Deserialize;
use tokio::sync::{Notify, oneshot};

use self::line::{Line, Next, Ticket};
use crate::pace::Pace;

/// What a provider allows; `None` is no limit of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests at the same time, at least 1.
    pub concurrent: Option<u32>,
    /// Requests in any minute, at least 1.
    pub requests_per_minute: Option<u32>,
    /// Tokens in any minute, input and output, estimated before and corrected after.
    pub tokens_per_minute: Option<u64>,
}

/// The one door to a provider.
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    pace: Arc<dyn Pace>,
    state: Mutex<State>,
    /// Somebody left or was let in, or the door was closed.
    news: Notify,
}

struct State {
    line: Line,
    doors: HashMap<Ticket, oneshot::Sender<Result<Pass, Shut>>>,
    tickets: Ticket,
    /// Whether somebody calls those who wait.
    calling: bool,
    /// Nobody is asked to wait: all are sent away.
    shut: Option<(Instant, String)>,
}

/// The right to have one request under way; given back when dropped.
pub struct Pass {
    inner: Arc<Inner>,
    let_in: bool,
}

/// The provider wants to be left alone for longer than a request waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shut {
    /// For how long.
    pub after: Duration,
    /// The words it gave.
    pub message: String,
}

/// Why a request does not go at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// Requests that wait already.
    pub before: usize,
    /// How long nobody goes.
    pub closed: Option<Duration>,
}

impl Gateway {
    /// A door with these limits.
    pub fn new(limits: Limits, pace: Arc<dyn Pace>) -> Self {
        let state = State {
            line: Line::new(&limits, pace.now()),
            doors: HashMap::new(),
            tickets: 0,
            calling: false,
            shut: None,
        };
        Self { inner: Arc::new(Inner { pace, state: Mutex::new(state), news: Notify::new() }) }
    }

    /// Waits until a request of about `tokens` of `person` may go; `delayed` is told once if that
    /// is not at once.
    ///
    /// # Errors
    ///
    /// [`Shut`] where it will not be soon.
    pub async fn enter(
        &self,
        person: UserId,
        tokens: u64,
        delayed: impl FnOnce(Delay),
    ) -> Result<Pass, Shut> {
        let mut delayed = Some(delayed);
        loop {
            let (ticket, door, delay) = {
                let mut state = self.inner.state();
                let now = self.inner.pace.now();
                if let Some(shut) = state.shut_at(now) {
                    return Err(shut);
                }
                let before = state.line.waiting();
                state.tickets += 1;
                let ticket = state.tickets;
                state.line.join(person, ticket, tokens);
                // With nobody before it, whoever goes next is this one.
                if before == 0 && state.line.next(now) == Next::Go(ticket) {
                    return Ok(Pass::of(&self.inner));
                }
                let (sender, door) = oneshot::channel();
                state.doors.insert(ticket, sender);
                if !std::mem::replace(&mut state.calling, true) {
                    tokio::spawn(call(Arc::clone(&self.inner)));
                }
                (ticket, door, Delay { before, closed: state.line.closed_for(now) })
            };
            if let Some(delayed) = delayed.take() {
                delayed(delay);
            }
            let _place = InLine { inner: &self.inner, person, ticket };
            // Nobody calls any more where the caller's executor ended: then by itself.
            if let Ok(called) = door.await {
                return called;
            }
        }
    }

    /// Lets nobody in for `wait`, as the provider asked one of us to.
    pub fn close_for(&self, wait: Duration) {
        let now = self.inner.pace.now();
        self.inner.state().line.close(now + wait, now);
        self.inner.news.notify_one();
    }

    /// Sends everybody away for `wait`, those who wait as well.
    pub fn shut_for(&self, wait: Duration, message: &str) {
        let now = self.inner.pace.now();
        let until = now + wait;
        let waiting: Vec<_> = {
            let mut state = self.inner.state();
            if state.shut.as_ref().is_none_or(|(earlier, _)| *earlier < until) {
                state.shut = Some((until, message.to_owned()));
            }
            state.line.close(until, now);
            state.doors.drain().map(|(_, door)| door).collect()
        };
        for door in waiting {
            // Who went away needs no word.
            let _ = door.send(Err(Shut { after: wait, message: message.to_owned() }));
        }
    }

    /// Whether everybody is sent away.
    pub fn shut(&self) -> Option<Shut> {
        let now = self.inner.pace.now();
        self.inner.state().shut_at(now)
    }

    /// For how long nobody goes in.
    pub fn closed_for(&self) -> Option<Duration> {
        let now = self.inner.pace.now();
        self.inner.state().line.closed_for(now)
    }

    /// Corrects the estimate of a request once its real number of tokens is known.
    pub fn correct(&self, estimated: u64, real: u64) {
        self.inner.state().line.correct(estimated, real);
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn shut_at(&mut self, now: Instant) -> Option<Shut> {
        if self.shut.as_ref().is_some_and(|(until, _)| *until <= now) {
            self.shut = None;
        }
        let (until, message) = self.shut.as_ref()?;
        Some(Shut { after: *until - now, message: message.clone() })
    }
}

/// Calls those who wait, one after the other, until nobody does.
async fn call(inner: Arc<Inner>) {
    loop {
        let mut called = Vec::new();
        let wait = {
            let mut state = inner.state();
            loop {
                match state.line.next(inner.pace.now()) {
                    Next::Go(ticket) => {
                        called.push((state.doors.remove(&ticket), Pass::of(&inner)));
                    }
                    Next::Wait(wait) => break Some(Some(wait)),
                    Next::Full => break Some(None),
                    Next::Nobody => {
                        state.calling = false;
                        break None;
                    }
                }
            }
        };
        for (door, pass) in called {
            // Where nobody stands there any more the pass comes back and is dropped here.
            let _ = door.map(|door| door.send(Ok(pass)));
        }
        match wait {
            None => return,
            Some(None) => inner.news.notified().await,
            Some(Some(wait)) => tokio::select! {
                biased;
                () = inner.news.notified() => {}
                () = inner.pace.sleep(wait) => {}
            },
        }
    }
}

/// A place in the line, left when dropped.
struct InLine<'a> {
    inner: &'a Inner,
    person: UserId,
    ticket: Ticket,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let left = {
            let mut state = self.inner.state();
            state.line.forget(self.person, self.ticket);
            state.doors.remove(&self.ticket)
        };
        drop(left);
        self.inner.news.notify_one();
    }
}

impl Pass {
    fn of(inner: &Arc<Inner>) -> Self {
        Self { inner: Arc::clone(inner), let_in: false }
    }

    /// The provider took the request: it will not say any more that there are too many.
    pub fn let_in(&mut self) {
        if !std::mem::replace(&mut self.let_in, true) {
            self.inner.state().line.let_in();
            self.inner.news.notify_one();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.inner.state().line.leave(self.let_in);
        self.inner.news.notify_one();
    }
}

impl std::fmt::Display for Delay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.closed {
            Some(wait) => write!(f, "it asked all of us to wait {} s", wait.as_secs().max(1))?,
            None => write!(f, "its limits are reached")?,
        }
        match self.before {
            0 => Ok(()),
            1 => write!(f, "; one request is before this one"),
            before => write!(f, "; {before} requests are before this one"),
        }
    }
}
