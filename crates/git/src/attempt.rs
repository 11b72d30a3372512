//! The git directory of one attempt: a small layer on top of a checkout layer.

use std::path::{Path, PathBuf};

use quire_domain::ids::CommitId;

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::excludes::collect_excludes;
use crate::hooks::{Hooks, collect_hooks};
use crate::inspect::Checkout;
use crate::refs::is_ref_name;
use crate::repository::base_settings;
use crate::task_repository::TaskRepository;

/// What an attempt's git directory says.
#[derive(Debug)]
pub struct AttemptGit<'a> {
    /// The commit checked out.
    pub base: &'a CommitId,
    /// The branch that points to it; `None` for a detached HEAD.
    pub branch: Option<&'a str>,
    /// The checkout whose commit hooks are carried along (they run inside only), and what its
    /// person ignores.
    pub hooks_from: Option<&'a Checkout>,
    /// Name and address for commits.
    pub author: (&'a str, &'a str),
}

/// What was put into an attempt's git directory beside the plain things.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptGitDir {
    /// Names of the hooks that were carried along, e.g. `pre-commit`.
    pub hooks: Vec<String>,
}

impl Git {
    /// Writes a git directory into `dir/.git`, where `dir` is absent, empty, or what an earlier
    /// try left: a directory that
    /// is then stacked over the checkout layer of the same commit: HEAD, the mirror's refs (so
    /// that the whole history answers), settings without remotes, and commit hooks. Objects have
    /// to be shown as [`TaskRepository::shown`] says.
    pub async fn attempt_git_dir(
        &self,
        dir: &Path,
        repository: &TaskRepository,
        attempt: &AttemptGit<'_>,
    ) -> Result<AttemptGitDir, GitError> {
        if let Some(branch) = attempt.branch
            && !is_ref_name(&format!("refs/heads/{branch}"))
        {
            return Err(GitError::BadRef { text: branch.to_owned() });
        }
        let hooks_from = attempt.hooks_from.cloned();
        let plain = Plain {
            dir: dir.to_owned(),
            repository: repository.clone(),
            base: attempt.base.clone(),
            branch: attempt.branch.map(str::to_owned),
            author: (attempt.author.0.to_owned(), attempt.author.1.to_owned()),
        };
        blocking("write the attempt's git directory", move || {
            let (hooks, excludes) = match &hooks_from {
                Some(checkout) => (collect_hooks(checkout), collect_excludes(checkout)),
                None => (Hooks::default(), Vec::new()),
            };
            plain.write(&hooks, &excludes)?;
            Ok(AttemptGitDir { hooks: hooks.names() })
        })
        .await
    }
}

struct Plain {
    dir: PathBuf,
    repository: TaskRepository,
    base: CommitId,
    branch: Option<String>,
    author: (String, String),
}

impl Plain {
    fn write(&self, hooks: &Hooks, excludes: &[u8]) -> Result<(), GitError> {
        let git = self.dir.join(".git");
        for name in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "hooks"] {
            make_dir(&git.join(name))?;
        }
        let head = match &self.branch {
            None => format!("{}\n", self.base),
            Some(branch) => {
                write(&git.join("refs/heads").join(branch), format!("{}\n", self.base).as_bytes())?;
                format!("ref: refs/heads/{branch}\n")
            }
        };
        write(&git.join("HEAD"), head.as_bytes())?;
        let shown = self.repository.shown();
        let alternates: String = shown.iter().flat_map(|(_, inside)| [*inside, "\n"]).collect();
        write(&git.join("objects/info/alternates"), alternates.as_bytes())?;
        self.link_or_copy("packed-refs", &git.join("packed-refs"))?;
        self.link_or_copy("shallow", &git.join("shallow"))?;
        write(&git.join("info/exclude"), excludes)?;
        hooks.write(&self.dir)?;
        write(&git.join("config"), self.settings(hooks).as_bytes())
    }

    fn settings(&self, hooks: &Hooks) -> String {
        let mut text = base_settings(self.repository.repository().object_format(), false);
        // The change time differs where a file is linked into a layer beside this one.
        text.push_str("[core]\n\ttrustCtime = false\n\tlogAllRefUpdates = true\n");
        if let Some(path) = hooks.path_setting() {
            text.push_str("\thooksPath = ");
            push_quoted(&mut text, path);
            text.push('\n');
        }
        text.push_str("[user]\n\tname = ");
        push_quoted(&mut text, &self.author.0);
        text.push_str("\n\temail = ");
        push_quoted(&mut text, &self.author.1);
        text.push_str("\n[advice]\n\tdetachedHead = false\n");
        text
    }

    /// The mirror replaces these files and never writes in them, so they may be shared.
    fn link_or_copy(&self, name: &str, target: &Path) -> Result<(), GitError> {
        let source = self.repository.mirror().repository.git_dir().join(name);
        // One of an earlier try may be the mirror's own file: never written through.
        match std::fs::remove_file(target) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(GitError::io("remove", target)(error));
            }
            _ => {}
        }
        if !source.exists() || std::fs::hard_link(&source, target).is_ok() {
            return Ok(());
        }
        std::fs::copy(&source, target).map(drop).map_err(GitError::io("copy", &source))
    }
}

/// A value for a git settings file.
fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text.push('"');
}

pub(crate) fn make_dir(path: &Path) -> Result<(), GitError> {
    std::fs::create_dir_all(path).map_err(GitError::io("make the directory", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    std::fs::write(path, bytes).map_err(GitError::io("write", path))
}
