//! A scene: one stage with one repository, and what scenarios ask of what was printed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use quire_testkit::{Call, Ended, Repository, Stage, Turn};
use serde_json::Value;

/// A stage with a checkout to work in.
pub struct Scene {
    pub stage: Stage,
    pub repository: Repository,
}

/// A stage of this crate's own binary, or of the one that `QUIRE_BINARY` names: for long runs that
/// a build must not disturb.
pub fn stage() -> Stage {
    let named = std::env::var_os("QUIRE_BINARY");
    Stage::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_quire").into()))
}

impl Scene {
    /// The repository and the script of this name in the fixtures.
    pub fn of(name: &str) -> Self {
        let mut stage = stage();
        stage.plays_file(name);
        let repository = stage.repository(name);
        Self { stage, repository }
    }

    /// `python-slugs` with a model that says these turns.
    pub fn where_model_says(turns: impl IntoIterator<Item = Turn>) -> Self {
        let mut stage = stage();
        stage.model_says(turns);
        let repository = stage.repository("python-slugs");
        Self { stage, repository }
    }

    /// A call in the checkout, not started.
    pub fn call<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Call {
        self.stage.quire(args).in_repository(&self.repository)
    }

    /// `quire …` in the checkout, to its end.
    pub fn quire<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ended {
        self.call(args).run()
    }

    /// `quire run --json "Go on." …`.
    pub fn run(&self, more: &[&str]) -> Ended {
        self.quire(["run", "--json", "Go on."].iter().chain(more).copied())
    }

    /// `quire task show TASK --json`.
    pub fn show(&self, task: &str) -> Value {
        let shown = self.quire(["task", "show", task, "--json"]).expect_code(0);
        serde_json::from_str(&shown.stdout).unwrap()
    }

    /// `quire task logs TASK --json`, its events.
    pub fn log(&self, task: &str) -> Ended {
        self.quire(["task", "logs", task, "--json"]).expect_code(0)
    }
}

/// A call of `shell` that waits this long before it hands back a session, in seconds.
pub fn shell_within(command: &str, seconds: u32) -> Turn {
    Turn::call("shell", serde_json::json!({ "command": command, "timeout": seconds }))
}

/// The outcome's word in the last event.
pub fn outcome(ended: &Ended) -> String {
    let finished = ended.bodies("finished");
    let last = finished.last().unwrap_or_else(|| panic!("no end: {}", ended.stderr));
    last["outcome"]["outcome"].as_str().unwrap().to_owned()
}

/// The words of the faults of the answer, of `quire task show --json`.
pub fn faults(shown: &Value) -> Vec<&str> {
    let faults = shown["answer"]["faults"].as_array();
    faults.into_iter().flatten().map(|fault| fault["fault"].as_str().unwrap()).collect()
}

/// Verdict and marks of each citation, e.g. `resolved stale`, of `quire task show --json`.
pub fn verdicts(shown: &Value) -> Vec<String> {
    let verdict = |cited: &Value| {
        let verdict = &cited["verdict"];
        let mut words = vec![verdict["verdict"].as_str().unwrap()];
        words.extend(verdict["why"].as_str());
        words
            .extend(verdict["marks"].as_array().into_iter().flatten().map(|m| m.as_str().unwrap()));
        words.join(" ")
    };
    shown["citations"].as_array().unwrap().iter().map(verdict).collect()
}

/// What the gate told the model, one text per round.
pub fn told(ended: &Ended) -> Vec<String> {
    let gates = ended.bodies("gate_failed");
    gates.iter().map(|gate| gate["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Who made each commit, and its subject.
pub fn commits(ended: &Ended) -> Vec<String> {
    let committed = ended.bodies("committed");
    let line = |one: &Value| {
        format!("{}: {}", one["by"].as_str().unwrap(), one["subject"].as_str().unwrap())
    };
    committed.iter().map(line).collect()
}

/// Events are numbered from 1 without gaps, times never run back, the end is there once and last.
pub fn expect_in_order(log: &Ended) {
    let events = log.json();
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let epochs: Vec<u64> = events.iter().map(|event| event["epoch"].as_u64().unwrap()).collect();
    assert!(epochs.is_sorted(), "{epochs:?}");
    let kinds = log.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "submitted").count(), 1);
    assert_eq!(kinds.iter().filter(|kind| *kind == "finished").count(), 1, "{kinds:?}");
    assert_eq!(kinds.first().map(String::as_str), Some("submitted"));
    assert_eq!(kinds.last().map(String::as_str), Some("finished"));
}

/// Every file below a directory with its bytes, by path; of a link, its target.
pub struct Bytes(BTreeMap<PathBuf, Vec<u8>>);

impl Bytes {
    /// Reads all below `dir`.
    pub fn of(dir: &Path) -> Self {
        let mut all = BTreeMap::new();
        let mut left = vec![dir.to_owned()];
        while let Some(next) = left.pop() {
            let entries = match std::fs::read_dir(&next) {
                // What overlayfs keeps for itself has no modes; only root looks into it.
                Err(_) if next.ends_with("work/work") => continue,
                entries => entries.unwrap(),
            };
            for entry in entries {
                let path = entry.unwrap().path();
                let kind = path.symlink_metadata().unwrap().file_type();
                let bytes = if kind.is_dir() {
                    left.push(path.clone());
                    b"a directory".to_vec()
                } else if kind.is_symlink() {
                    std::fs::read_link(&path).unwrap().into_os_string().into_vec()
                } else if kind.is_file() {
                    std::fs::read(&path).unwrap()
                } else {
                    // What overlays mark removed files with, and the like.
                    b"no file".to_vec()
                };
                all.insert(path, bytes);
            }
        }
        Self(all)
    }

    /// The paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// The paths.
    pub fn into_paths(self) -> Vec<PathBuf> {
        self.0.into_keys().collect()
    }

    /// The paths of those that hold these bytes.
    pub fn holding(&self, bytes: &[u8]) -> Vec<&Path> {
        let holds = |all: &[u8]| all.windows(bytes.len()).any(|window| window == bytes);
        self.0.iter().filter(|(_, all)| holds(all)).map(|(path, _)| path.as_path()).collect()
    }

    /// The paths that came, went or have other bytes since.
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a Path> {
        let paths: BTreeSet<&PathBuf> = self.0.keys().chain(before.0.keys()).collect();
        let differs = |path: &&PathBuf| self.0.get(*path) != before.0.get(*path);
        paths.into_iter().filter(differs).map(PathBuf::as_path).collect()
    }
}

/// Panics with their names if files of the checkout, `.git` included, changed since `before`.
pub fn expect_untouched(repository: &Repository, before: &Bytes) {
    let after = Bytes::of(repository.path());
    let changed = after.changed_since(before);
    assert!(changed.is_empty(), "the checkout was touched: {changed:?}");
}
