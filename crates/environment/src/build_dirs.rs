//! Ignored directories of a checkout that builds and tests need, though git does not keep them.

use std::path::Path;

use crate::generated;

/// Names of directories that are shown inside, as a layer beneath the sandbox's own, where git
/// ignores them. Others stay outside: an ignored directory may hold anything.
pub const BUILD_DIRS: &[&str] = &[
    "node_modules",
    ".venv",
    "venv",
    "env",
    ".tox",
    ".nox",
    "__pypackages__",
    "target",
    "build",
    "dist",
    "out",
    "vendor",
    ".bundle",
    ".gradle",
    ".yarn",
    ".pnpm-store",
    ".next",
    ".nuxt",
    ".svelte-kit",
    ".turbo",
    ".angular",
    "_build",
    "deps",
    ".dart_tool",
    ".build",
    "Pods",
    "bin",
    "obj",
    ".stack-work",
    "dist-newstyle",
    ".eggs",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "generated",
    "cmake-build-debug",
    "cmake-build-release",
];

/// At most this many are shown: each costs a mount.
pub const MOST_BUILD_DIRS: usize = 24;

/// How deep below the top level is looked, and how many directories are opened for it.
const DEPTH: usize = 3;
const MOST_OPENED: usize = 4_000;

/// Directories of a checkout with known names, topmost only, and files that [`generated`] knows;
/// relative. Whether git ignores them is for git to say.
pub fn find(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut opened = 0;
    let mut level = vec![(root.to_owned(), String::new())];
    for _ in 0..=DEPTH {
        let mut next = Vec::new();
        for (directory, relative) in level {
            opened += 1;
            if opened > MOST_OPENED {
                return found;
            }
            let Ok(entries) = std::fs::read_dir(&directory) else { continue };
            for entry in entries.flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                let name = entry.file_name();
                let Some(name) = name.to_str().filter(|name| *name != ".git") else { continue };
                let generated = kind.is_file() && generated::is_known(name);
                if !generated && !kind.is_dir() {
                    continue;
                }
                let path = if relative.is_empty() {
                    name.to_owned()
                } else {
                    format!("{relative}/{name}")
                };
                if generated || is_known(name) {
                    found.push(path);
                } else if !name.starts_with('.') {
                    next.push((entry.path(), path));
                }
            }
        }
        level = next;
    }
    found.sort();
    found
}

fn is_known(name: &str) -> bool {
    BUILD_DIRS.contains(&name) || name.ends_with(".egg-info")
}

/// What is to be done with the ignored paths of a checkout.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Directories to show.
    pub dirs: Vec<String>,
    /// Files to copy.
    pub files: Vec<String>,
    /// What is left outside.
    pub left: Vec<String>,
}

/// Sorts the ignored paths (relative to the checkout, without a final slash).
pub fn choose(ignored: &[String]) -> Choice {
    let mut choice = Choice::default();
    for path in ignored {
        let name = path.rsplit('/').next().unwrap_or(path);
        let list = if is_known(name) && choice.dirs.len() < MOST_BUILD_DIRS {
            &mut choice.dirs
        } else if generated::is_known(name) && choice.files.len() < generated::MOST_FILES {
            &mut choice.files
        } else {
            &mut choice.left
        };
        list.push(path.clone());
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_found_a_few_levels_down_and_not_inside_one_another() {
        let root = tempfile::tempdir().unwrap();
        for path in ["target/debug/build", "web/node_modules/x/node_modules", "a/b/c/.venv", "src"]
        {
            std::fs::create_dir_all(root.path().join(path)).unwrap();
        }
        assert_eq!(find(root.path()), ["a/b/c/.venv", "target", "web/node_modules"]);
    }

    #[test]
    fn only_known_names_are_shown() {
        let ignored = ["web/node_modules", "target", "secrets", "x.egg-info", "x/_version.py"];
        let choice = choose(&ignored.map(str::to_owned));
        assert_eq!(choice.dirs, ["web/node_modules", "target", "x.egg-info"]);
        assert_eq!(choice.files, ["x/_version.py"]);
        assert_eq!(choice.left, ["secrets"]);
    }
}
