//! What the demo plays: the three tasks, the keys that make it real, the list of tasks read back.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// One task of the demo.
pub struct Act {
    /// A folder of `fixtures/repos`, and the name of its script.
    pub repository: &'static str,
    /// `run` or `ask`.
    pub verb: &'static str,
    /// The request.
    pub prompt: &'static str,
    /// What the task starts inside, and the Debian package that brings it.
    pub program: Option<(&'static str, &'static str)>,
}

/// The three tasks: a bug, a feature, a question.
pub const ACTS: &[Act] = &[
    Act {
        repository: "python-slugs",
        verb: "run",
        prompt: "Long titles are cut in the wrong place: make the failing tests pass.",
        program: Some(("python3", "python3")),
    },
    Act {
        repository: "node-csv",
        verb: "run",
        prompt: "Let parse and format take another delimiter, such as a semicolon.",
        program: Some(("node", "nodejs")),
    },
    Act {
        repository: "rust-sessions",
        verb: "ask",
        prompt: "Where are sessions expired?",
        program: None,
    },
];

#[derive(Deserialize)]
struct Provider {
    #[serde(default)]
    key_variables: Vec<String>,
}

/// The variables whose being set means that there is a real model: those of the catalogue.
pub fn key_variables(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = vec!["QUIRE_MODEL".to_owned()];
    let catalogue = root.join("crates/models/catalogue");
    for entry in std::fs::read_dir(&catalogue).context("cannot list the model catalogue")? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let provider: Provider =
            serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
        names.extend(provider.key_variables);
    }
    names.sort();
    Ok(names)
}

/// The number of the newest task of `repository` in what `quire task list --json` printed.
pub fn task_number(list: &str, repository: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Task {
        task: u64,
        repository: String,
    }
    let wanted = repository.canonicalize().ok()?;
    let tasks = list.lines().filter_map(|line| serde_json::from_str::<Task>(line).ok());
    let of_repository = tasks.filter(|task| Path::new(&task.repository) == wanted);
    of_repository.map(|task| task.task).max().map(|number| number.to_string())
}

/// What `quire verify --json` printed, in a few words.
pub fn verified(report: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Report {
        signature: String,
        checks: Vec<Check>,
    }
    #[derive(Deserialize)]
    struct Check {
        fault: Option<String>,
    }
    let report: Report = serde_json::from_str(report.lines().next()?).ok()?;
    let held = report.checks.iter().filter(|check| check.fault.is_none()).count();
    Some(format!("{held} of {} checks hold, {}", report.checks.len(), report.signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_has_its_repository_and_its_script() {
        for act in ACTS {
            for file in [
                format!("fixtures/repos/{}/AGENTS.md", act.repository),
                format!("fixtures/repos/{}.history", act.repository),
                format!("fixtures/scripts/{}.toml", act.repository),
            ] {
                assert!(crate::cargo::root().join(&file).is_file(), "{file}");
            }
        }
    }

    #[test]
    fn keys_of_all_providers_are_known() {
        let names = key_variables(crate::cargo::root()).unwrap();
        for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "QUIRE_MODEL"] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
    }

    #[test]
    fn the_newest_task_of_a_repository_is_found_in_the_list() {
        let here = std::env::temp_dir().canonicalize().unwrap();
        let list = format!(
            "{{\"task\":1,\"repository\":{here:?}}}\n{{\"task\":2,\"repository\":\"/elsewhere\"}}\n{{\"task\":3,\"repository\":{here:?}}}\n"
        );
        assert_eq!(task_number(&list, &here).as_deref(), Some("3"));
        assert_eq!(task_number("", &here), None);
    }

    #[test]
    fn a_verdict_is_told_in_a_few_words() {
        let report = r#"{"intact":true,"trusted":true,"signature":"signed by a trusted key (3e6f)",
            "checks":[{"check":"a","fault":null},{"check":"b","fault":"gone"}]}"#;
        let one_line = report.replace('\n', " ");
        let words = verified(&one_line).unwrap();
        assert_eq!(words, "1 of 2 checks hold, signed by a trusted key (3e6f)");
    }
}
