//! Ignored single files that an installation made beside the sources and tests cannot do without:
//! compiled modules and version files. They are copied in, as a rebuild has to replace them.

use std::fs::File;
use std::io;
use std::path::Path;

/// At most this many are copied, and at most so many bytes of all.
pub const MOST_FILES: usize = 64;
const MOST_BYTES: u64 = 256 << 20;

/// Whether a file of this name is one, if git ignores it.
pub(crate) fn is_known(name: &str) -> bool {
    const COMPILED: [&str; 3] = [".cpython-", ".abi3", ".pypy"];
    const ENDINGS: [&str; 6] =
        ["version.py", "version__.py", "_pb2.py", "_pb2.pyi", "_pb2_grpc.py", ".pb.go"];
    let module = name.strip_suffix(".so");
    module.is_some_and(|module| COMPILED.iter().any(|part| module.contains(part)))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Copies `files`, relative to `root`, to the same places below `to`, with their modes and times.
/// Gives those that were copied; one that is gone or too large is left out.
///
/// # Errors
///
/// What went wrong while writing below `to`.
pub fn copy(root: &Path, files: &[String], to: &Path) -> io::Result<Vec<String>> {
    let mut copied = Vec::new();
    let mut bytes = 0;
    for relative in files {
        let (source, target) = (root.join(relative), to.join(relative));
        let Ok(meta) = source.symlink_metadata() else { continue };
        if !meta.is_file() || bytes + meta.len() > MOST_BYTES {
            continue;
        }
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::copy(&source, &target)?;
        if let (Ok(time), Ok(file)) = (meta.modified(), File::open(&target)) {
            // Only build tools look at it.
            let _ = file.set_modified(time);
        }
        bytes += meta.len();
        copied.push(relative.clone());
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_installation_makes_is_known_and_what_a_person_writes_is_not() {
        for name in ["_speedups.cpython-311-x86_64-linux-gnu.so", "x.abi3.so", "_version.py"] {
            assert!(is_known(name), "{name}");
        }
        for name in [".env", "settings.py", "libssl.so", "secret.key", "local_settings.py"] {
            assert!(!is_known(name), "{name}");
        }
    }

    #[test]
    fn copies_keep_their_time_and_a_link_is_left_out() {
        let (root, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(root.path().join("src/x")).unwrap();
        std::fs::write(root.path().join("src/x/_version.py"), "1").unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        let file = File::options().append(true).open(root.path().join("src/x/_version.py"));
        file.unwrap().set_modified(time).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("version.py")).unwrap();
        let files = ["src/x/_version.py", "version.py", "gone/_version.py"].map(str::to_owned);
        assert_eq!(copy(root.path(), &files, to.path()).unwrap(), ["src/x/_version.py"]);
        let copied = to.path().join("src/x/_version.py").metadata().unwrap();
        assert_eq!(copied.modified().unwrap(), time);
        assert!(!to.path().join("version.py").exists());
    }
}
