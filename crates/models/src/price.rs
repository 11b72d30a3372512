//! Reads a price in dollars per million tokens, as the files have it, into exact money.

use quire_domain::budget::{MicroDollars, Price};
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InDollars {
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    output: f64,
    as_of: String,
    source: String,
}

/// Reads a price. Cached input costs as much as other input where nothing else is said, and so
/// does writing to the cache.
pub(crate) fn from_dollars<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Price>, D::Error> {
    let Some(price) = Option::<InDollars>::deserialize(deserializer)? else { return Ok(None) };
    let micro = |dollars: f64| {
        micro_dollars(dollars).ok_or_else(|| {
            serde::de::Error::custom(format!("{dollars} is not a price between 0 and 1,000,000"))
        })
    };
    Ok(Some(Price {
        input: micro(price.input)?,
        cached_input: micro(price.cached_input.unwrap_or(price.input))?,
        cache_write: micro(price.cache_write.unwrap_or(price.input))?,
        output: micro(price.output)?,
        as_of: price.as_of,
        source: price.source,
    }))
}

fn micro_dollars(dollars: f64) -> Option<MicroDollars> {
    if !(0.0..=1_000_000.0).contains(&dollars) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 10^12, checked above"
    )]
    Some(MicroDollars((dollars * 1_000_000.0).round() as u64))
}

/// What a provider that takes no money costs.
pub(crate) fn nothing() -> Price {
    Price {
        input: MicroDollars(0),
        cached_input: MicroDollars(0),
        cache_write: MicroDollars(0),
        output: MicroDollars(0),
        as_of: "2026-11-23".to_owned(),
        source: "runs on your own machine".to_owned(),
    }
}
