//! What an attempt may cost, what it has cost, and the price it is counted by.

use serde::{Deserialize, Serialize};

/// What one or more model calls used, in tokens, as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: u64,
    /// Those of the input that were read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Those of the input that were written to the provider's cache, where it charges for that.
    pub cache_write_tokens: u64,
    /// All output tokens, reasoning included.
    pub output_tokens: u64,
    /// Those of the output that were reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens + other.input_tokens,
            cached_input_tokens: self.cached_input_tokens + other.cached_input_tokens,
            cache_write_tokens: self.cache_write_tokens + other.cache_write_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            reasoning_tokens: self.reasoning_tokens + other.reasoning_tokens,
        }
    }

    /// Input and output together: what a token budget counts.
    pub fn total_tokens(self) -> u64 {
        self.input_tokens + self.output_tokens
    }
}

/// Money, in millionths of a US dollar, so that sums are exact.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, Hash,
)]
#[serde(transparent)]
pub struct MicroDollars(pub u64);

impl std::fmt::Display for MicroDollars {
    /// Dollars with as many decimals as matter: at least two, at most six.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        let trimmed = text.trim_end_matches('0');
        let decimals = trimmed.len() - trimmed.find('.').map_or(trimmed.len(), |dot| dot + 1);
        let end = trimmed.len() + 2usize.saturating_sub(decimals);
        write!(f, "${}", &text[..end])
    }
}

/// What a model costs, in millionths of a dollar per million tokens. Dated and sourced, as
/// prices change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Input that was not cached.
    pub input: MicroDollars,
    /// Input read from the cache.
    pub cached_input: MicroDollars,
    /// Input written to the cache; as `input` where the provider does not charge for it.
    pub cache_write: MicroDollars,
    /// Output.
    pub output: MicroDollars,
    /// The day the price was read, `YYYY-MM-DD`.
    pub as_of: String,
    /// Where it was read.
    pub source: String,
}

impl Price {
    /// The cost of `usage`, rounded up to a millionth of a dollar once, on the sum.
    pub fn cost(&self, usage: Usage) -> MicroDollars {
        let plain = usage
            .input_tokens
            .saturating_sub(usage.cached_input_tokens)
            .saturating_sub(usage.cache_write_tokens);
        let parts = [
            (plain, self.input),
            (usage.cached_input_tokens, self.cached_input),
            (usage.cache_write_tokens, self.cache_write),
            (usage.output_tokens, self.output),
        ];
        let sum: u128 =
            parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(price.0)).sum();
        MicroDollars(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// The limits of a turn; `None` is no limit of that kind. All attempts of the turn share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Money. Counts only where the model's price is known.
    pub cost: Option<MicroDollars>,
    /// Input and output tokens together.
    pub tokens: Option<u64>,
    /// Model calls.
    pub model_calls: Option<u32>,
    /// Wall-clock time at work, in milliseconds.
    pub wall_ms: Option<u64>,
}

/// What has been spent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Tokens.
    pub usage: Usage,
    /// Money, where the price is known.
    pub cost: MicroDollars,
    /// Model calls that were answered.
    pub model_calls: u32,
    /// Wall-clock time at work, in milliseconds.
    pub wall_ms: u64,
}

/// The limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetLimit {
    /// Money.
    Cost,
    /// Tokens.
    Tokens,
    /// Model calls.
    ModelCalls,
    /// Wall-clock time.
    WallTime,
}

impl std::fmt::Display for BudgetLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cost => "money",
            Self::Tokens => "tokens",
            Self::ModelCalls => "model calls",
            Self::WallTime => "time",
        })
    }
}

impl Budget {
    /// The first limit that `spent` has reached, if any.
    pub fn reached(&self, spent: &Spent) -> Option<BudgetLimit> {
        let over = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value >= limit);
        if over(self.cost.map(|c| c.0), spent.cost.0) {
            Some(BudgetLimit::Cost)
        } else if over(self.tokens, spent.usage.total_tokens()) {
            Some(BudgetLimit::Tokens)
        } else if over(self.model_calls.map(u64::from), u64::from(spent.model_calls)) {
            Some(BudgetLimit::ModelCalls)
        } else if over(self.wall_ms, spent.wall_ms) {
            Some(BudgetLimit::WallTime)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_counts_cached_input_at_its_own_price() {
        let price = Price {
            input: MicroDollars(1_500_000),
            cached_input: MicroDollars(375_000),
            cache_write: MicroDollars(1_500_000),
            output: MicroDollars(6_000_000),
            as_of: "2025-05-16".to_owned(),
            source: "announcement".to_owned(),
        };
        let usage = Usage {
            input_tokens: 1_000_000,
            cached_input_tokens: 600_000,
            output_tokens: 100_000,
            ..Usage::default()
        };
        assert_eq!(price.cost(usage), MicroDollars(1_425_000));
        assert_eq!(price.cost(usage).to_string(), "$1.425");
    }

    #[test]
    fn money_prints_with_two_to_six_decimals() {
        for (micros, text) in
            [(0, "$0.00"), (1, "$0.000001"), (1_500_000, "$1.50"), (12_000_000, "$12.00")]
        {
            assert_eq!(MicroDollars(micros).to_string(), text);
        }
    }

    #[test]
    fn a_budget_names_the_limit_that_was_reached() {
        let budget = Budget { model_calls: Some(2), ..Budget::default() };
        assert_eq!(budget.reached(&Spent { model_calls: 1, ..Spent::default() }), None);
        assert_eq!(
            budget.reached(&Spent { model_calls: 2, ..Spent::default() }),
            Some(BudgetLimit::ModelCalls)
        );
    }
}
