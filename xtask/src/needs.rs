//! What a machine must have to build and test Quire, and what to do where it is missing.

use std::process::Command;

/// The oldest git whose `index-pack` and worktree options we rely on (Debian 12's).
const OLDEST_GIT: (u32, u32) = (2, 39);

/// Something the machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What, and why it is needed.
    pub what: String,
    /// The package that brings it, by Debian's name.
    pub package: &'static str,
}

/// What is missing on this machine for tests and the demo; empty if nothing is.
pub fn lacks() -> Vec<Lack> {
    let mut lacks = Vec::new();
    match version_line("git").as_deref().map(parse_git) {
        None => lacks.push(lack("git (2.39 or later): mirrors and checkouts", "git")),
        Some(Some(found)) if found < OLDEST_GIT => lacks
            .push(lack(&format!("git 2.39 or later: this one is {}.{}", found.0, found.1), "git")),
        Some(_) => {}
    }
    if version_line("bash").is_none() {
        lacks.push(lack("bash: the agent's commands run in it", "bash"));
    }
    if !["cc", "gcc", "clang"].iter().any(|compiler| version_line(compiler).is_some()) {
        lacks.push(lack("a C compiler: SQLite and ring are built with it", "gcc"));
    }
    lacks
}

/// Says what is missing and how to get it. Nothing is said if nothing is.
pub fn tell(lacks: &[Lack]) {
    if lacks.is_empty() {
        return;
    }
    eprintln!("missing on this machine:");
    for lack in lacks {
        eprintln!("  {}", lack.what);
    }
    let packages: Vec<&str> = lacks.iter().map(|lack| lack.package).collect();
    eprintln!("on Debian or Ubuntu: sudo apt-get install {}", packages.join(" "));
    eprintln!("elsewhere: the packages of the same names, with your system's package manager");
}

/// A lack, from its words.
pub fn lack(what: &str, package: &'static str) -> Lack {
    Lack { what: what.to_owned(), package }
}

/// The first line of `program --version`; `None` if it cannot be run.
pub fn version_line(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    if !output.status.success() {
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// `git version 2.47.3 (vendor)` → `(2, 47)`.
fn parse_git(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split_whitespace().nth(2)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_git_is_read_whoever_built_it() {
        assert_eq!(parse_git("git version 2.47.3"), Some((2, 47)));
        assert_eq!(parse_git("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(parse_git("git version 3.0.rc1"), Some((3, 0)));
        assert_eq!(parse_git("not git"), None);
    }
}
