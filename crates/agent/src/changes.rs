//! Which files of the working tree a command changed.
//!
//! What git ignores does not count: a test run that fills a cache has not changed the work. The
//! rules are read inside the sandbox as they stand, so a command may change them; they decide
//! only what is called a change here, never what is committed.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use quire_domain::event::FilesChanged;
use quire_domain::ids::CallId;
use quire_domain::sandbox::{ChangeMark, FileError, Sandbox, SandboxError};

/// Paths that are asked for: many are ignored ones.
const ASKED: usize = 10_000;
/// Paths that are recorded.
const RECORDED: usize = 200;
/// The largest file of ignore rules, in bytes.
const RULES_BYTES: u64 = 64 * 1024;
/// Directories whose rules are kept.
const MAX_RULES: usize = 2_000;

/// Keeps where the last listing ended.
pub struct ChangeWatch {
    overlay: String,
    mark: Option<ChangeMark>,
    /// Written by patches since then, which are recorded on their own.
    patched: HashSet<String>,
    /// The rules of each directory that was looked at.
    rules: HashMap<String, Option<Gitignore>>,
}

impl ChangeWatch {
    /// Nothing is listed yet: the first listing has everything in the upper.
    pub fn new(overlay: &str) -> Self {
        Self {
            overlay: overlay.to_owned(),
            mark: None,
            patched: HashSet::new(),
            rules: HashMap::new(),
        }
    }

    /// Takes what is there now as known: what an earlier run of the loop left.
    pub async fn start_here(&mut self, sandbox: &dyn Sandbox) -> Result<(), SandboxError> {
        self.mark = Some(sandbox.changes(&self.overlay, None, 0).await?.mark);
        Ok(())
    }

    /// A patch wrote this file.
    pub fn patched(&mut self, path: &str) {
        self.patched.insert(path.to_owned());
        self.forget_rules(path);
    }

    /// What changed since it was last asked, for the log to say that `call` did it.
    pub async fn changed(
        &mut self,
        sandbox: &dyn Sandbox,
        workspace: &Path,
        call: &CallId,
    ) -> Result<Option<FilesChanged>, SandboxError> {
        let changes = sandbox.changes(&self.overlay, self.mark, ASKED).await?;
        self.mark = Some(changes.mark);
        let patched = std::mem::take(&mut self.patched);
        let candidates = changes.paths.into_iter().filter(|path| {
            let git = path.split('/').any(|part| part == ".git");
            !git && !patched.contains(path)
        });
        let candidates: Vec<String> = candidates.collect();
        for path in &candidates {
            self.forget_rules(path);
        }
        let mut paths = Vec::new();
        let mut more = changes.more;
        for path in candidates {
            if self.is_ignored(sandbox, workspace, &path).await? {
                continue;
            }
            if paths.len() == RECORDED {
                more = true;
                break;
            }
            paths.push(path);
        }
        Ok((!paths.is_empty()).then(|| FilesChanged { call_id: call.clone(), paths, more }))
    }

    /// Whether the rules of its directories, the deepest first, say that git ignores it.
    async fn is_ignored(
        &mut self,
        sandbox: &dyn Sandbox,
        workspace: &Path,
        path: &str,
    ) -> Result<bool, SandboxError> {
        let mut end = path.rfind('/').unwrap_or(0);
        loop {
            let dir = &path[..end];
            if !self.rules.contains_key(dir) {
                let rules = read_rules(sandbox, workspace, dir).await?;
                if self.rules.len() >= MAX_RULES {
                    self.rules.clear();
                }
                self.rules.insert(dir.to_owned(), rules);
            }
            if let Some(Some(rules)) = self.rules.get(dir) {
                let below = path[end..].trim_start_matches('/');
                let verdict = rules.matched_path_or_any_parents(below, false);
                if !verdict.is_none() {
                    return Ok(verdict.is_ignore());
                }
            }
            if end == 0 {
                return Ok(false);
            }
            end = path[..end].rfind('/').unwrap_or(0);
        }
    }

    fn forget_rules(&mut self, path: &str) {
        if let Some(dir) = path.strip_suffix(".gitignore") {
            self.rules.remove(dir.trim_end_matches('/'));
        }
    }
}

/// The rules of one directory; those of `.git/info/exclude` belong to the root.
async fn read_rules(
    sandbox: &dyn Sandbox,
    workspace: &Path,
    dir: &str,
) -> Result<Option<Gitignore>, SandboxError> {
    let files: &[&str] =
        if dir.is_empty() { &[".git/info/exclude", ".gitignore"] } else { &[".gitignore"] };
    let mut builder = GitignoreBuilder::new("");
    let mut any = false;
    for file in files {
        let path = workspace.join(dir).join(file);
        match sandbox.read_file(&path, RULES_BYTES).await {
            Ok(bytes) => {
                for line in String::from_utf8_lossy(&bytes).lines() {
                    // A line that is no rule is none for git either.
                    any |= builder.add_line(None, line).is_ok();
                }
            }
            Err(FileError::Sandbox(error)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(if any { builder.build().ok() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_ignore_what_lies_below_an_ignored_directory() {
        let mut builder = GitignoreBuilder::new("");
        for line in ["target/", "*.pyc", "!keep.pyc", "/only-here"] {
            builder.add_line(None, line).unwrap();
        }
        let rules = builder.build().unwrap();
        let ignored = |path: &str| rules.matched_path_or_any_parents(path, false).is_ignore();
        assert!(ignored("target/debug/app"));
        assert!(ignored("web/target/x"));
        assert!(ignored("a/b.pyc"));
        assert!(!ignored("keep.pyc"));
        assert!(ignored("only-here"));
        assert!(!ignored("web/only-here"));
        assert!(!ignored("src/main.rs"));
    }
}
