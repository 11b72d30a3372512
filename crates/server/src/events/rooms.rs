//! How many may watch at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderValue, header};
use quire_api::ProblemKind;
use quire_domain::ids::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::{Refusal, Result};

/// Room for viewers: so many together, and half of it at most for one person.
pub(crate) struct Rooms {
    all: Arc<Semaphore>,
    most_of_one: usize,
    of: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// The room of one viewer, until it is dropped.
pub(crate) struct Room {
    _permit: OwnedSemaphorePermit,
    of: Arc<Mutex<HashMap<UserId, usize>>>,
    user: UserId,
}

impl Rooms {
    pub fn new(most: usize) -> Self {
        let all = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { all, most_of_one: most.div_ceil(2), of: Arc::default() }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.values().sum()
    }

    /// Takes the room of one viewer.
    ///
    /// # Errors
    ///
    /// Unavailable if there is none; it says when to try again.
    pub fn take(&self, user: UserId) -> Result<Room> {
        let full = |detail: &str| {
            Refusal::new(ProblemKind::Unavailable, detail, "close a page, or try again later")
                .with(header::RETRY_AFTER, HeaderValue::from_static("10"))
        };
        let permit = self.all.clone().try_acquire_owned();
        let permit = permit.map_err(|_| full("as many watch as may at once"))?;
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let open = of.entry(user).or_default();
        if *open >= self.most_of_one {
            return Err(full("you have as many streams open as one person may"));
        }
        *open += 1;
        Ok(Room { _permit: permit, of: self.of.clone(), user })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = of.get_mut(&self.user) {
            *open -= 1;
            if *open == 0 {
                of.remove(&self.user);
            }
        }
    }
}
