//! What one attempt has used, by model and day: a reading of its log, and what came since.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quire_domain::access::Owner;
use quire_domain::budget::{MicroDollars, Usage};
use quire_domain::event::{Event, EventBody};
use quire_domain::ids::{AttemptId, Epoch};
use quire_domain::quota::{Day, Month, Used};
use quire_domain::time::Timestamp;
use quire_store::{UsageRow, UsageSum};

type Sums = BTreeMap<(String, Day), UsageSum>;

/// The account of one attempt.
pub struct Account {
    pub(super) attempt: AttemptId,
    pub(super) epoch: Epoch,
    pub(super) owner: Owner,
    state: Mutex<State>,
}

struct State {
    sums: Sums,
    /// What the store knows of.
    written: Sums,
}

impl Account {
    pub(super) fn new(attempt: AttemptId, epoch: Epoch, owner: Owner, rows: Vec<UsageRow>) -> Self {
        let sums: Sums = rows.into_iter().map(|row| ((row.model, row.day), row.sum)).collect();
        // What was recorded before was written when its run ended; where that died before, this
        // one's end writes it.
        let state = State { written: sums.clone(), sums };
        Self { attempt, epoch, owner, state: Mutex::new(state) }
    }

    /// Counts a reply.
    pub(super) fn add(&self, model: &str, at: Timestamp, usage: Usage, cost: Option<MicroDollars>) {
        let mut state = self.state();
        let sum = state.sums.entry((model.to_owned(), Day::of(at))).or_default();
        count(sum, usage, cost, 1);
    }

    /// What came in `month` since the store was last told.
    pub(super) fn unwritten(&self, month: Month) -> Used {
        let state = self.state();
        let all = used_in(&state.sums, month);
        let written = used_in(&state.written, month);
        Used {
            cost: MicroDollars(all.cost.0.saturating_sub(written.cost.0)),
            tokens: all.tokens.saturating_sub(written.tokens),
        }
    }

    /// The rows as they stand, where the store does not know them.
    pub(super) fn to_write(&self) -> Option<Vec<UsageRow>> {
        let state = self.state();
        (state.sums != state.written).then(|| rows(&state.sums))
    }

    /// The store knows these by now.
    pub(super) fn wrote(&self, rows: Vec<UsageRow>) {
        self.state().written =
            rows.into_iter().map(|row| ((row.model, row.day), row.sum)).collect();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves plain sums behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a log says was used. A reply counts on the day it was written down.
pub fn usage_of(log: &[Event]) -> Vec<UsageRow> {
    let mut sums = Sums::new();
    let mut asked = "";
    for event in log {
        match &event.body {
            EventBody::ModelRequested(requested) => asked = &requested.model,
            EventBody::ModelReplied(replied) => {
                let model = replied.stand_in.as_ref().map_or(asked, |other| other.model.as_str());
                let sum = sums.entry((model.to_owned(), Day::of(event.at))).or_default();
                count(sum, replied.reply.usage, replied.cost, 1);
            }
            EventBody::Compacted(compacted) if compacted.spent.model_calls > 0 => {
                let model = if compacted.model.is_empty() { asked } else { &compacted.model };
                let sum = sums.entry((model.to_owned(), Day::of(event.at))).or_default();
                let spent = &compacted.spent;
                // Its price is not told apart from none; what cost nothing had none.
                let cost = Some(spent.cost).filter(|cost| cost.0 > 0);
                count(sum, spent.usage, cost, u64::from(spent.model_calls));
            }
            _ => {}
        }
    }
    rows(&sums)
}

fn count(sum: &mut UsageSum, usage: Usage, cost: Option<MicroDollars>, calls: u64) {
    sum.calls += calls;
    sum.input_tokens += usage.input_tokens;
    sum.cached_tokens += usage.cached_input_tokens;
    sum.output_tokens += usage.output_tokens;
    sum.cost.0 += cost.unwrap_or_default().0;
    sum.unpriced += if cost.is_none() { calls } else { 0 };
}

fn rows(sums: &Sums) -> Vec<UsageRow> {
    let row = |((model, day), sum): (&(String, Day), &UsageSum)| UsageRow {
        model: model.clone(),
        day: *day,
        sum: *sum,
    };
    sums.iter().map(row).collect()
}

fn used_in(sums: &Sums, month: Month) -> Used {
    let (from, until) = (month.first_day(), month.next().first_day());
    let within = sums.iter().filter(|((_, day), _)| (from..until).contains(day));
    within.fold(Used::default(), |used, (_, sum)| Used {
        cost: MicroDollars(used.cost.0 + sum.cost.0),
        tokens: used.tokens + sum.input_tokens + sum.output_tokens,
    })
}
