//! A git repository of a test, and git started in it.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A checkout that a test may change as a person would.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The checkout at `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.canonicalize().expect("the checkout exists") }
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Runs git in it, without the configuration of whoever runs the test, and gives what it printed.
    pub fn git<I>(&self, args: I) -> String
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let output = Command::new("git")
            .args(&args)
            .current_dir(&self.root)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The commit that is checked out.
    pub fn head(&self) -> String {
        self.git(["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).expect("the file is text")
    }

    /// Writes a file, with the directories it needs.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a parent")).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Commits all there is.
    pub fn commit(&self, subject: &str) -> String {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "-m", subject]);
        self.head()
    }

    /// Adds an executable hook, e.g. `pre-commit`.
    pub fn hook(&self, name: &str, script: &str) {
        let path = format!(".git/hooks/{name}");
        self.write(&path, script);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.root.join(path), executable).unwrap();
    }

    /// Adds the pre-commit hook that `hostile/untidy` meets: it refuses lines with a tab.
    pub fn refuse_tabs(&self) {
        self.hook(
            "pre-commit",
            "#!/bin/sh\nif git diff --cached | grep -q \"^+.*$(printf '\\t')\"; then\n\
             \x20   echo 'pre-commit: a tab was added; use a blank' >&2\n    exit 1\nfi\n",
        );
    }

    /// Everything in the working tree and in `.git`, by path, with sizes and times: to show that
    /// nothing was touched.
    pub fn fingerprint(&self) -> Vec<String> {
        let mut seen = Vec::new();
        walk(&self.root, &self.root, &mut seen);
        seen.sort();
        seen
    }
}

fn walk(root: &Path, dir: &Path, seen: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.path().symlink_metadata().unwrap();
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if metadata.is_dir() {
            seen.push(format!("{name}/ {:o}", metadata.permissions().mode()));
            walk(root, &path, seen);
        } else {
            let time = metadata.modified().unwrap();
            let (mode, size) = (metadata.permissions().mode(), metadata.len());
            seen.push(format!("{name} {mode:o} {size} {time:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures;

    #[test]
    fn the_hook_refuses_a_tab_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let repository = fixtures::repository("python-slugs", &dir.path().join("it"));
        repository.refuse_tabs();
        repository.write("README.md", "no tab\n");
        repository.commit("Without a tab");
        repository.write("README.md", "a\ttab\n");
        let refused = std::panic::catch_unwind(|| repository.commit("With a tab"));
        let told = refused.unwrap_err().downcast::<String>().unwrap();
        assert!(told.contains("a tab was added"), "{told}");
    }

    #[test]
    fn a_fingerprint_shows_every_touch() {
        let dir = tempfile::tempdir().unwrap();
        let repository = fixtures::repository("rust-sessions", &dir.path().join("it"));
        let before = repository.fingerprint();
        assert_eq!(repository.fingerprint(), before);
        repository.write(".git/description", "touched");
        assert_ne!(repository.fingerprint(), before);
    }
}
