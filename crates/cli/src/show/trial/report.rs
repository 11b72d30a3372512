//! The end of a trial: how it ended, what its snapshot hangs on, how long each part took, what the
//! layers hold, and what to do where it failed.

use std::fmt::Write as _;

use quire_domain::attempt::{FailureKind, Outcome};
use quire_domain::event::{BaseCaptured, CheckFinished, Event, EventBody, PhaseFinished};
use quire_domain::sandbox::ExitStatus;
use quire_orchestrator::life::trial::{LayerSize, Looked, SnapshotWord};
use quire_orchestrator::resolution::Resolved;
use serde_json::{Value, json};

use super::advice;
use crate::exit::Exit;
use crate::show::environment::base_word;
use crate::show::network::Network;
use crate::show::style::{Style, count, duration, size, wrap};

/// Columns of the words before the values.
const HEAD: usize = 12;

/// Refused requests that are told one by one.
const MOST_REFUSED: usize = 20;

/// What is known of a trial at its end.
pub struct Told<'a> {
    /// Its environment.
    pub resolved: &'a Resolved,
    /// The repository.
    pub repository: &'a str,
    /// All that happened.
    pub events: &'a [Event],
    /// What was found of a snapshot.
    pub looked: Option<&'a Looked>,
    /// The layers beneath its sandbox.
    pub layers: &'a [LayerSize],
    /// How it ended, where not well.
    pub ended: Option<&'a Outcome>,
}

/// A reading of it.
pub struct Report<'a> {
    told: Told<'a>,
    base: Option<&'a BaseCaptured>,
    phases: Vec<&'a PhaseFinished>,
    checks: Vec<&'a CheckFinished>,
    network: Network,
}

impl<'a> Report<'a> {
    /// Reads it.
    pub fn of(told: Told<'a>) -> Self {
        let network = Network::default();
        let mut report = Self { base: None, phases: Vec::new(), checks: Vec::new(), network, told };
        for event in report.told.events {
            report.network.push(event);
            match &event.body {
                EventBody::BaseCaptured(base) => report.base = Some(base),
                EventBody::PhaseFinished(phase) => report.phases.push(phase),
                EventBody::CheckFinished(check) => report.checks.push(check),
                _ => {}
            }
        }
        report
    }

    /// The code of its end.
    pub fn exit(&self) -> Exit {
        match self.told.ended {
            Some(Outcome::Cancelled) => Exit::Cancelled,
            Some(_) => Exit::AttemptFailed,
            // What lock files called for failed: a task would go on without it.
            None if self.phases.iter().any(|phase| phase.failed) => Exit::AttemptFailed,
            None if self.checks.iter().any(|check| !passed(check)) => Exit::ChecksFailed,
            None => Exit::Done,
        }
    }

    /// How it ended, in a word for machines.
    fn word(&self) -> &'static str {
        match (self.told.ended, self.exit()) {
            (Some(Outcome::Failed { kind, .. }), _) => kind.as_str(),
            (_, Exit::Cancelled) => "cancelled",
            (_, Exit::ChecksFailed) => "checks_failed",
            (_, Exit::Done) => "passed",
            _ => FailureKind::SetupFailed.as_str(),
        }
    }

    /// What failed, in its own words: several lines.
    fn failure(&self) -> Option<&str> {
        match self.told.ended {
            Some(Outcome::Failed { detail, .. }) => Some(detail),
            Some(_) => None,
            None => {
                let failed = self.phases.iter().find(|phase| phase.failed);
                failed.map(|phase| phase.detail.as_str())
            }
        }
    }

    fn advice(&self) -> Vec<String> {
        if self.exit() == Exit::Done || self.exit() == Exit::Cancelled {
            return Vec::new();
        }
        let environment = &self.told.resolved.environment;
        let kind = match self.told.ended {
            Some(Outcome::Failed { kind, .. }) => Some(*kind),
            _ if self.exit() == Exit::ChecksFailed => None,
            _ => Some(FailureKind::SetupFailed),
        };
        let chosen = self.told.looked.is_some_and(|looked| looked.chosen);
        advice::of(environment, kind, self.failure().unwrap_or_default(), chosen, &self.network)
    }

    /// For people, in lines of at most `width` columns where words allow it.
    pub fn text(&self, style: Style, width: usize) -> String {
        let environment = &self.told.resolved.environment;
        let mut rows: Vec<(&str, String)> = Vec::new();
        let name = format!("{}@{}", environment.name, environment.version);
        rows.push(("environment", format!("{name} · {}", self.told.resolved.source)));
        let base = base_word(&environment.base);
        let commit = self.base.map(|base| &base.base.as_str()[..8]);
        rows.push(("base", commit.map_or(base.clone(), |at| format!("{base} · commit {at}"))));
        self.snapshot_rows(&mut rows);
        if !self.told.layers.is_empty() {
            let layers: Vec<String> = self.told.layers.iter().map(layer_text).collect();
            rows.push(("layers", layers.join(" · ")));
        }
        let phases = self.phases.iter().map(|phase| {
            let failed = if phase.failed { " (failed)" } else { "" };
            format!("{} {}{failed}", phase.phase.as_str(), duration(phase.ms))
        });
        let phases: Vec<String> = phases.collect();
        if !phases.is_empty() {
            rows.push(("time", phases.join(" · ")));
        }
        for check in &self.checks {
            let word = match check.exit {
                Some(exit) if exit.success() => "passed".to_owned(),
                Some(exit) => format!("failed, exit {}", exit.code()),
                None => "ran out of time".to_owned(),
            };
            rows.push(("check", format!("{} {word} · {}", check.check.name, duration(check.ms))));
        }
        let refused = self.network.refused.iter().take(MOST_REFUSED).map(advice::refused_text);
        rows.extend(refused.map(|text| ("refused", text)));
        let mut text = String::new();
        for (head, value) in rows {
            let lines = wrap(&value, width.saturating_sub(HEAD + 1), usize::MAX);
            for (index, line) in lines.iter().enumerate() {
                let head = if index == 0 { head } else { "" };
                let _ = writeln!(text, "{} {line}", style.dim(&format!("{head:>HEAD$}")));
            }
        }
        text.push_str(&self.end_text(style, width));
        text
    }

    fn snapshot_rows(&self, rows: &mut Vec<(&'static str, String)>) {
        let Some(looked) = self.told.looked else { return };
        let key = looked.key.as_deref().and_then(|key| key.get(..12)).unwrap_or_default();
        match &looked.snapshot {
            SnapshotWord::Nothing => {
                let why = match &self.told.resolved.environment.setup {
                    quire_domain::environment::SetupSpec::None => "the recipe turns setup off",
                    _ => "no lock file calls for it, and the recipe has no `setup`",
                };
                rows.push(("snapshot", format!("none: {why}")));
                return;
            }
            SnapshotWord::Hit { age_ms } => {
                rows.push(("snapshot", format!("{key} hit, made {} ago", duration(*age_ms))));
            }
            SnapshotWord::Miss { by, why } => {
                rows.push(("snapshot", format!("{key} miss: {why}, so {by} runs")));
            }
        }
        let inputs: Vec<&str> = looked.inputs.iter().map(|(name, _)| name.as_str()).collect();
        rows.push(("hangs on", inputs.join(", ")));
    }

    /// The end alone: how it ended, and what to do.
    pub fn end_text(&self, style: Style, width: usize) -> String {
        let passed = self.checks.iter().filter(|check| passed(check)).count();
        let end = match self.exit() {
            Exit::Done if self.checks.is_empty() => {
                "the environment stands; no check is declared (`[[checks]]`)".to_owned()
            }
            Exit::Done => format!("the environment stands, and {passed} of {passed} checks passed"),
            Exit::Cancelled => "cancelled".to_owned(),
            Exit::ChecksFailed => {
                format!(
                    "the environment stands, and {passed} of {} checks passed",
                    self.checks.len()
                )
            }
            _ => format!("failed: {}", self.failure().unwrap_or("see above").trim_end()),
        };
        let end = wrap(&end, width, usize::MAX).join("\n");
        let mut text = match self.exit() {
            Exit::Done => style.good(&end),
            Exit::Cancelled => style.warn(&end),
            _ => style.bad(&end),
        };
        for advice in self.advice() {
            let lines = wrap(&advice, width.saturating_sub(2), usize::MAX);
            let _ = write!(text, "\n→ {}", lines.join("\n  "));
        }
        text
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let environment = &self.told.resolved.environment;
        let failure = self
            .failure()
            .map(|detail| json!({"kind": self.word(), "detail": detail, "advice": self.advice()}));
        let snapshot = self.told.looked.map(|looked| {
            let inputs: serde_json::Map<_, _> =
                looked.inputs.iter().map(|(name, digest)| (name.clone(), json!(digest))).collect();
            let (found, age_ms, by, why) = match &looked.snapshot {
                SnapshotWord::Nothing => ("nothing", None, None, None),
                SnapshotWord::Hit { age_ms } => ("hit", Some(age_ms), None, None),
                SnapshotWord::Miss { by, why } => ("miss", None, Some(by), Some(why)),
            };
            json!({
                "found": found, "key": looked.key, "age_ms": age_ms, "by": by, "why": why,
                "inputs": inputs, "script": looked.script, "chosen": looked.chosen,
            })
        });
        let phase = |phase: &&PhaseFinished| {
            json!({
                "phase": phase.phase.as_str(), "ms": phase.ms, "failed": phase.failed,
                "detail": phase.detail,
            })
        };
        let layer = |one: &LayerSize| {
            json!({
                "part": one.part, "name": one.name, "bytes": one.bytes, "files": one.files,
                "more": one.more,
            })
        };
        let check = |one: &&CheckFinished| {
            json!({
                "name": one.check.name, "command": one.check.command, "passed": passed(one),
                "exit": one.exit.map(ExitStatus::code), "ms": one.ms,
            })
        };
        json!({
            "environment": environment.name,
            "version": environment.version,
            "source": self.told.resolved.source.to_string(),
            "repository": self.told.repository,
            "commit": self.base.map(|base| &base.base),
            "base": environment.base,
            "result": self.word(),
            "exit": self.exit() as u8,
            "failure": failure,
            "snapshot": snapshot,
            "layers": self.told.layers.iter().map(layer).collect::<Vec<_>>(),
            "phases": self.phases.iter().map(phase).collect::<Vec<_>>(),
            "checks": self.checks.iter().map(check).collect::<Vec<_>>(),
            "refused": self.network.refused,
            "notes": self.base.map_or(&[][..], |base| &base.notes),
        })
    }
}

fn passed(check: &CheckFinished) -> bool {
    check.exit.is_some_and(ExitStatus::success)
}

fn layer_text(one: &LayerSize) -> String {
    let name = if one.name.is_empty() { String::new() } else { format!(" {}", one.name) };
    let least = if one.more { "at least " } else { "" };
    let files = if one.files == 1 { "file" } else { "files" };
    format!("{}{name} {least}{} in {} {files}", one.part, size(one.bytes), count(one.files))
}
