//! What people say while an attempt works, read from the store: the process that puts an input
//! and the one that works on the attempt need not be the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quire_agent::{ContractError, Inputs};
use quire_domain::attempt::SuspendReason;
use quire_domain::event::Said;
use quire_domain::ids::AttemptId;
use quire_store::{InputKind, Store};
use tokio_util::sync::CancellationToken;

use crate::purse::TurnPurse;

/// How often the store is asked: bounds how long a cancel of another process takes to be seen.
pub const POLL: Duration = Duration::from_millis(500);

/// The inputs of one attempt, as far as they are known by now.
#[derive(Default)]
pub struct StoredInputs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steers: Vec<Said>,
    messages: Vec<Said>,
    seen: u64,
    paused: bool,
}

impl StoredInputs {
    /// Inputs of which none is known yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Reads what is new; acts on a cancel and on a raised budget.
    pub async fn read(
        &self,
        store: &Store,
        attempt: AttemptId,
        purse: &TurnPurse,
        cancel: &CancellationToken,
    ) -> Result<(), quire_store::StoreError> {
        let seen = self.lock().seen;
        for input in store.inputs_after(attempt, seen).await? {
            let mut state = self.lock();
            state.seen = input.number;
            let said = |text: String| Said { input: input.number, text };
            match input.kind {
                InputKind::Steer { text } => state.steers.push(said(text)),
                InputKind::Message { text } | InputKind::Answer { text } => {
                    state.messages.push(said(text));
                }
                InputKind::Cancel => cancel.cancel(),
                InputKind::Pause => state.paused = true,
                InputKind::RaiseBudget { budget } => {
                    state.paused = false;
                    purse.set_budget(budget);
                }
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn above(all: &[Said], after: u64) -> Vec<Said> {
    all.iter().filter(|said| said.input > after).cloned().collect()
}

#[async_trait]
impl Inputs for StoredInputs {
    async fn steers(&self, after: u64) -> Result<Vec<Said>, ContractError> {
        Ok(above(&self.lock().steers, after))
    }

    async fn messages(&self, after: u64) -> Result<Vec<Said>, ContractError> {
        Ok(above(&self.lock().messages, after))
    }

    fn stand_still(&self) -> Option<SuspendReason> {
        self.lock().paused.then_some(SuspendReason::Paused)
    }
}
