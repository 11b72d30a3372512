//! Where a person's toolchains lie: below the home directory, or where a variable has moved them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Variables that move a toolchain, and the place below the home directory that they stand for.
const MOVED_BY: &[(&str, &str)] = &[
    ("CARGO_HOME", ".cargo"),
    ("RUSTUP_HOME", ".rustup"),
    ("PYENV_ROOT", ".pyenv"),
    ("NVM_DIR", ".nvm"),
    ("VOLTA_HOME", ".volta"),
    ("GOPATH", "go"),
    ("GOMODCACHE", "go/pkg/mod"),
    ("SDKMAN_DIR", ".sdkman"),
    ("GRADLE_USER_HOME", ".gradle"),
    ("RBENV_ROOT", ".rbenv"),
    ("ASDF_DATA_DIR", ".asdf"),
    ("MISE_DATA_DIR", ".local/share/mise"),
];

/// Directories of the system that are shown already, or whose content is not for a sandbox.
const SYSTEM: [&str; 12] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/srv", "/proc", "/sys", "/dev", "/etc",
    "/run",
];

/// Where `usual`, relative to the home directory, may lie: there, and where a variable moved it.
/// The second is never a directory of the system.
pub(crate) fn places_of(
    usual: &str,
    variables: &BTreeMap<String, String>,
    home: &Path,
) -> Vec<PathBuf> {
    let mut places = vec![home.join(usual)];
    for (variable, standard) in MOVED_BY {
        let (Some(value), Ok(rest)) =
            (variables.get(*variable), Path::new(usual).strip_prefix(standard))
        else {
            continue;
        };
        let root = Path::new(value);
        let plain = root.is_absolute()
            && root.components().count() > 1
            && root.components().all(|part| !matches!(part, Component::ParentDir));
        if !plain || SYSTEM.iter().any(|system| root.starts_with(system)) {
            continue;
        }
        // Joining an empty rest would add a slash at the end.
        let place = if rest.as_os_str().is_empty() { root.to_owned() } else { root.join(rest) };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// The name of the overlay at `path`: the same whatever else is shown, since what an attempt wrote
/// is laid over the overlay of that name in a follow-up.
pub(crate) fn overlay_name(kind: &str, path: &Path) -> String {
    // FNV-1a: the same in every release, and nobody gains by two of the same name but a failed
    // mount of their own.
    let bytes = path.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{kind}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(usual: &str, set: &[(&str, &str)]) -> Vec<String> {
        let variables =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let places = places_of(usual, &variables, Path::new("/home/ada"));
        places.iter().map(|place| place.display().to_string()).collect()
    }

    #[test]
    fn a_variable_adds_the_place_that_it_names() {
        let moved = [("CARGO_HOME", "/data/cargo"), ("PYENV_ROOT", "/data/pyenv")];
        assert_eq!(
            places(".cargo/registry", &moved),
            ["/home/ada/.cargo/registry", "/data/cargo/registry"]
        );
        assert_eq!(places(".pyenv", &moved), ["/home/ada/.pyenv", "/data/pyenv"]);
        assert_eq!(places(".cargo/bin", &[("CARGO_HOME", "/home/ada/.cargo")]).len(), 1);
    }

    #[test]
    fn a_place_of_the_system_or_one_that_climbs_is_not_added() {
        for value in ["/", "/etc", "/usr/local/cargo", "/proc/1", "cargo", "/data/../etc", ""] {
            assert_eq!(places(".cargo/bin", &[("CARGO_HOME", value)]), ["/home/ada/.cargo/bin"]);
        }
    }

    #[test]
    fn overlays_keep_their_names_and_differ() {
        let name = overlay_name("build", Path::new("/home/ada/x/target"));
        assert_eq!(name, overlay_name("build", Path::new("/home/ada/x/target")));
        assert_ne!(name, overlay_name("build", Path::new("/home/ada/y/target")));
        assert!(name.len() < 32, "{name}");
    }
}
