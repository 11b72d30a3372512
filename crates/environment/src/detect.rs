//! What to install where nobody has said it: lock files decide.
//!
//! [`managers`] is the table; here is what of it a repository calls for, and why not where nothing
//! is to be done. Each decision is a line for the person, with the way to change it.

pub mod managers;

use std::collections::BTreeSet;
use std::fmt;

use managers::{MANAGERS, Manager};

/// The most steps that are taken: beyond it a person should write down what they mean.
const MOST_STEPS: usize = 8;

/// The longest lock file that is read to see whether it names any package, in bytes.
pub const MOST_LOCK_BYTES: u64 = 8 << 20;

/// What is known of a repository and of the place it will be in.
pub struct Place<'a> {
    /// The tracked files of the base commit, relative, sorted.
    pub paths: &'a [String],
    /// Directories of the checkout that git ignores and that are shown inside, relative.
    pub shown: &'a [String],
    /// Directories below the home directory that are shown inside, relative.
    pub home: &'a [String],
    /// Whether the base has a program.
    pub has_program: &'a dyn Fn(&str) -> bool,
    /// The text of a tracked file; `None` above [`MOST_LOCK_BYTES`] or where it is not text.
    pub read: &'a dyn Fn(&str) -> Option<String>,
}

/// What was found of one package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub manager: &'static str,
    /// Its lock file, relative to the repository.
    pub lock_file: String,
    /// What follows from it.
    pub verdict: Verdict,
}

/// What follows from a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This is run, in the root of the repository.
    Run(String),
    /// It names no package.
    Empty,
    /// This directory, which is shown inside, holds the packages.
    Shown(String),
    /// The base lacks this program.
    Lacks(&'static str),
}

/// What a repository without a recipe calls for, in the order in which it is run. Lock files in its
/// root count; where there is none, those one level below.
pub fn detect(place: &Place<'_>) -> Vec<Found> {
    let mut found = in_directory(place, "");
    if found.is_empty() {
        let directories: BTreeSet<&str> = place
            .paths
            .iter()
            .filter_map(|path| path.split_once('/'))
            .filter(|(_, rest)| !rest.contains('/'))
            .map(|(directory, _)| directory)
            .collect();
        found = directories.iter().flat_map(|directory| in_directory(place, directory)).collect();
    }
    found.truncate(MOST_STEPS);
    found
}

/// The script that does what was found; `None` where there is nothing to do.
pub fn script(found: &[Found]) -> Option<String> {
    let steps: Vec<&str> = found
        .iter()
        .filter_map(|found| match &found.verdict {
            Verdict::Run(command) => Some(command.as_str()),
            _ => None,
        })
        .collect();
    (!steps.is_empty()).then(|| steps.join("\n"))
}

/// The files whose content decides whether setup has to run again: those that `globs` name, else
/// the lock files that are recognised, at any depth; at most 1,000, sorted.
pub fn lock_files(paths: &[String], globs: &[String]) -> Result<Vec<String>, globset::Error> {
    let mut builder = globset::GlobSetBuilder::new();
    for glob in globs {
        builder.add(globset::GlobBuilder::new(glob).literal_separator(true).build()?);
    }
    let named = builder.build()?;
    let recognised = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        MANAGERS.iter().any(|manager| manager.lock_files.contains(&name))
    };
    let counts = |path: &&String| {
        if globs.is_empty() { recognised(path) } else { named.is_match(path.as_str()) }
    };
    Ok(paths.iter().filter(counts).take(1_000).cloned().collect())
}

fn in_directory(place: &Place<'_>, directory: &str) -> Vec<Found> {
    let mut ecosystems = BTreeSet::new();
    let mut found = Vec::new();
    for manager in MANAGERS {
        let lock_file = manager
            .lock_files
            .iter()
            .map(|name| beside(directory, name))
            .find(|path| place.paths.binary_search(path).is_ok());
        let Some(lock_file) = lock_file else { continue };
        if ecosystems.insert(manager.ecosystem) {
            let verdict = verdict(place, manager, directory, &lock_file);
            found.push(Found { manager: manager.name, lock_file, verdict });
        }
    }
    found
}

fn verdict(place: &Place<'_>, manager: &Manager, directory: &str, lock_file: &str) -> Verdict {
    if (place.read)(lock_file).is_some_and(|text| !manager.names_any(&text)) {
        return Verdict::Empty;
    }
    for name in manager.beside {
        let path = beside(directory, name);
        let tracked = place.paths.iter().any(|other| within(other, &path));
        if tracked || place.shown.iter().any(|shown| shown == &path || within(&path, shown)) {
            return Verdict::Shown(path);
        }
    }
    if let Some(cache) = manager.cache
        && place.home.iter().any(|shown| shown == cache || within(cache, shown))
    {
        return Verdict::Shown(format!("~/{cache}"));
    }
    if let Some(missing) = manager.programs.iter().find(|program| !(place.has_program)(program)) {
        return Verdict::Lacks(missing);
    }
    let script = manager.script();
    Verdict::Run(if directory.is_empty() {
        script
    } else {
        format!("(cd {} && {script})", quoted(directory))
    })
}

fn beside(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

fn within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// A word for a shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl fmt::Display for Found {
    /// A line for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manager, lock_file, verdict } = self;
        match verdict {
            Verdict::Run(command) => {
                let command = command.lines().next().unwrap_or_default();
                write!(f, "setup: `{command}`, as there is {lock_file}")
            }
            Verdict::Empty => {
                write!(f, "nothing to set up for {manager}: {lock_file} names no package")
            }
            Verdict::Shown(path) => write!(f, "nothing to set up for {manager}: {path} is shown"),
            Verdict::Lacks(program) => write!(
                f,
                "{lock_file} is not set up: the base has no `{program}`; install it, or name an \
                 `image` that has it"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
