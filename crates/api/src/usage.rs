//! What models were used, and what may be used.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which usage, added up by what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// What to add up by; `day` where nothing is named.
    #[param(inline)]
    pub by: UsageBy,
    /// A month of UTC, `YYYY-MM`; this one where none is named.
    #[param(max_length = 7)]
    pub month: Option<String>,
    /// Only of this team, by name or id.
    pub team: Option<String>,
}

/// What usage is added up by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// Days of UTC.
    #[default]
    Day,
    /// People.
    Person,
    /// Teams.
    Team,
    /// Repositories.
    Repository,
    /// Models.
    Model,
}

/// A line of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageLine {
    /// The day, the name, the place of the repository, or the model.
    pub key: String,
    /// Calls that were answered.
    pub calls: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Those of the input that were read from a provider's cache.
    pub cached_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Money in millionths of a dollar, where the price is known.
    pub micro_dollars: u64,
    /// Calls whose price is not known.
    pub unpriced_calls: u64,
}

/// What was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageList {
    /// The month.
    pub month: String,
    /// Days in order, else the most expensive first.
    pub lines: Vec<UsageLine>,
}

/// Limits; absent is no limit of that kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Attempts at work at once; 0 lets nobody begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Money in a month, in millionths of a dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9_223_372_036_854_775_807_u64)]
    pub month_micro_dollars: Option<u64>,
    /// Input and output tokens in a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 9_223_372_036_854_775_807_u64)]
    pub month_tokens: Option<u64>,
}

/// The limits of one subject, and what is used of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUsed {
    /// `server`, `team` or `user`.
    #[schema(example = "team")]
    pub whose: String,
    /// The name of the team or of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The limits.
    pub quota: Quota,
    /// Money used this month, in millionths of a dollar, where the price is known.
    pub used_micro_dollars: u64,
    /// Tokens used this month.
    pub used_tokens: u64,
    /// When the next month begins, in milliseconds since 1970.
    pub resets_at: u64,
}

/// Limits that somebody set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaList {
    /// The limits.
    pub quotas: Vec<QuotaUsed>,
}
