//! Where an attempt stands, what it may cost and has cost: the domain's own forms, described.
//!
//! These are sent as they are stored. The types here only describe them in the OpenAPI document.

use utoipa::ToSchema;

/// Where an attempt stands. A task stands where the attempt of its newest turn stands that most
/// needs a person.
#[derive(ToSchema)]
#[schema(as = State)]
#[allow(dead_code, reason = "describes what the domain serialises")]
pub(crate) struct StateSchema {
    /// `queued`, `preparing`, `working`, `waiting_for_user`, `waiting_for_approval`, `suspended` or
    /// `done`.
    #[schema(example = "done")]
    state: String,
    /// Of `suspended`: why, as `{"why": "budget", "limit": "cost"}`, `{"why": "paused"}`,
    /// `{"why": "quota"}`, `{"why": "worker_lost"}` or `{"why": "disk_full"}`.
    #[schema(required = false)]
    reason: Option<ReasonSchema>,
    /// Of `done`: how it ended.
    #[schema(required = false)]
    outcome: Option<OutcomeSchema>,
}

/// Why an attempt stands still.
#[derive(ToSchema)]
#[schema(as = SuspendReason)]
#[allow(dead_code, reason = "describes what the domain serialises")]
pub(crate) struct ReasonSchema {
    /// `budget`, `quota`, `paused`, `worker_lost` or `disk_full`.
    #[schema(example = "budget")]
    why: String,
    /// Of `budget`: `cost`, `tokens`, `model_calls` or `wall_time`.
    #[schema(required = false)]
    limit: Option<String>,
}

/// How an attempt ended.
#[derive(ToSchema)]
#[schema(as = Outcome)]
#[allow(dead_code, reason = "describes what the domain serialises")]
pub(crate) struct OutcomeSchema {
    /// `answered`, `changed`, `no_change`, `refused`, `cancelled` or `failed`.
    #[schema(example = "changed")]
    outcome: String,
    /// Of `refused`: the words of who refused.
    #[schema(required = false)]
    words: Option<String>,
    /// Of `failed`: the kind of failure, e.g. `setup_failed`.
    #[schema(required = false)]
    kind: Option<String>,
    /// Of `failed`: what happened.
    #[schema(required = false)]
    detail: Option<String>,
}

/// The limits of a turn; all its attempts share them. What is absent or `null` is no limit.
#[derive(ToSchema)]
#[schema(as = Budget)]
#[allow(dead_code, reason = "describes what the domain serialises")]
pub(crate) struct BudgetSchema {
    /// Millionths of a US dollar; counts where the model's price is known.
    #[schema(required = false, minimum = 1, maximum = 9_223_372_036_854_775_807_u64)]
    cost: Option<u64>,
    /// Input and output tokens together.
    #[schema(required = false, minimum = 1, maximum = 9_223_372_036_854_775_807_u64)]
    tokens: Option<u64>,
    /// Model calls.
    #[schema(required = false, minimum = 1)]
    model_calls: Option<u32>,
    /// Milliseconds at work.
    #[schema(required = false, minimum = 1, maximum = 9_223_372_036_854_775_807_u64)]
    wall_ms: Option<u64>,
}

/// What has been spent so far.
#[derive(ToSchema)]
#[schema(as = Spent)]
#[allow(dead_code, reason = "describes what the domain serialises")]
pub(crate) struct SpentSchema {
    /// Tokens.
    usage: UsageSchema,
    /// Millionths of a US dollar, where the price is known.
    cost: u64,
    /// Model calls that were answered.
    model_calls: u32,
    /// Milliseconds at work.
    wall_ms: u64,
}

/// Tokens, as the provider counted them.
#[derive(ToSchema)]
#[schema(as = Usage)]
#[allow(dead_code, reason = "describes what the domain serialises")]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(crate) struct UsageSchema {
    /// All input, cached included.
    input_tokens: u64,
    /// Those read from the provider's cache.
    cached_input_tokens: u64,
    /// Those written to it.
    cache_write_tokens: u64,
    /// All output, reasoning included.
    output_tokens: u64,
    /// Those that were reasoning.
    reasoning_tokens: u64,
}

/// The size of a change.
#[derive(ToSchema)]
#[schema(as = DiffStat)]
#[allow(dead_code, reason = "describes what the domain serialises")]
pub(crate) struct DiffStatSchema {
    /// Files changed.
    files: u32,
    /// Lines added.
    added: u64,
    /// Lines removed.
    removed: u64,
}
