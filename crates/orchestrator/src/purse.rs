//! The turn's budget, shared by its attempts, also those in other processes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use quire_agent::Purse;
use quire_domain::budget::{Budget, BudgetLimit, MicroDollars, Spent, Usage};
use quire_domain::ids::{AttemptId, TurnId};

/// What each attempt of a turn that is at work in this process has spent.
type Together = Mutex<BTreeMap<AttemptId, Spent>>;

/// The turns that are at work in this process: their attempts see each other's spending at once.
#[derive(Clone, Default)]
pub struct Purses {
    turns: Arc<Mutex<BTreeMap<TurnId, Weak<Together>>>>,
}

impl Purses {
    /// The purse of one attempt.
    pub fn open(&self, turn: TurnId, attempt: AttemptId, budget: Budget) -> TurnPurse {
        let mut turns = lock(&self.turns);
        turns.retain(|_, together| together.strong_count() > 0);
        let together = turns.get(&turn).and_then(Weak::upgrade).unwrap_or_default();
        turns.insert(turn, Arc::downgrade(&together));
        let state = State { budget, others: Spent::default(), added: Spent::default() };
        TurnPurse { attempt, together, state: Mutex::new(state) }
    }
}

/// One attempt's purse: what those of the turn in other processes have spent is told to it now and
/// then.
pub struct TurnPurse {
    attempt: AttemptId,
    together: Arc<Together>,
    state: Mutex<State>,
}

struct State {
    budget: Budget,
    others: Spent,
    added: Spent,
}

impl TurnPurse {
    /// Replaces the budget: a person raised it.
    pub fn set_budget(&self, budget: Budget) {
        lock(&self.state).budget = budget;
    }

    /// Tells what all other attempts of the turn have spent by now, as far as the store knows.
    pub fn set_others(&self, others: Spent) {
        lock(&self.state).others = others;
    }

    /// What this run has added since it began.
    pub fn added(&self) -> Spent {
        lock(&self.state).added
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves plain sums behind, which stay right.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Purse for TurnPurse {
    fn reached(&self, own: &Spent) -> Option<BudgetLimit> {
        let here = {
            let mut together = lock(&self.together);
            together.insert(self.attempt, *own);
            let others = together.iter().filter(|(attempt, _)| **attempt != self.attempt);
            others.fold(Spent::default(), |sum, (_, spent)| self::together(&sum, spent))
        };
        let state = lock(&self.state);
        // The store is behind by a moment, and knows those of other processes.
        state.budget.reached(&together(own, &larger(&here, &state.others)))
    }

    fn add(&self, usage: Usage, cost: Option<MicroDollars>) {
        let mut state = lock(&self.state);
        state.added.usage = state.added.usage.plus(usage);
        state.added.cost.0 += cost.unwrap_or_default().0;
        state.added.model_calls += 1;
    }
}

/// Of two counts of the same spending the one that is further.
fn larger(one: &Spent, other: &Spent) -> Spent {
    let further = |spent: &Spent| (spent.model_calls, spent.usage.total_tokens());
    if further(one) >= further(other) { *one } else { *other }
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

    fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u8) -> T {
        format!("00000000-0000-7000-8000-{number:012}").parse().unwrap()
    }

    #[test]
    fn attempts_of_a_turn_spend_from_one_purse() {
        let calls = |count| Spent { model_calls: count, ..Spent::default() };
        let budget = |count| Budget { model_calls: Some(count), ..Budget::default() };
        let purses = Purses::default();
        let first = purses.open(id(1), id(1), budget(10));
        let second = purses.open(id(1), id(2), budget(10));
        let of_another_turn = purses.open(id(2), id(3), budget(10));
        assert_eq!(first.reached(&calls(4)), None);
        assert_eq!(second.reached(&calls(5)), None);
        assert_eq!(of_another_turn.reached(&calls(9)), None);
        assert_eq!(first.reached(&calls(5)), Some(BudgetLimit::ModelCalls));
        first.set_others(calls(9));
        assert_eq!(first.reached(&calls(1)), Some(BudgetLimit::ModelCalls));
        first.set_budget(budget(11));
        assert_eq!(first.reached(&calls(1)), None);
    }
}
