//! What a person ignores beside the repository's own `.gitignore` files, carried into the
//! sandbox: a directory of theirs that is shown there must not look like new work.

use std::path::{Path, PathBuf};

use crate::inspect::Checkout;

const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// What an interpreter writes beside the sources when tests run: a repository without a rule for
/// it would get hundreds of such files with the first `git add -A`.
const BYTECODE: &[u8] = b"__pycache__/\n";

/// The text of an `info/exclude` file: what interpreters leave, the person's global file, then
/// the repository's, so that the nearer wins. What cannot be read is left out.
pub(crate) fn collect_excludes(checkout: &Checkout) -> Vec<u8> {
    let mut text = BYTECODE.to_vec();
    let own = checkout.common_dir.join("info/exclude");
    for path in global(checkout).into_iter().chain([own]) {
        if std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= FILE_LIMIT_BYTES)
            && let Ok(bytes) = std::fs::read(&path)
        {
            text.extend_from_slice(&bytes);
            text.push(b'\n');
        }
    }
    text
}

/// As git finds it: `core.excludesFile`, else `git/ignore` in the configuration's directory.
fn global(checkout: &Checkout) -> Option<PathBuf> {
    let home = checkout.person.home.as_deref();
    if let Some(path) = checkout.settings.get("core.excludesfile").filter(|path| !path.is_empty()) {
        return match path.strip_prefix("~/") {
            Some(rest) => Some(home?.join(rest)),
            None => Some(checkout.top_level.join(Path::new(path))),
        };
    }
    let config = checkout.person.config_home.clone();
    Some(config.or_else(|| Some(home?.join(".config")))?.join("git/ignore"))
}
