//! What to install where nobody has said it: lock files decide.
//!
//! [`managers`] is the table; here is what of it a repository calls for, and why not where nothing
//! is to be done. Each decision is a line for the person, with the way to change it. [`shown`] and
//! `caches` say what of a person's machine makes a step unnecessary, [`registries`] which hosts the
//! managers fetch from.

mod caches;
pub mod managers;
pub mod registries;
pub mod shown;

use std::collections::BTreeSet;
use std::fmt;

use caches::Held;
use managers::{Cache, MANAGERS, Manager};

/// The most lock files that are looked at: beyond it a person should write down what they mean.
const MOST_FOUND: usize = 8;

/// The longest lock file that is read to see whether it names any package, in bytes.
pub const MOST_LOCK_BYTES: u64 = 8 << 20;

/// Directories whose lock files are not what the code stands on.
const ASIDE: &[&str] = &["docs", "doc", "example", "examples", "fixtures", "testdata"];

/// What is known of a repository and of the place it will be in.
pub struct Place<'a> {
    /// The tracked files of the base commit, relative, in the order of their bytes.
    pub paths: &'a [String],
    /// Whether a path of the checkout that git ignores is shown inside and exists
    /// ([`shown::in_checkout`]); never, where there is no checkout.
    pub checkout: &'a dyn Fn(&str) -> bool,
    /// The names in a directory below the home directory that is shown inside
    /// ([`shown::in_home`]); none where it is not.
    pub home: &'a dyn Fn(&str) -> Vec<String>,
    /// Whether the base has a program.
    pub has_program: &'a dyn Fn(&str) -> bool,
    /// The text of a tracked file; `None` above [`MOST_LOCK_BYTES`] or where it is not text.
    pub read: &'a dyn Fn(&str) -> Option<String>,
}

/// What a repository calls for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detection {
    /// What was found of each package manager, in the order in which it is run.
    pub found: Vec<Found>,
    /// Whether there were more lock files than are looked at.
    pub more: bool,
}

/// What was found of one package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub manager: &'static str,
    /// Where its lock file lies, relative to the repository; empty for its root.
    pub directory: String,
    /// Its lock file, relative to the repository.
    pub lock_file: String,
    /// What follows from it.
    pub verdict: Verdict,
}

/// What follows from a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The manager's command is run in the lock file's directory.
    Run {
        /// What people would write for it.
        says: &'static str,
        /// What `bash` runs.
        command: &'static str,
        /// What a cache of the home directory lacks, where there is one.
        lacks: Vec<String>,
    },
    /// It names no package.
    Empty,
    /// This path of the checkout, tracked or shown, holds the packages.
    Shown(String),
    /// This directory of the home, which is shown, holds the packages.
    Cached(&'static str),
    /// The base lacks this program.
    Lacks {
        /// Which.
        program: &'static str,
        /// What brings it, where something can be added to `setup`.
        install: Option<&'static str>,
    },
}

/// What a repository without a recipe calls for. Lock files in its root count; where there is none,
/// those one level below.
pub fn detect(place: &Place<'_>) -> Detection {
    let mut detection = Detection::default();
    in_directory(place, "", &mut detection);
    if detection.found.is_empty() {
        let directories: BTreeSet<&str> = place
            .paths
            .iter()
            .filter_map(|path| path.split_once('/'))
            .filter(|(_, rest)| !rest.contains('/'))
            .map(|(directory, _)| directory)
            .filter(|directory| !directory.starts_with('.') && !ASIDE.contains(directory))
            .collect();
        for directory in directories {
            in_directory(place, directory, &mut detection);
        }
    }
    detection
}

impl Detection {
    /// The script that does what was found, for `bash -euo pipefail -c` in the root of the
    /// repository; `None` where there is nothing to do.
    pub fn script(&self) -> Option<String> {
        let steps: Vec<String> = self.found.iter().filter_map(Found::step).collect();
        (!steps.is_empty()).then(|| steps.join("\n"))
    }

    /// What was decided and how to change it, a line each; none where no lock file was found.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.found.iter().map(ToString::to_string).collect();
        if self.more {
            lines.push(format!("more than {MOST_FOUND} lock files: the others are left out"));
        }
        if !lines.is_empty() {
            lines.push(
                "to change this: `setup = \"…\"` in .quire/environment.toml, or `setup = \"\"` \
                 for nothing"
                    .to_owned(),
            );
        }
        lines
    }
}

impl Found {
    fn step(&self) -> Option<String> {
        let Verdict::Run { command, .. } = &self.verdict else { return None };
        Some(if self.directory.is_empty() {
            (*command).to_owned()
        } else {
            format!("(cd -- {} && {{ {command}\n}})", quoted(&self.directory))
        })
    }
}

/// The package managers that a repository's files call for, by name: those with a lock file in its
/// root or one level below. Only which managers is read from the files, never where they fetch from.
pub fn in_use(paths: &[String]) -> Vec<&'static str> {
    let near = |path: &&String| path.matches('/').count() <= 1;
    let names: BTreeSet<&str> =
        paths.iter().filter(near).filter_map(|path| path.rsplit('/').next()).collect();
    let used = |manager: &&Manager| manager.lock_files.iter().any(|name| names.contains(name));
    MANAGERS.iter().filter(used).map(|manager| manager.name).collect()
}

/// The files whose content decides whether setup has to run again: those that `globs` name, else
/// the lock files that are recognised, at any depth; the first 1,000 in the order of `paths`.
pub fn lock_files(paths: &[String], globs: &[String]) -> Result<Vec<String>, globset::Error> {
    let mut builder = globset::GlobSetBuilder::new();
    for glob in globs {
        builder.add(globset::GlobBuilder::new(glob).literal_separator(true).build()?);
    }
    let named = builder.build()?;
    let counts = |path: &&String| {
        if !globs.is_empty() {
            return named.is_match(path.as_str());
        }
        managers::is_lock_file(path)
            && !managers::stands_back(path, |other| is_tracked(paths, other))
    };
    Ok(paths.iter().filter(counts).take(1_000).cloned().collect())
}

fn in_directory(place: &Place<'_>, directory: &str, detection: &mut Detection) {
    let mut settled = BTreeSet::new();
    for manager in MANAGERS {
        let lock_file = manager
            .lock_files
            .iter()
            .map(|name| beside(directory, name))
            .find(|path| is_tracked(place.paths, path));
        let Some(lock_file) = lock_file else { continue };
        if settled.contains(manager.ecosystem) {
            continue;
        }
        if detection.found.len() >= MOST_FOUND {
            detection.more = true;
            return;
        }
        let verdict = verdict(place, manager, directory, &lock_file);
        if verdict == Verdict::Empty && manager.is_no_lock_file() {
            // It was written for something else.
            continue;
        }
        if !matches!(verdict, Verdict::Empty | Verdict::Lacks { .. }) {
            settled.insert(manager.ecosystem);
        }
        let directory = directory.to_owned();
        detection.found.push(Found { manager: manager.name, directory, lock_file, verdict });
    }
}

fn verdict(place: &Place<'_>, manager: &Manager, directory: &str, lock_file: &str) -> Verdict {
    let text = (place.read)(lock_file);
    if text.as_deref().is_some_and(|text| !manager.names_any(text)) {
        return Verdict::Empty;
    }
    for name in manager.beside {
        let path = beside(directory, name);
        if is_tracked(place.paths, &path) || (place.checkout)(&path) {
            return Verdict::Shown(path);
        }
    }
    let held = match manager.cache {
        Cache::None => Held::No,
        cache => caches::held(cache, text.as_deref(), place.home),
    };
    let lacks = match held {
        Held::All(cache) => return Verdict::Cached(cache),
        Held::Lacks(packages) => packages,
        Held::No => Vec::new(),
    };
    let wrapped =
        manager.wrapper.is_some_and(|name| is_tracked(place.paths, &beside(directory, name)));
    let needed = manager.programs.iter().skip(usize::from(wrapped));
    for (index, program) in needed.enumerate() {
        if !(place.has_program)(program) {
            let install = manager.install.filter(|_| index == 0);
            return Verdict::Lacks { program, install };
        }
    }
    Verdict::Run { says: manager.says, command: manager.command, lacks }
}

/// Whether a file, or something below a directory, is tracked.
fn is_tracked(paths: &[String], path: &str) -> bool {
    let below = format!("{path}/");
    paths.binary_search_by(|other| other.as_str().cmp(path)).is_ok()
        || paths
            .get(paths.partition_point(|other| other.as_str() < below.as_str()))
            .is_some_and(|other| other.starts_with(&below))
}

fn beside(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// A word for a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl fmt::Display for Found {
    /// A line for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manager, lock_file, verdict, .. } = self;
        let lock_file = lock_file.escape_debug();
        match verdict {
            Verdict::Run { says, lacks, .. } => {
                write!(f, "setup: `{says}`, as there is {lock_file}")?;
                if let Some(first) = lacks.first() {
                    let (first, others) = (first.escape_debug(), lacks.len() - 1);
                    write!(f, " and your cache lacks {first}")?;
                    if others > 0 {
                        write!(f, " and {others} more")?;
                    }
                }
                Ok(())
            }
            Verdict::Empty => {
                write!(f, "nothing to set up for {manager}: {lock_file} names no package")
            }
            Verdict::Shown(path) => {
                write!(f, "nothing to set up for {manager}: {} is there", path.escape_debug())
            }
            Verdict::Cached(cache) => {
                write!(f, "nothing to set up for {manager}: your ~/{cache} is shown and has it")
            }
            Verdict::Lacks { program, install } => {
                write!(f, "{lock_file} is not set up: there is no `{program}` in the base; ")?;
                match install {
                    Some(install) => write!(f, "add `{install}` to `setup`, or name an `image`")?,
                    None => write!(f, "install it, or name an `image`")?,
                }
                write!(f, " that has it")
            }
        }
    }
}

#[cfg(test)]
mod tests;
