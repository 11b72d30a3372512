//! Who may touch the world: only `cli` reads environment and home, only `git` starts git.

use super::Finding;
use super::sources::Source;

/// Something that only some crates may do.
struct Fence {
    /// How it looks in code; any of them.
    marks: &'static [&'static str],
    /// The crates that may, by folder.
    allowed: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        marks: &["Command::new(\"git\")", "Command::new(\"/usr/bin/git\")"],
        allowed: &["crates/git/"],
        instead: "only crates/git starts git on the host: use its functions",
    },
    Fence {
        marks: &["env::var(", "env::var_os(", "env::vars(", "env::vars_os(", "env::args("],
        allowed: &["crates/cli/"],
        instead: "only crates/cli reads the environment and the command line: take a value",
    },
    Fence {
        marks: &["env::set_var(", "env::remove_var("],
        allowed: &[],
        instead: "the environment is shared by all attempts: give the child its own",
    },
    Fence {
        marks: &["home_dir("],
        allowed: &["crates/cli/"],
        instead: "only crates/cli knows the home directory: take a path",
    },
];

/// A finding for each fence that the product's lines of `source` cross.
pub fn findings(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.path.ends_with("/build.rs") {
        // Cargo speaks to build scripts through the environment.
        return findings;
    }
    for fence in FENCES {
        if fence.allowed.iter().any(|dir| source.path.starts_with(dir)) {
            continue;
        }
        for (number, line) in source.product_lines() {
            let code = line.split("//").next().unwrap_or_default();
            if fence.marks.iter().any(|mark| code.contains(mark)) {
                findings.push(Finding::at(source.place(number), fence.instead));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, line: &str) -> usize {
        findings(&Source { path: path.into(), text: format!("//! A.\n{line}\n") }).len()
    }

    #[test]
    fn git_is_started_by_its_crate_alone() {
        let line = "    std::process::Command::new(\"git\")";
        assert_eq!(found("crates/git/src/run.rs", line), 0);
        assert_eq!(found("crates/environment/src/lib.rs", line), 1);
        assert_eq!(found("crates/environment/tests/setup.rs", line), 0);
    }

    #[test]
    fn the_environment_is_read_by_the_command_line_alone() {
        let line = "    let home = std::env::var(\"HOME\");";
        assert_eq!(found("crates/cli/src/config.rs", line), 0);
        assert_eq!(found("crates/models/src/catalogue.rs", line), 1);
        assert_eq!(found("crates/models/src/catalogue.rs", "    // not env::var(\"HOME\")"), 0);
        assert_eq!(found("crates/models/build.rs", line), 0);
    }
}
