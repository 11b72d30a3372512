//! What a server, a team or a person may have at work at once and spend in a month. Months are
//! those of UTC.

use serde::{Deserialize, Serialize};

use crate::budget::MicroDollars;
use crate::ids::{TeamId, UserId};
use crate::time::Timestamp;

/// The length of a day of UTC, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// The limits of one subject; `None` is no limit of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Attempts at work at once; 0 lets nobody begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Money in a month. Counts only where the model's price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month_cost: Option<MicroDollars>,
    /// Input and output tokens together in a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month_tokens: Option<u64>,
}

/// Whose limits they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The whole installation.
    Server,
    /// All tasks of a team.
    Team(TeamId),
    /// All tasks of a person, in whichever team.
    User(UserId),
}

/// What was used in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Money, where the price is known.
    pub cost: MicroDollars,
    /// Input and output tokens.
    pub tokens: u64,
}

/// A limit of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonthLimit {
    /// Of money.
    Cost(MicroDollars),
    /// Of tokens.
    Tokens(u64),
}

/// A day of UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u32);

/// A month of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    /// The year.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
}

/// A month is written `YYYY-MM`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month: write YYYY-MM, e.g. 2026-11")]
pub struct BadMonth(pub String);

impl Quota {
    /// Whether it limits nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The first limit of a month that `used` has reached.
    pub fn reached(&self, used: &Used) -> Option<MonthLimit> {
        let cost = self.month_cost.filter(|limit| used.cost >= *limit).map(MonthLimit::Cost);
        cost.or_else(|| {
            self.month_tokens.filter(|limit| used.tokens >= *limit).map(MonthLimit::Tokens)
        })
    }
}

impl Subject {
    /// The key it is stored under: `server`, or the id in hex.
    pub fn key(&self) -> String {
        match self {
            Self::Server => "server".to_owned(),
            Self::Team(id) => id.0.simple().to_string(),
            Self::User(id) => id.0.simple().to_string(),
        }
    }
}

impl std::fmt::Display for MonthLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cost(limit) => write!(f, "{limit}"),
            Self::Tokens(limit) => write!(f, "{limit} tokens"),
        }
    }
}

impl Day {
    /// The day of a point in time.
    pub fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.0 / DAY_MS).unwrap_or(u32::MAX))
    }

    /// Its first moment.
    pub fn begins(self) -> Timestamp {
        Timestamp(u64::from(self.0) * DAY_MS)
    }

    /// Year, month and day, by the algorithm "civil from days" of Howard Hinnant.
    pub fn date(self) -> (u32, u32, u32) {
        // Days since 0000-03-01, and eras of 400 years.
        let days = u64::from(self.0) + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + era * 400 + u64::from(month <= 2);
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        (small(year), small(month), small(day))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl Month {
    /// The month of a point in time.
    pub fn of(at: Timestamp) -> Self {
        let (year, month, _) = Day::of(at).date();
        Self { year, month }
    }

    /// Reads `YYYY-MM`, from 1970-01 to 9999-12.
    ///
    /// # Errors
    ///
    /// [`BadMonth`] for anything else.
    pub fn parse(text: &str) -> Result<Self, BadMonth> {
        let bad = || BadMonth(text.chars().take(32).collect());
        let (year, month) = text.split_once('-').ok_or_else(bad)?;
        let digits =
            |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(bad());
        }
        let (year, month) = (year.parse().map_err(|_| bad())?, month.parse().map_err(|_| bad())?);
        if year < 1970 || !(1..=12).contains(&month) {
            return Err(bad());
        }
        Ok(Self { year, month })
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 {
            Self { year: self.year + 1, month: 1 }
        } else {
            Self { month: self.month + 1, ..self }
        }
    }

    /// Its first day, by "days from civil" of Howard Hinnant.
    pub fn first_day(self) -> Day {
        let year = u64::from(self.year) - u64::from(self.month <= 2);
        let shifted = u64::from(if self.month > 2 { self.month - 3 } else { self.month + 9 });
        let (era, of_era) = (year / 400, year % 400);
        let of_year = (153 * shifted + 2) / 5;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        Day(u32::try_from(days.saturating_sub(719_468)).unwrap_or(u32::MAX))
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (day, text) in [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29")] {
            assert_eq!(Day(day).to_string(), text);
        }
        assert_eq!(Month::parse("2026-11").unwrap().first_day().to_string(), "2026-11-01");
        for text in ["2026", "2026-13", "1969-12", "2026-1", "+026-01", "２０２６-01"] {
            assert!(Month::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_month_begins_on_its_first_and_ends_before_the_next(day in 0..2_000_000_u32) {
            let month = Month::of(Day(day).begins());
            prop_assert!(month.first_day() <= Day(day) && Day(day) < month.next().first_day());
            prop_assert_eq!(month.first_day().date().2, 1);
            prop_assert_eq!(Month::of(Timestamp(month.next().first_day().begins().0 - 1)), month);
        }
    }

    #[test]
    fn money_is_named_before_tokens_and_a_limit_is_reached_when_it_is_met() {
        let quota = Quota {
            month_cost: Some(MicroDollars(100)),
            month_tokens: Some(10),
            ..Quota::default()
        };
        let used = |cost, tokens| Used { cost: MicroDollars(cost), tokens };
        assert_eq!(quota.reached(&used(99, 9)), None);
        assert_eq!(quota.reached(&used(99, 10)), Some(MonthLimit::Tokens(10)));
        assert_eq!(quota.reached(&used(100, 10)), Some(MonthLimit::Cost(MicroDollars(100))));
    }
}
