//! Points in time, as people type and read them: in UTC, or as how long ago.

use quire_domain::quota::{Day, Month};
use quire_domain::time::{Clock, Timestamp};

use crate::installation::WallClock;

/// Reads `2026-11-24`, `2026-11-24T09:30`, `2026-11-24 09:30:15`, each in UTC and with a `Z` behind
/// it or not, or how long ago it was: `30m`, `12h`, `7d`.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    ago(text, WallClock.now())
        .or_else(|| date(text.strip_suffix('Z').unwrap_or(text)))
        .ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!("`{text}` is no time: write 2026-11-24, 2026-11-24T09:30 (UTC), or how long ago, as 12h or 7d")
        })
}

/// As people and spreadsheets read it, to the second.
pub fn shown(at: Timestamp) -> String {
    let second = at.0 / 1_000 % 86_400;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{} {hour:02}:{minute:02}:{second:02}", Day::of(at))
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let unit = match text.chars().last()? {
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    let count = number(&text[..text.len() - 1], 1..=6)?;
    Some(Timestamp(now.0.saturating_sub(count * unit)))
}

fn date(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let (month, day) = date.rsplit_once('-')?;
    let (month, day) = (Month::parse(month).ok()?, number(day, 2..=2)?);
    let first = month.first_day().begins().0;
    let at = first + day.checked_sub(1)? * 86_400_000;
    // The 30th of February is in March.
    if Month::of(Timestamp(at)) != month {
        return None;
    }
    let mut parts = clock.split(':').map(|part| number(part, 2..=2));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if hour > 23 || minute > 59 || second > 59 || parts.next().is_some() {
        return None;
    }
    Some(Timestamp(at + (hour * 3_600 + minute * 60 + second) * 1_000))
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u64> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    (all && digits.contains(&text.len())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_shown_and_nonsense_is_refused() {
        for (text, read) in [
            ("2026-11-24", "2026-11-24 00:00:00"),
            ("2026-11-24T09:30Z", "2026-11-24 09:30:00"),
            ("2028-02-29 23:59:59", "2028-02-29 23:59:59"),
        ] {
            assert_eq!(parse(text).map(shown).unwrap(), read);
        }
        assert_eq!(ago("2h", Timestamp(7_200_001)), Some(Timestamp(1)));
        for text in [
            "",
            "d",
            "7x",
            "é",
            "9999999d",
            "2026-02-30",
            "2026-13-01",
            "2026-1-1",
            "2026-11-00",
            "2026-11-24T24:00",
            "2026-11-24T09",
            "2026-11-24T09:30:15:1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
