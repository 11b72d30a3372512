//! How far a viewer of a task has come: `attempt:seq` for each attempt.

use std::fmt;

use quire_domain::ids::AttemptId;

/// The last event that was seen of each attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position(Vec<(AttemptId, u64)>);

/// A turn has no more attempts than this, and a viewer is seldom between two turns.
const MOST: usize = 32;

impl Position {
    /// Reads `attempt:seq` pairs, separated by commas; `None` for what is no position.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (attempt, seq) = pair.split_once(':')?;
            if found.0.len() == MOST {
                return None;
            }
            found.reached(attempt.parse().ok()?, seq.parse().ok()?);
        }
        Some(found)
    }

    /// The last event seen of an attempt, if it is named.
    pub(crate) fn of(&self, attempt: AttemptId) -> Option<u64> {
        self.0.iter().find(|one| one.0 == attempt).map(|one| one.1)
    }

    /// Notes an event as seen; never goes back.
    pub(crate) fn reached(&mut self, attempt: AttemptId, seq: u64) {
        match self.0.iter_mut().find(|one| one.0 == attempt) {
            Some(one) => one.1 = one.1.max(seq),
            None => self.0.push((attempt, seq)),
        }
    }

    /// Takes over what another has beyond this.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (attempt, seq) in &other.0 {
            self.reached(*attempt, *seq);
        }
    }

    /// The attempts that are named.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = AttemptId> {
        self.0.iter().map(|one| one.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (attempt, seq)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{attempt}:{seq}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written_and_of_two_the_further_one_counts() {
        let one = "01890000-0000-7000-8000-000000000001";
        let other = "01890000-0000-7000-8000-000000000002";
        let text = format!("{one}:5,{other}:7");
        let mut position = Position::parse(&text).unwrap();
        assert_eq!(position.to_string(), text);
        position.merge(&Position::parse(&format!("{one}:9,{other}:1")).unwrap());
        assert_eq!(position.to_string(), format!("{one}:9,{other}:7"));
        for wrong in ["7", "x:7", &format!("{one}:-1"), &format!("{one}:"), &format!("{one}:5:6")] {
            assert_eq!(Position::parse(wrong), None, "{wrong}");
        }
    }
}
