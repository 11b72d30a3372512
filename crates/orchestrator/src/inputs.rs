//! What people say while an attempt works, read from the store: the process that puts an input
//! and the one that works on the attempt need not be the same.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use quire_agent::{ContractError, Inputs, Judgement};
use quire_domain::attempt::SuspendReason;
use quire_domain::budget::Budget;
use quire_domain::event::{PlanApproved, Said};
use quire_domain::ids::AttemptId;
use quire_store::{Input, InputKind, Store};
use tokio_util::sync::CancellationToken;

use crate::leaving::Leaving;
use crate::purse::TurnPurse;

/// The inputs of one attempt, as far as they are known by now.
#[derive(Default)]
pub struct StoredInputs {
    leaving: Leaving,
    state: Mutex<State>,
    /// What a raised budget is told to, once the attempt spends.
    purse: OnceLock<Arc<TurnPurse>>,
    /// What ends the attempt, and what cuts off what it does.
    cut: OnceLock<Cut>,
}

struct Cut {
    end: CancellationToken,
    /// A child of `end`.
    work: CancellationToken,
}

#[derive(Default)]
struct State {
    steers: Vec<Said>,
    messages: Vec<Said>,
    answers: Vec<Said>,
    judgements: Vec<(u64, Judgement)>,
    seen: u64,
    cancelled: bool,
    budget: Option<Budget>,
    /// The newest word on whether it stands still, where that is to stand still: its number.
    paused: Option<u64>,
    /// The newest pause, also one that was taken back.
    last_pause: Option<u64>,
    /// Whether what runs is not waited for.
    paused_now: bool,
}

impl StoredInputs {
    /// Inputs of which none is known yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The same, of a worker that may be asked to leave.
    pub fn until(leaving: Leaving) -> Arc<Self> {
        Arc::new(Self { leaving, ..Self::default() })
    }

    /// Reads what is new; acts on a cancel and on a raised budget.
    pub async fn read(
        &self,
        store: &Store,
        attempt: AttemptId,
        purse: &TurnPurse,
        cancel: &CancellationToken,
    ) -> Result<(), quire_store::StoreError> {
        self.read_all(store, attempt).await?;
        if self.is_cancelled() {
            cancel.cancel();
        }
        if let Some(budget) = self.lock().budget {
            purse.set_budget(budget);
        }
        Ok(())
    }

    /// Reads what is new, to its end. Reading twice at once takes each input once.
    pub(crate) async fn read_all(
        &self,
        store: &Store,
        attempt: AttemptId,
    ) -> Result<(), quire_store::StoreError> {
        loop {
            let news = store.inputs_after(attempt, self.newest_seen()).await?;
            if news.is_empty() {
                break;
            }
            let mut state = self.lock();
            for input in news {
                if input.number > state.seen {
                    state.take(input);
                }
            }
        }
        let state = self.lock();
        // Only now: a pause may have been taken back since.
        if let Some(cut) = self.cut.get().filter(|_| state.paused.is_some() && state.paused_now) {
            cut.work.cancel();
        }
        if let (Some(budget), Some(purse)) = (state.budget, self.purse.get()) {
            purse.set_budget(budget);
        }
        Ok(())
    }

    /// From now on a raised budget is told to `purse`, beginning with what is known.
    pub(crate) fn spends(&self, purse: &Arc<TurnPurse>) {
        let _ = self.purse.set(Arc::clone(purse));
        if let Some(budget) = self.lock().budget {
            purse.set_budget(budget);
        }
    }

    /// Cancelled when what the attempt does is to be cut off: it ends, as `end` says, or it stands
    /// still at once, which [`Inputs::stand_still`] then says.
    pub(crate) fn cut_off_by(&self, end: &CancellationToken) -> CancellationToken {
        let new = || Cut { end: end.clone(), work: end.child_token() };
        let work = self.cut.get_or_init(new).work.clone();
        let state = self.lock();
        if state.paused.is_some() && state.paused_now {
            work.cancel();
        }
        work
    }

    /// Whether it ends, whoever wants it to.
    fn ends(&self) -> bool {
        self.cut.get().is_some_and(|cut| cut.end.is_cancelled())
    }

    /// Whether a pause cut off what it did.
    fn was_cut_off(&self) -> bool {
        self.cut.get().is_some_and(|cut| cut.work.is_cancelled() && !cut.end.is_cancelled())
    }

    /// Whether a person wants it to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// The number of the newest input that is known.
    pub(crate) fn newest_seen(&self) -> u64 {
        self.lock().seen
    }

    /// The number of the input that an attempt stands still for, else of the newest that is known:
    /// what was said after it the attempt has not acted on.
    pub(crate) fn stood_for(&self) -> u64 {
        let state = self.lock();
        let cut_off = state.last_pause.filter(|_| self.was_cut_off());
        cut_off.or(state.paused).unwrap_or(state.seen)
    }

    /// The oldest answer with a number above `after`.
    pub fn answer_after(&self, after: u64) -> Option<Said> {
        self.lock().answers.iter().find(|said| said.input > after).cloned()
    }

    /// The oldest word on a plan with a number above `after`.
    pub fn judgement_after(&self, after: u64) -> Option<Judgement> {
        let state = self.lock();
        let first = state.judgements.iter().find(|(number, _)| *number > after);
        first.map(|(_, judgement)| judgement.clone())
    }

    /// Whether something was said for after the turn, with a number above `after`.
    pub fn has_message_after(&self, after: u64) -> bool {
        self.lock().messages.iter().any(|said| said.input > after)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, input: Input) {
        let number = input.number;
        self.seen = number;
        let said = |text: String| Said { input: number, text };
        match input.kind {
            InputKind::Steer { text } => self.steers.push(said(text)),
            InputKind::Message { text } => self.messages.push(said(text)),
            InputKind::Answer { text } => self.answers.push(said(text)),
            InputKind::Approve { text } => {
                let approved = PlanApproved { input: number, text };
                self.judgements.push((number, Judgement::Approved(approved)));
            }
            InputKind::Reject { text } => {
                self.judgements.push((number, Judgement::Rejected(said(text))));
            }
            InputKind::Cancel => self.cancelled = true,
            InputKind::Pause { now } => {
                (self.paused, self.last_pause) = (Some(number), Some(number));
                self.paused_now = now;
            }
            InputKind::Resume => self.paused = None,
            InputKind::RaiseBudget { budget } => {
                self.paused = None;
                self.budget = Some(budget);
            }
        }
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

    async fn answer(&self, after: u64) -> Result<Option<Said>, ContractError> {
        Ok(self.answer_after(after))
    }

    async fn judgement(&self, after: u64) -> Result<Option<Judgement>, ContractError> {
        Ok(self.judgement_after(after))
    }

    fn newest(&self) -> u64 {
        self.lock().seen
    }

    fn stand_still(&self) -> Option<SuspendReason> {
        if self.is_cancelled() || self.ends() {
            return None;
        }
        if self.leaving.is_asked() {
            return Some(SuspendReason::WorkerLost);
        }
        // What was cut off by a pause stands still, although that was taken back meanwhile.
        let paused = self.lock().paused.is_some() || self.was_cut_off();
        paused.then_some(SuspendReason::Paused)
    }
}
