//! A directory of the person's as a base: used where it lies, and never written.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use quire_domain::sandbox::{Layer, LayerOwner};

use crate::base::{Base, Hold};
use crate::digest::{Digest, Hasher};
use crate::error::ImageError;
use crate::images::{Shared, Task};
use crate::unpack::Unpacking;
use crate::usable;

/// How deep the directory is looked at for its identity, and the most entries that are.
const DEPTH: usize = 3;
const MOST: usize = 50_000;

/// Files that say what is installed, wherever they lie.
const TELLTALES: [&str; 5] = [
    "var/lib/dpkg/status",
    "var/lib/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "lib/apk/db/installed",
    "usr/lib/os-release",
];

/// Ids that sandboxes write with as root lie above this; what a person unpacked does not.
const SANDBOX_IDS: u32 = 0x7000_0000;

/// Makes a base of a directory.
pub(crate) async fn base(shared: &Shared, path: &str, task: Task<'_>) -> Result<Base, ImageError> {
    let directory = Shared::absolute(path)?.to_owned();
    let wrong = |why: &str| Err(Shared::path_error(path, why));
    let real = std::fs::canonicalize(&directory).map_err(|e| Shared::path_error(path, e))?;
    let seen = std::fs::metadata(&real).map_err(|error| Shared::path_error(path, error))?;
    if !seen.is_dir() {
        return wrong("it is no directory");
    }
    if real == Path::new("/") {
        return wrong(
            "it is this machine's own root; the base `host` shows what of it may be seen",
        );
    }
    if shared.store.dir().starts_with(&real) {
        return wrong("the data directory lies in it: what is in a base must not change");
    }
    let owner = match seen.uid() {
        id if id >= SANDBOX_IDS => LayerOwner::Sandbox,
        _ => LayerOwner::Person,
    };
    let top = real.clone();
    let identity = tokio::task::spawn_blocking(move || identity(&top))
        .await
        .map_err(std::io::Error::other)
        .and_then(|identity| identity)
        .map_err(|error| Shared::path_error(path, error))?;
    let layer = Layer { path: real, owner };
    let found = {
        let what = format!("the directory {path}");
        let looking = Unpacking {
            what: &what,
            program: &shared.program,
            blob: None,
            beneath: vec![layer.clone()],
            limits: &shared.settings.limits,
            most: shared.settings.timing.unpack,
            cancel: task.call.cancel,
        };
        looking.look(task.backend).await?.found
    };
    Ok(Base {
        layers: vec![layer],
        name: path.to_owned(),
        bytes: 0,
        identity,
        env: std::collections::BTreeMap::new(),
        workdir: None,
        user: None,
        labels: std::collections::BTreeMap::new(),
        notes: Vec::new(),
        lacks: usable::lacks(&found),
        hold: Hold::default(),
    })
}

/// A hash over what the first three levels look like from outside, and over what the package
/// managers noted. A file that is changed in place further down is not seen: touch the directory.
fn identity(top: &Path) -> std::io::Result<String> {
    let mut hasher = Hasher::default();
    let mut left = MOST;
    hasher.update(top.as_os_str().as_bytes());
    note(&mut hasher, top)?;
    walk(&mut hasher, top, DEPTH, &mut left)?;
    for telltale in TELLTALES {
        let _ = note(&mut hasher, &top.join(telltale));
    }
    Ok(format!("directory:{}", hasher.finish().hex()))
}

fn walk(
    hasher: &mut Hasher,
    directory: &Path,
    depth: usize,
    left: &mut usize,
) -> std::io::Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        if *left == 0 {
            break;
        }
        *left -= 1;
        names.push(entry?.file_name());
    }
    names.sort();
    for name in names {
        let path = directory.join(name);
        let is_directory = note(hasher, &path)?;
        if is_directory && depth > 1 {
            // One that cannot be listed is seen by its own times.
            let _ = walk(hasher, &path, depth - 1, left);
        }
    }
    Ok(())
}

/// Adds one entry; gives whether it is a directory.
fn note(hasher: &mut Hasher, path: &Path) -> std::io::Result<bool> {
    let seen = std::fs::symlink_metadata(path)?;
    let size = if seen.is_dir() { 0 } else { seen.len() };
    let text = format!(
        "{}\0{:o} {} {}.{} {}\n",
        Digest::of(path.as_os_str().as_bytes()).hex(),
        seen.mode(),
        size,
        seen.mtime(),
        seen.mtime_nsec(),
        seen.ino()
    );
    hasher.update(text.as_bytes());
    Ok(seen.is_dir())
}
