//! Whether the caches of a person's home hold what a lock file names.

use std::collections::BTreeSet;

use super::managers::Cache;

/// The most packages that are looked for one by one; beyond it, setup runs.
const MOST_LOOKED_FOR: usize = 5_000;

/// What the home directory has of the packages of a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// There is no such cache, or it is empty.
    No,
    /// All that are named; where they lie, below the home directory.
    All(&'static str),
    /// Not these, of so many.
    Lacks(Vec<String>),
}

/// Looks a lock file's packages up; `list` gives the names in a directory below the home directory,
/// none where it is not shown.
pub fn held(cache: Cache, text: Option<&str>, list: &dyn Fn(&str) -> Vec<String>) -> Held {
    match (cache, text) {
        (Cache::None, _) | (Cache::Cargo | Cache::Go, None) => Held::No,
        (Cache::Any(place), _) if list(place).is_empty() => Held::No,
        (Cache::Any(place), _) => Held::All(place),
        (Cache::Cargo, Some(text)) => cargo(text, list),
        (Cache::Go, Some(text)) => go(text, list),
    }
}

fn cargo(text: &str, list: &dyn Fn(&str) -> Vec<String>) -> Held {
    const CACHE: &str = ".cargo/registry/cache";
    let mut there = BTreeSet::new();
    for index in list(CACHE) {
        there.extend(list(&format!("{CACHE}/{index}")));
    }
    let checkouts = list(".cargo/git/checkouts");
    if there.is_empty() && checkouts.is_empty() {
        return Held::No;
    }
    let mut lacks = Vec::new();
    for package in text.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let mut lines = package.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        let (Some(name), Some(version), Some(source)) =
            (field("name"), field("version"), field("source"))
        else {
            continue;
        };
        let held = if source.starts_with("git") {
            let address = source.split(['?', '#']).next().unwrap_or(source);
            let repository = address.rsplit('/').next().unwrap_or_default();
            let repository = repository.strip_suffix(".git").unwrap_or(repository);
            checkouts
                .iter()
                .any(|name| name.strip_prefix(repository).is_some_and(|rest| rest.starts_with('-')))
        } else {
            there.contains(&format!("{name}-{version}.crate"))
        };
        if !held {
            lacks.push(format!("{name} {version}"));
        }
    }
    if lacks.is_empty() { Held::All(".cargo") } else { Held::Lacks(lacks) }
}

fn go(text: &str, list: &dyn Fn(&str) -> Vec<String>) -> Held {
    const CACHE: &str = "go/pkg/mod/cache/download";
    if list(CACHE).is_empty() {
        return Held::No;
    }
    let modules = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (module, version) = (words.next()?, words.next()?);
        (!version.ends_with("/go.mod")).then_some((module, version))
    });
    let mut lacks = Vec::new();
    for (index, (module, version)) in modules.enumerate() {
        let plain = module.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let there = plain
            && index < MOST_LOOKED_FOR
            && list(&format!("{CACHE}/{}/@v", escaped(module)))
                .contains(&format!("{}.zip", escaped(version)));
        if !there {
            lacks.push(format!("{module} {version}"));
        }
    }
    if lacks.is_empty() { Held::All("go/pkg/mod") } else { Held::Lacks(lacks) }
}

/// A name as Go's cache writes it: for file systems that do not tell case.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}
