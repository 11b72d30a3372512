//! Ignored directories of a checkout that builds and tests need, though git does not keep them.

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

/// Of the ignored directories (relative to the checkout, without a final slash), those to show,
/// and those left outside.
pub fn choose(ignored: &[String]) -> (Vec<String>, Vec<String>) {
    let mut chosen = Vec::new();
    let mut left = Vec::new();
    for path in ignored {
        let name = path.rsplit('/').next().unwrap_or(path);
        let known = BUILD_DIRS.contains(&name) || name.ends_with(".egg-info");
        if known && chosen.len() < MOST_BUILD_DIRS {
            chosen.push(path.clone());
        } else {
            left.push(path.clone());
        }
    }
    (chosen, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_shown() {
        let ignored =
            ["web/node_modules", "target", "secrets", "x.egg-info"].map(str::to_owned).to_vec();
        let (chosen, left) = choose(&ignored);
        assert_eq!(chosen, ["web/node_modules", "target", "x.egg-info"]);
        assert_eq!(left, ["secrets"]);
    }
}
