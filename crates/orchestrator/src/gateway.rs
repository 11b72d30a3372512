//! The one place that all model calls of a worker go through.
//!
//! It asks the installation's policy, looks at the quotas of the month, falls back to a second model
//! where the first cannot be had, and counts what was used. The rates of providers are kept one
//! level below, by the client of models: each of its tries counts against them. Nothing here reads
//! or writes the store between a request and its reply, where nothing is refused.

mod account;
mod ledger;
mod model;
mod policy;
mod words;

use std::sync::Arc;

use quire_domain::event::{Event, EventBody, Suspended};
use quire_domain::ids::{AttemptId, Epoch, TaskId};
use quire_domain::model::Model;
use quire_domain::task::Mode;
use quire_domain::time::Clock;
use quire_store::{Store, StoreError};

pub use self::account::{Account, usage_of};
use self::ledger::Ledger;
use self::model::GatewayModel;
pub use self::policy::{Policy, PolicyCommand};
use crate::worker::Models;

/// What an administrator decides about model calls.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Who may ask a model what.
    pub policy: Policy,
    /// The model that answers where the one that was asked for cannot be had.
    pub fallback: Option<String>,
    /// Whether an attempt stands still and is tried again later where a provider does not answer;
    /// else it fails at once, as somebody sits before it.
    pub patient: bool,
}

/// The gateway of one worker. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    models: Arc<dyn Models>,
    store: Store,
    clock: Arc<dyn Clock>,
    rules: Rules,
    ledger: Ledger,
    /// Commands of the policy that run at once.
    asking: tokio::sync::Semaphore,
}

/// Who asks a model, and for what.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Under which claim.
    pub epoch: Epoch,
    /// What the turn may do.
    pub mode: Mode,
    /// The model that was asked for.
    pub model: String,
    /// How often it stood still for want of an answer, since there was one.
    pub waited: u32,
}

/// A model for one attempt, and what it has used.
pub struct Opened {
    /// The model.
    pub model: Arc<dyn Model>,
    /// What the attempt has used.
    pub account: Arc<Account>,
}

impl Gateway {
    /// A gateway to `models`, by the rules of an administrator.
    pub fn new(models: Arc<dyn Models>, store: Store, clock: Arc<dyn Clock>, rules: Rules) -> Self {
        let ledger = Ledger::new(store.clone(), Arc::clone(&clock), Arc::clone(&models));
        let asking = tokio::sync::Semaphore::new(policy::AT_ONCE);
        Self { inner: Arc::new(Inner { models, store, clock, rules, ledger, asking }) }
    }

    /// The same for a process that has time: where a provider does not answer an attempt stands
    /// still and is tried again, instead of failing.
    #[must_use]
    pub fn patient(&self) -> Self {
        let Inner { models, store, clock, rules, .. } = self.inner.as_ref();
        let rules = Rules { patient: true, ..rules.clone() };
        Self::new(Arc::clone(models), store.clone(), Arc::clone(clock), rules)
    }

    /// The model that `caller` asks; `log` is what its attempt has on record.
    ///
    /// # Errors
    ///
    /// Why there is no such model, for the person.
    pub async fn open(&self, caller: Caller, log: &[Event]) -> Result<Opened, String> {
        let owner = self.inner.store.owner_of(caller.attempt).await;
        let owner = owner.map_err(|error| format!("cannot read whose task it is: {error}"))?;
        self.inner.ledger.read_ahead(owner);
        let primary = self.inner.models.open_for(&caller.model, owner.author).await?;
        let account = Arc::new(Account::new(caller.attempt, caller.epoch, owner, usage_of(log)));
        self.inner.ledger.open(&account);
        let model = GatewayModel::new(self.clone(), caller, primary, Arc::clone(&account));
        Ok(Opened { model: Arc::new(model), account })
    }

    /// Writes what an attempt has used by now into the store, where there is something new.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if another worker has it.
    pub async fn flush(&self, account: &Account) -> Result<(), StoreError> {
        self.inner.ledger.flush(account).await
    }

    /// Writes what the log of an attempt says it used; nothing of it is counted here any more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if another worker has it.
    pub async fn close(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        log: &[Event],
    ) -> Result<(), StoreError> {
        self.inner.ledger.close(attempt, epoch, &usage_of(log)).await
    }

    /// Done now and then where attempts wait for the store's word: lets those go on that stood
    /// still for want of a quota, and exchanges the pauses of providers with other processes.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written.
    pub async fn keep(&self) -> Result<(), StoreError> {
        self.inner.ledger.exchange_pauses().await?;
        self.inner.store.wake_held(self.inner.clock.now()).await.map(|_| ())
    }
}

/// How often an attempt stood still for want of something that comes by itself, since a model last
/// answered it.
pub fn waits_in(log: &[Event]) -> u32 {
    let since = log.iter().rev().take_while(|event| {
        !matches!(event.body, EventBody::ModelReplied(_) | EventBody::Compacted(_))
    });
    let stood = since.filter(|event| {
        matches!(&event.body, EventBody::Suspended(Suspended { until: Some(_), .. }))
    });
    u32::try_from(stood.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
