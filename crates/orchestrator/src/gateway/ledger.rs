//! What the month's quotas leave: read from the store now and then, and what came since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use quire_domain::access::Owner;
use quire_domain::ids::{AttemptId, Epoch};
use quire_domain::quota::{Month, MonthLimit, Quota, Subject, Used};
use quire_domain::time::{Clock, Timestamp};
use quire_store::{ProviderWindow, Store, StoreError, UsageRow};

use super::account::Account;
use crate::worker::{Models, Pause};

type Result<T> = std::result::Result<T, StoreError>;

/// How old what was read may be until it is read again, beside the call that finds it so.
const STALE_MS: u64 = 5_000;

/// A limit of the month that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) subject: Subject,
    pub(super) limit: MonthLimit,
    pub(super) used: Used,
    pub(super) month: Month,
}

/// The quotas of those who work here.
#[derive(Clone)]
pub(super) struct Ledger {
    store: Store,
    clock: Arc<dyn Clock>,
    models: Arc<dyn Models>,
    state: Arc<Mutex<State>>,
    /// Nobody reads sums while somebody writes what they are of.
    writing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    accounts: HashMap<AttemptId, Weak<Account>>,
    known: HashMap<Owner, Known>,
}

/// What was read of the limits that hold for an owner.
struct Known {
    read_at: Timestamp,
    month: Month,
    limits: Vec<(Subject, Quota, Used)>,
    reading: bool,
}

impl Ledger {
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>, models: Arc<dyn Models>) -> Self {
        let writing = Arc::new(tokio::sync::Mutex::new(()));
        Self { store, clock, models, state: Arc::default(), writing }
    }

    /// Counts what comes to an account.
    pub(super) fn open(&self, account: &Arc<Account>) {
        let mut state = self.state();
        state.accounts.retain(|_, account| account.strong_count() > 0);
        state.accounts.insert(account.attempt, Arc::downgrade(account));
    }

    /// The limit of this month that `owner` has reached. Reads the store where it is not known, and
    /// before it says that one is.
    pub(super) async fn check(&self, owner: Owner) -> Result<Option<Reached>> {
        let mut look = self.look(owner);
        if matches!(look, Look::Unknown) {
            // Somebody may be reading it just now.
            drop(self.writing.lock().await);
            look = self.look(owner);
        }
        if !matches!(look, Look::Fine) {
            self.read(owner).await?;
            if let Look::Reached(reached) = self.look(owner) {
                return Ok(Some(reached));
            }
        }
        Ok(None)
    }

    fn look(&self, owner: Owner) -> Look {
        let now = self.clock.now();
        let month = Month::of(now);
        let mut state = self.state();
        let accounts: Vec<_> = match state.known.get(&owner) {
            Some(known) if known.month == month => {
                if known.limits.is_empty() {
                    Vec::new()
                } else {
                    state.accounts.values().filter_map(Weak::upgrade).collect()
                }
            }
            _ => return Look::Unknown,
        };
        let Some(known) = state.known.get_mut(&owner) else { return Look::Unknown };
        for (subject, quota, used) in &known.limits {
            let mine = accounts.iter().filter(|account| holds_for(*subject, account.owner));
            let used = mine.map(|account| account.unwritten(month)).fold(*used, plus);
            if let Some(limit) = quota.reached(&used) {
                return Look::Reached(Reached { subject: *subject, limit, used, month });
            }
        }
        if now.millis_since(known.read_at) >= STALE_MS && !known.reading {
            known.reading = true;
            let ledger = self.clone();
            tokio::spawn(async move {
                // What cannot be read now is read with a later call.
                let _ = ledger.read(owner).await;
            });
        }
        Look::Fine
    }

    /// Reads what will be asked for soon, beside other things.
    pub(super) fn read_ahead(&self, owner: Owner) {
        if matches!(self.look(owner), Look::Unknown) {
            let ledger = self.clone();
            // What cannot be read is read again, and told, when it is needed.
            tokio::spawn(async move { ledger.read(owner).await });
        }
    }

    async fn read(&self, owner: Owner) -> Result<()> {
        let _still = self.writing.lock().await;
        let read = self.read_limits(owner).await;
        let mut state = self.state();
        match read {
            Ok(known) => {
                state.known.insert(owner, known);
                Ok(())
            }
            Err(error) => {
                if let Some(known) = state.known.get_mut(&owner) {
                    known.reading = false;
                }
                Err(error)
            }
        }
    }

    async fn read_limits(&self, owner: Owner) -> Result<Known> {
        let now = self.clock.now();
        let month = Month::of(now);
        let (from, until) = (month.first_day(), month.next().first_day());
        let mut limits = Vec::new();
        for (subject, quota) in self.store.quotas_of(owner.team, owner.author).await? {
            if quota.month_cost.is_some() || quota.month_tokens.is_some() {
                limits.push((subject, quota, self.store.used(subject, from, until).await?));
            }
        }
        self.heed_pauses(now).await?;
        Ok(Known { read_at: now, month, limits, reading: false })
    }

    /// Writes what came to an account since.
    pub(super) async fn flush(&self, account: &Account) -> Result<()> {
        let Some(rows) = account.to_write() else { return Ok(()) };
        let _alone = self.writing.lock().await;
        self.store.write_usage(account.attempt, account.epoch, &rows).await?;
        self.wrote(account, rows);
        Ok(())
    }

    /// Writes what a log says.
    pub(super) async fn close(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        rows: &[UsageRow],
    ) -> Result<()> {
        if !rows.is_empty() {
            let _alone = self.writing.lock().await;
            self.store.write_usage(attempt, epoch, rows).await?;
            let account = self.state().accounts.get(&attempt).and_then(Weak::upgrade);
            if let Some(account) = account {
                self.wrote(&account, rows.to_vec());
            }
        }
        self.state().accounts.remove(&attempt);
        Ok(())
    }

    /// The store has it now: what was read of it before lacks it.
    fn wrote(&self, account: &Account, rows: Vec<UsageRow>) {
        let mut state = self.state();
        for known in state.known.values_mut() {
            let written = account.unwritten(known.month);
            for (subject, _, used) in &mut known.limits {
                if holds_for(*subject, account.owner) {
                    *used = plus(*used, written);
                }
            }
        }
        account.wrote(rows);
    }

    /// Tells the store of pauses that providers asked this process for, and heeds those of others.
    pub(super) async fn exchange_pauses(&self) -> Result<()> {
        let now = self.clock.now();
        let known = self.store.provider_windows(now).await?;
        for pause in self.models.pauses() {
            self.tell(&known, pause, now).await?;
        }
        heed(self.models.as_ref(), known, now);
        Ok(())
    }

    async fn tell(&self, known: &[ProviderWindow], pause: Pause, now: Timestamp) -> Result<()> {
        let until = now.plus_millis(pause.wait_ms);
        // The same pause is told by a clock that moved on a little.
        let told = known.iter().any(|window| {
            window.provider == pause.provider && window.until.0.saturating_add(2_000) >= until.0
        });
        if told {
            return Ok(());
        }
        let Pause { provider, message, .. } = pause;
        self.store.close_provider(&ProviderWindow { provider, until, message }).await
    }

    async fn heed_pauses(&self, now: Timestamp) -> Result<()> {
        heed(self.models.as_ref(), self.store.provider_windows(now).await?, now);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Look {
    Fine,
    Unknown,
    Reached(Reached),
}

fn heed(models: &dyn Models, windows: Vec<ProviderWindow>, now: Timestamp) {
    for ProviderWindow { provider, until, message } in windows {
        models.pause(Pause { provider, wait_ms: until.millis_since(now), message });
    }
}

fn holds_for(subject: Subject, owner: Owner) -> bool {
    match subject {
        Subject::Server => true,
        Subject::Team(team) => team == owner.team,
        Subject::User(author) => author == owner.author,
    }
}

fn plus(one: Used, other: Used) -> Used {
    Used {
        cost: quire_domain::budget::MicroDollars(one.cost.0.saturating_add(other.cost.0)),
        tokens: one.tokens.saturating_add(other.tokens),
    }
}
