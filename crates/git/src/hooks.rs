//! The commit hooks of a checkout, carried into the sandbox. They never run on the host.

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use crate::attempt::make_dir;
use crate::error::GitError;
use crate::inspect::Checkout;

/// Hook files and where they go.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    files: Vec<HookFile>,
    /// `core.hooksPath`, where the checkout's is inside the working tree.
    path: Option<String>,
}

#[derive(Debug)]
struct HookFile {
    /// Below the root of the working tree, e.g. `.git/hooks/pre-commit`.
    target: PathBuf,
    bytes: Vec<u8>,
    mode: u32,
}

const FILE_LIMIT_BYTES: u64 = 1 << 20;
const FILES_LIMIT: usize = 200;
const DEPTH_LIMIT: usize = 3;

impl Hooks {
    /// Names of the hooks, without what they bring along.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .files
            .iter()
            .filter_map(|file| file.target.file_name()?.to_str())
            .filter(|name| is_hook_name(name))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    pub(crate) fn path_setting(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Writes them below `root`.
    pub(crate) fn write(&self, root: &Path) -> Result<(), GitError> {
        for hook in &self.files {
            let path = root.join(&hook.target);
            if let Some(parent) = path.parent() {
                make_dir(parent)?;
            }
            let file = std::fs::File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(hook.mode)
                .open(&path)
                .map_err(GitError::io("write", &path))?;
            std::io::Write::write_all(&mut &file, &hook.bytes)
                .map_err(GitError::io("write", &path))?;
        }
        Ok(())
    }
}

/// The hooks that the checkout would run: those of `core.hooksPath`, else of `.git/hooks`.
/// What cannot be read is left out.
pub(crate) fn collect_hooks(checkout: &Checkout) -> Hooks {
    let mut hooks = Hooks::default();
    match checkout.settings.get("core.hookspath").filter(|p| !p.is_empty()) {
        None => hooks.take(&checkout.common_dir.join("hooks"), Path::new(".git/hooks"), true, 0),
        Some(path) => {
            let absolute = expand(path, checkout);
            let inside = absolute.as_ref().and_then(|p| p.strip_prefix(&checkout.top_level).ok());
            let safe = |p: &Path| p.components().all(|c| matches!(c, Component::Normal(_)));
            match (inside.filter(|p| safe(p)), &absolute) {
                // The directory is in the tree, or ignored like husky's: then it is brought
                // along. What the tree has is the same there.
                (Some(relative), Some(absolute)) if !relative.starts_with(".git") => {
                    hooks.path = relative.to_str().map(str::to_owned);
                    hooks.take(absolute, relative, false, 0);
                }
                (_, Some(absolute)) => hooks.take(absolute, Path::new(".git/hooks"), true, 0),
                (_, None) => {}
            }
        }
    }
    hooks
}

/// `~` is the person's home; anything else is relative to the working tree.
fn expand(path: &str, checkout: &Checkout) -> Option<PathBuf> {
    let absolute = match path.strip_prefix("~/") {
        Some(rest) => checkout.person.home.as_ref()?.join(rest),
        None => checkout.top_level.join(path),
    };
    absolute.canonicalize().ok()
}

impl Hooks {
    /// Takes the files of `from`; only executable ones where `hooks_alone`.
    fn take(&mut self, from: &Path, into: &Path, hooks_alone: bool, depth: usize) {
        let Ok(listing) = std::fs::read_dir(from) else { return };
        for entry in listing.flatten() {
            if self.files.len() >= FILES_LIMIT {
                return;
            }
            let Ok(meta) = std::fs::metadata(entry.path()) else { continue };
            let name = entry.file_name();
            if meta.is_dir() && depth < DEPTH_LIMIT {
                self.take(&entry.path(), &into.join(&name), false, depth + 1);
                continue;
            }
            let mode = meta.permissions().mode() & 0o777;
            let is_sample = name.to_string_lossy().ends_with(".sample");
            let wanted = !is_sample && (!hooks_alone || mode & 0o111 != 0);
            if !meta.is_file() || !wanted || meta.len() > FILE_LIMIT_BYTES {
                continue;
            }
            if let Ok(bytes) = std::fs::read(entry.path()) {
                let mode = if mode & 0o111 != 0 { 0o755 } else { 0o644 };
                self.files.push(HookFile { target: into.join(&name), bytes, mode });
            }
        }
    }
}

fn is_hook_name(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "applypatch-msg",
        "commit-msg",
        "post-applypatch",
        "post-checkout",
        "post-commit",
        "post-merge",
        "post-rewrite",
        "pre-applypatch",
        "pre-commit",
        "pre-merge-commit",
        "pre-push",
        "pre-rebase",
        "prepare-commit-msg",
        "reference-transaction",
    ];
    NAMES.contains(&name)
}
