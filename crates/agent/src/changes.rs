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
/// Directories of which something is remembered.
const MAX_KEPT: usize = 20_000;

/// Keeps where the last listing ended.
pub struct ChangeWatch {
    overlay: String,
    mark: Option<ChangeMark>,
    /// Written by patches since then, which are recorded on their own.
    patched: HashSet<String>,
    /// The rules of each directory that was looked at.
    rules: HashMap<String, Option<Gitignore>>,
    /// Whether a directory is ignored: nothing below an ignored one is looked at.
    ignored: HashMap<String, bool>,
}

impl ChangeWatch {
    /// Nothing is listed yet: the first listing has everything in the upper.
    pub fn new(overlay: &str) -> Self {
        Self {
            overlay: overlay.to_owned(),
            mark: None,
            patched: HashSet::new(),
            rules: HashMap::new(),
            ignored: HashMap::new(),
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

    /// Whether git ignores a file: one of its directories, or itself.
    async fn is_ignored(
        &mut self,
        sandbox: &dyn Sandbox,
        workspace: &Path,
        path: &str,
    ) -> Result<bool, SandboxError> {
        for (end, _) in path.match_indices('/') {
            let dir = &path[..end];
            let known = self.ignored.get(dir).copied();
            let ignored = match known {
                Some(ignored) => ignored,
                None => self.verdict(sandbox, workspace, dir, true).await?,
            };
            if known.is_none() {
                self.ignored.insert(dir.to_owned(), ignored);
            }
            if ignored {
                return Ok(true);
            }
        }
        self.verdict(sandbox, workspace, path, false).await
    }

    /// What the rules of the directories above a path say of it, the deepest first.
    async fn verdict(
        &mut self,
        sandbox: &dyn Sandbox,
        workspace: &Path,
        path: &str,
        is_dir: bool,
    ) -> Result<bool, SandboxError> {
        let mut end = path.rfind('/').unwrap_or(0);
        loop {
            let dir = &path[..end];
            if !self.rules.contains_key(dir) {
                let rules = read_rules(sandbox, workspace, dir).await?;
                if self.rules.len() + self.ignored.len() >= MAX_KEPT {
                    self.rules.clear();
                    self.ignored.clear();
                }
                self.rules.insert(dir.to_owned(), rules);
            }
            if let Some(Some(rules)) = self.rules.get(dir) {
                let verdict = rules.matched(path[end..].trim_start_matches('/'), is_dir);
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
            self.ignored.clear();
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
