//! One row of the list: its name, how it is tried, and what is expected.

use std::collections::BTreeMap;
use std::time::Duration;

use quire_domain::sandbox::SandboxUser;

use crate::again::{self, say};
use crate::stand::{self, Ran, Stand};

/// One row.
#[derive(Clone)]
pub struct Row {
    /// As in the list of vectors.
    pub name: &'static str,
    pub how: How,
    pub expected: Expected,
    /// What is expected of a setup sandbox, where that differs.
    pub setup: Option<Expected>,
    /// How it is tried on the bare host.
    pub bare: Bare,
    /// Whether it uses a sandbox up.
    pub alone: bool,
}

/// How it is tried.
#[derive(Clone)]
pub enum How {
    /// By `quire-trial` with these arguments.
    Trial(Vec<String>),
    /// By a shell.
    Script(&'static str),
}

/// What is expected.
#[derive(Clone)]
pub enum Expected {
    /// Refused with one of these error numbers.
    Refused(&'static [i32]),
    /// Refused with any: it is absent, closed, masked or empty.
    Closed,
    /// Refused at once, by the network that is not there.
    Unreachable,
    /// Allowed.
    Allowed,
    /// Allowed, with this for detail.
    Gives(&'static str),
    /// Prints just this.
    Prints(&'static str),
    /// Something stopped it below the bound: `allowed HAD ERRNO`.
    StoppedBelow(u64),
    /// Not asked, and why.
    Skipped(&'static str),
    /// Whatever the function says is wrong with it.
    Judged(fn(&Ran) -> Option<String>),
}

/// How it is tried on the bare host: there it must not be as expected in a sandbox.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    /// Not at all.
    Never,
    /// Just so: it changes nothing.
    Harmless,
    /// Just so where root runs the tests: others are refused it anyway.
    AsRoot,
    /// In namespaces of its own.
    Apart,
}

/// What the filter answers with.
pub const BY_FILTER: &[i32] = &[libc::EPERM, libc::ENOSYS];

/// What the kernel or the filter answers with for want of a right.
pub const NO_RIGHT: &[i32] = &[libc::EPERM, libc::EACCES, libc::ENOSYS];

/// A row that `quire-trial` tries and that is refused by the filter.
pub fn trial(name: &'static str, arguments: &str) -> Row {
    let arguments = arguments.split(' ').map(str::to_owned).collect();
    let expected = Expected::Refused(BY_FILTER);
    let how = How::Trial(arguments);
    Row { name, how, expected, setup: None, bare: Bare::Never, alone: false }
}

/// A row that a shell tries.
pub fn script(name: &'static str, script: &'static str, expected: Expected) -> Row {
    let how = How::Script(script);
    Row { name, how, expected, setup: None, bare: Bare::Never, alone: false }
}

impl Row {
    pub fn expect(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    pub fn in_setup(mut self, expected: Expected) -> Self {
        self.setup = Some(expected);
        self
    }

    pub fn bare(mut self, bare: Bare) -> Self {
        self.bare = bare;
        self
    }

    /// In a sandbox of its own, which it uses up.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    pub fn command(&self, stand: &Stand) -> quire_domain::sandbox::Command {
        match &self.how {
            How::Trial(arguments) => {
                let filled: Vec<_> =
                    arguments.iter().map(|argument| stand.fill_in(argument)).collect();
                let words = std::iter::once("quire-trial");
                let words: Vec<_> = words.chain(filled.iter().map(String::as_str)).collect();
                stand::command(&words)
            }
            How::Script(script) => stand::sh(&stand.fill_in(script)),
        }
    }
}

/// What is wrong with what was seen; `None` if it is as expected.
pub fn judge(expected: &Expected, ran: &Ran) -> Option<String> {
    let said = ran.output.trim();
    let refused = said.strip_prefix("refused ").map(|rest| {
        let number = rest.split(' ').next().unwrap_or_default();
        number.parse::<i32>().unwrap_or(-1)
    });
    let allowed = said.strip_prefix("allowed").map(str::trim);
    let as_expected = match expected {
        Expected::Refused(numbers) => refused.is_some_and(|number| numbers.contains(&number)),
        Expected::Closed => refused.is_some(),
        Expected::Unreachable => {
            let numbers = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::ECONNREFUSED];
            refused.is_some_and(|number| numbers.contains(&number))
                && ran.took < Duration::from_secs(2)
        }
        Expected::Allowed => allowed.is_some(),
        Expected::Gives(detail) => allowed == Some(detail),
        Expected::Prints(text) => said == *text && ran.end.is_ok(),
        Expected::StoppedBelow(bound) => allowed.is_some_and(|detail| {
            let mut numbers = detail.split(' ').map(|number| number.parse::<u64>().unwrap_or(0));
            numbers.next().is_some_and(|had| had <= *bound) && numbers.next() > Some(0)
        }),
        Expected::Skipped(_) => true,
        Expected::Judged(judge) => return judge(ran),
    };
    let wanted = match expected {
        Expected::Refused(numbers) => format!("a refusal with one of {numbers:?}"),
        Expected::Closed => "any refusal".to_owned(),
        Expected::Unreachable => "a network that is not there, at once".to_owned(),
        Expected::Allowed => "`allowed`".to_owned(),
        Expected::Gives(detail) => format!("`allowed {detail}`"),
        Expected::Prints(text) => format!("`{text}`"),
        Expected::StoppedBelow(bound) => format!("to be stopped at {bound} or before"),
        Expected::Skipped(_) | Expected::Judged(_) => String::new(),
    };
    (!as_expected).then(|| format!("expected {wanted}, saw `{said}` ({:?})", ran.end))
}

/// Tries all rows in sandboxes for `user`; one line for each that is not as expected.
pub async fn try_all(stand: &Stand, kind: &str, user: SandboxUser, rows: &[Row]) -> Vec<String> {
    let who = if again::is_root() { "root" } else { "user" };
    let mut failed = Vec::new();
    let mut skipped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut shared = stand.create(stand.spec(kind, user)).await;
    for (index, row) in rows.iter().enumerate() {
        let setup = row.setup.as_ref().filter(|_| user == SandboxUser::SetupRoot);
        let expected = setup.unwrap_or(&row.expected);
        if let Expected::Skipped(why) = expected {
            skipped.entry(why).or_default().push(row.name);
            continue;
        }
        let ran = if row.alone {
            let spec = stand.spec(&format!("{kind}-{index}"), user);
            let sandbox = stand.create(spec).await;
            let ran = stand::run(&sandbox, row.command(stand)).await;
            let _ = sandbox.end().await;
            ran
        } else {
            stand::run(&shared, row.command(stand)).await
        };
        if !row.alone && ran.end.is_err() {
            let _ = shared.end().await;
            shared = stand.create(stand.spec(&format!("{kind}-after-{index}"), user)).await;
        }
        if ran.took > Duration::from_secs(2) {
            say(&format!(
                "  slow: {} ({who}, {kind}) took {:.1} s",
                row.name,
                ran.took.as_secs_f32()
            ));
        }
        if let Some(what) = judge(expected, &ran) {
            failed.push(format!("{} ({who}, {kind}): {what}", row.name));
        }
    }
    shared.end().await.unwrap();
    for (why, names) in &skipped {
        say(&format!("  skipped: {why}: {}", names.join(", ")));
    }
    let left_out: usize = skipped.values().map(Vec::len).sum();
    let held = rows.len() - failed.len() - left_out;
    say(&format!("  {who}, {kind}: {held} rows held, {} failed, {left_out} skipped", failed.len()));
    for line in &failed {
        say(&format!("  FAILED {line}"));
    }
    failed
}
