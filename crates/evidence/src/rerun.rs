//! Compares a cited command with two repetitions of it.

use quire_domain::sandbox::ExitStatus;

/// One run of a command: how it ended, and the cited lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How it ended; `None` at its time limit.
    pub exit: Option<ExitStatus>,
    /// The cited lines, by number from 1; a line that is not there is `None`.
    pub lines: Vec<(u32, Option<String>)>,
}

/// What repeating a cited command showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RerunVerdict {
    /// Both repetitions gave the same exit status and the same lines.
    Reproduced {
        /// Whether times and durations differ, and only those.
        times_differ: bool,
    },
    /// Both agree with each other and not with what was recorded.
    Differs {
        /// The first difference.
        what: Difference,
    },
    /// The repetitions differ from each other, or could not be made.
    NotRepeatable {
        /// Why, for the person.
        why: String,
    },
    /// It was cited for a state before the last change, and is not repeated.
    Earlier,
}

impl RerunVerdict {
    /// The word shown to people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Reproduced { .. } => "reproduced",
            Self::Differs { .. } => "differs",
            Self::NotRepeatable { .. } => "not repeatable",
            Self::Earlier => "earlier",
        }
    }
}

/// Where two runs differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The exit status.
    Exit {
        /// In the first run.
        was: Option<ExitStatus>,
        /// In the other.
        is: Option<ExitStatus>,
    },
    /// A line.
    Line {
        /// Its number, from 1.
        number: u32,
        /// In the first run.
        was: Option<String>,
        /// In the other.
        is: Option<String>,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exit = |exit: &Option<ExitStatus>| match exit {
            Some(ExitStatus::Code(code)) => format!("exit {code}"),
            Some(ExitStatus::Signal(signal)) => format!("signal {signal}"),
            None => "the time limit".to_owned(),
        };
        let line = |line: &Option<String>| match line {
            Some(line) => format!("`{line}`"),
            None => "no such line".to_owned(),
        };
        match self {
            Self::Exit { was, is } => write!(f, "{} became {}", exit(was), exit(is)),
            Self::Line { number, was, is } => {
                write!(f, "line {number}: {} became {}", line(was), line(is))
            }
        }
    }
}

/// What two repetitions at the final commit say about the recorded run. Times and durations in
/// the lines are not compared: a test runner prints others each time.
pub fn compare(original: &Run, first: &Run, second: &Run) -> RerunVerdict {
    if let Some(what) = difference(first, second) {
        return RerunVerdict::NotRepeatable { why: format!("two repetitions differ: {what}") };
    }
    match difference(original, first) {
        Some(what) => RerunVerdict::Differs { what },
        None => RerunVerdict::Reproduced {
            times_differ: original.lines != first.lines || first.lines != second.lines,
        },
    }
}

/// The first difference that is more than a time.
fn difference(a: &Run, b: &Run) -> Option<Difference> {
    if a.exit != b.exit {
        return Some(Difference::Exit { was: a.exit, is: b.exit });
    }
    a.lines.iter().find_map(|(number, was)| {
        let is =
            b.lines.iter().find(|(other, _)| other == number).and_then(|(_, line)| line.clone());
        let same = match (was, &is) {
            (Some(was), Some(is)) => was == is || without_times(was) == without_times(is),
            (was, is) => was == is,
        };
        (!same).then(|| Difference::Line { number: *number, was: was.clone(), is })
    })
}

/// A line with `…` for each duration (`0.12s`, `3 ms`), time of day (`10:05:00`) and date.
fn without_times(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let end = from
            .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',' | ':' | '-'))
            .unwrap_or(from.len());
        let number = from[..end].trim_end_matches(['.', ',', ':', '-']);
        let after = &from[number.len()..];
        out.push_str(before);
        // Digits inside a word (`sha256`, `v1.2s`) are no time.
        let in_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if let Some(after_unit) = unit(after).filter(|_| plain && !in_word) {
            out.push('…');
            rest = after_unit;
        } else {
            out.push_str(if in_word || !is_clock(number) { number } else { "…" });
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// What follows a unit of time that stands at the start.
fn unit(text: &str) -> Option<&str> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let units = [
        "ns", "us", "µs", "μs", "ms", "s", "sec", "secs", "second", "seconds", "m", "min", "mins",
        "minute", "minutes", "h",
    ];
    units.contains(&&text[..end]).then(|| &text[end..])
}

/// Whether this is `10:05`, `10:05:00.123` or `2024-01-31`.
fn is_clock(number: &str) -> bool {
    let parts = |sign: char| -> Vec<usize> { number.split(sign).map(str::len).collect() };
    match parts(':').as_slice() {
        [1 | 2, 2] => return true,
        [1 | 2, 2, seconds] => return *seconds >= 2,
        _ => {}
    }
    parts('-') == [4, 2, 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: i32, lines: &[&str]) -> Run {
        let lines = (1..).zip(lines).map(|(n, line)| (n, Some((*line).to_owned()))).collect();
        Run { exit: Some(ExitStatus::Code(code)), lines }
    }

    #[test]
    fn two_equal_repetitions_reproduce_or_contradict_what_was_recorded() {
        let green = run(0, &["3 passed"]);
        assert_eq!(
            compare(&green, &green, &green),
            RerunVerdict::Reproduced { times_differ: false }
        );
        let red = run(1, &["3 passed"]);
        assert_eq!(
            compare(&green, &red, &red),
            RerunVerdict::Differs { what: Difference::Exit { was: green.exit, is: red.exit } }
        );
        let fewer = run(0, &["2 passed"]);
        let verdict = compare(&green, &fewer, &fewer);
        assert_eq!(verdict.word(), "differs");
        let RerunVerdict::Differs { what } = verdict else { panic!("{verdict:?}") };
        assert_eq!(what.to_string(), "line 1: `3 passed` became `2 passed`");
        let none = Run { lines: vec![(1, None)], ..green.clone() };
        assert_eq!(compare(&green, &none, &none).word(), "differs");
    }

    #[test]
    fn repetitions_that_disagree_prove_nothing() {
        let (a, b) = (run(0, &["seed 17"]), run(0, &["seed 18"]));
        assert_eq!(compare(&a, &a, &b).word(), "not repeatable");
        let late = Run { exit: None, ..a.clone() };
        assert_eq!(compare(&a, &a, &late).word(), "not repeatable");
    }

    #[test]
    fn durations_and_clocks_may_differ_and_counts_may_not() {
        let same = |a: &str, b: &str| without_times(a) == without_times(b);
        assert!(same("=== 3 passed in 0.12s ===", "=== 3 passed in 1.04s ==="));
        assert!(same("ok  pkg  0.003s", "ok  pkg  0.1s"));
        assert!(same("finished in 3 ms at 10:05:59.1", "finished in 12 ms at 9:00:00.25"));
        assert!(same("2024-01-31 a", "2025-02-01 a"));
        for (a, b) in [
            ("3 passed in 1s", "4 passed in 1s"),
            ("sha256", "sha512"),
            ("version 1.2.3", "version 1.2.4"),
            ("3 files", "4 files"),
            ("v1s", "v2s"),
            ("1:2", "1:3"),
        ] {
            assert!(!same(a, b), "{a} / {b}");
        }
        assert_eq!(
            compare(&run(0, &["ok 0.1s"]), &run(0, &["ok 0.2s"]), &run(0, &["ok 0.2s"])),
            RerunVerdict::Reproduced { times_differ: true }
        );
    }
}
