//! The turn's budget, shared by its attempts, also those in other processes.

use std::sync::Mutex;
use std::sync::PoisonError;

use quire_agent::Purse;
use quire_domain::budget::{Budget, BudgetLimit, MicroDollars, Spent, Usage};

/// A purse: what the others of the turn have spent is told to it now and then.
pub struct TurnPurse {
    state: Mutex<State>,
}

struct State {
    budget: Budget,
    others: Spent,
    added: Spent,
}

impl TurnPurse {
    /// A purse with this budget.
    pub fn new(budget: Budget) -> Self {
        Self {
            state: Mutex::new(State { budget, others: Spent::default(), added: Spent::default() }),
        }
    }

    /// Replaces the budget: a person raised it.
    pub fn set_budget(&self, budget: Budget) {
        self.lock().budget = budget;
    }

    /// Tells what all other attempts of the turn have spent by now.
    pub fn set_others(&self, others: Spent) {
        self.lock().others = others;
    }

    /// What this run has added since it began.
    pub fn added(&self) -> Spent {
        self.lock().added
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere leaves plain sums behind, which stay right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purse for TurnPurse {
    fn reached(&self, own: &Spent) -> Option<BudgetLimit> {
        let state = self.lock();
        state.budget.reached(&together(own, &state.others))
    }

    fn add(&self, usage: Usage, cost: Option<MicroDollars>) {
        let mut state = self.lock();
        state.added.usage = state.added.usage.plus(usage);
        state.added.cost.0 += cost.unwrap_or_default().0;
        state.added.model_calls += 1;
    }
}

/// Two attempts' spending: sums, but of the time at work the longer.
fn together(one: &Spent, other: &Spent) -> Spent {
    Spent {
        usage: one.usage.plus(other.usage),
        cost: MicroDollars(one.cost.0 + other.cost.0),
        model_calls: one.model_calls + other.model_calls,
        wall_ms: one.wall_ms.max(other.wall_ms),
    }
}

/// What is left of a turn's spending when one attempt's own is taken out; the longer time stays.
pub fn without(all: Spent, own: &Spent) -> Spent {
    Spent {
        usage: Usage {
            input_tokens: all.usage.input_tokens.saturating_sub(own.usage.input_tokens),
            cached_input_tokens: all
                .usage
                .cached_input_tokens
                .saturating_sub(own.usage.cached_input_tokens),
            cache_write_tokens: all
                .usage
                .cache_write_tokens
                .saturating_sub(own.usage.cache_write_tokens),
            output_tokens: all.usage.output_tokens.saturating_sub(own.usage.output_tokens),
            reasoning_tokens: all.usage.reasoning_tokens.saturating_sub(own.usage.reasoning_tokens),
        },
        cost: MicroDollars(all.cost.0.saturating_sub(own.cost.0)),
        model_calls: all.model_calls.saturating_sub(own.model_calls),
        wall_ms: all.wall_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_a_turn_spend_from_one_purse() {
        let purse = TurnPurse::new(Budget { model_calls: Some(10), ..Budget::default() });
        let own = Spent { model_calls: 4, ..Spent::default() };
        assert_eq!(purse.reached(&own), None);
        purse.set_others(Spent { model_calls: 6, ..Spent::default() });
        assert_eq!(purse.reached(&own), Some(BudgetLimit::ModelCalls));
        purse.set_budget(Budget { model_calls: Some(11), ..Budget::default() });
        assert_eq!(purse.reached(&own), None);
    }
}
