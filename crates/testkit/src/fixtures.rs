//! Where the fixtures lie, and repositories and scripts made of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use quire_models::play::Script;

use crate::Repository;

/// The folder `fixtures` of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").canonicalize().unwrap()
}

/// Makes a git repository at `to`, which must not exist, of the plain tree `fixtures/repos/<name>`:
/// the same commits every time.
pub fn repository(name: &str, to: &Path) -> Repository {
    let made = Command::new("bash")
        .arg(root().join("make-repo.sh"))
        .arg(name)
        .arg(to)
        .output()
        .expect("bash starts");
    assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
    Repository::at(to)
}

/// The script `fixtures/scripts/<name>.toml`, e.g. `python-slugs` or `hostile/liar`.
pub fn script(name: &str) -> Script {
    let path = root().join(format!("scripts/{name}.toml"));
    Script::read(&path).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: [(&str, &str); 3] =
        [("python-slugs", "7b5a83e"), ("node-csv", "872d123"), ("rust-sessions", "50f017a")];

    #[test]
    fn a_fixture_becomes_the_same_commits_every_time() {
        let dir = tempfile::tempdir().unwrap();
        for (name, head) in HEADS {
            let repository = repository(name, &dir.path().join(name));
            assert!(repository.head().starts_with(head), "{name} is at {}", repository.head());
            assert_eq!(repository.git(["rev-list", "--count", "HEAD"]).trim(), "3");
            assert_eq!(repository.git(["status", "--porcelain"]), "");
        }
    }

    #[test]
    fn every_script_can_be_played() {
        let mut names: Vec<String> = Vec::new();
        for (folder, prefix) in [("scripts", ""), ("scripts/hostile", "hostile/")] {
            for entry in std::fs::read_dir(root().join(folder)).unwrap() {
                let file = entry.unwrap().file_name().into_string().unwrap();
                names.extend(file.strip_suffix(".toml").map(|name| format!("{prefix}{name}")));
            }
        }
        assert!(names.len() >= 6, "{names:?}");
        for name in names {
            let script = script(&name);
            let of_hostile = name.starts_with("hostile/");
            let named = script.conversations.iter().all(|one| !one.name.is_empty());
            assert!(!of_hostile || named, "{name} has a conversation without a name");
        }
    }
}
