//! A stage for scenarios: a data directory, a person's repository, and a stand-in for the
//! sandbox, which is a directory that git runs in by itself.
#![allow(dead_code, clippy::unwrap_used, reason = "tests; each file uses some of it")]

pub mod changed;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quire_domain::ids::{CommitId, TaskId};
use quire_git::{
    AttemptGit, CheckoutLayer, Git, GitConfig, GitError, LayerTimes, Mirror, PersonSettings,
    ReceiveLimits, Received, ResultStore, TaskRepository,
};

pub struct Stage {
    pub dir: tempfile::TempDir,
    pub git: Git,
    pub repo: Repo,
}

impl Stage {
    /// A repository with one commit: `a.txt` and `src/main.rs`.
    pub fn new() -> Self {
        let stage = Self::empty();
        stage.repo.write("a.txt", "one\ntwo\nthree\n");
        stage.repo.write("src/main.rs", "fn main() {}\n");
        stage.repo.commit_all("first");
        stage
    }

    /// A repository without commits.
    pub fn empty() -> Self {
        let dir = tempfile::Builder::new().prefix("quire-git-").tempdir().unwrap();
        let git = git_in(dir.path());
        let repo = Repo { path: dir.path().join("repo") };
        std::fs::create_dir(&repo.path).unwrap();
        repo.git(["init", "-q", "-b", "trunk"]);
        Self { dir, git, repo }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn mirror(&self) -> Mirror {
        let checkout = self.git.inspect(&self.repo.path).await.unwrap();
        self.git.mirror_checkout(&checkout).await.unwrap()
    }

    pub async fn layer(
        &self,
        repository: impl Into<TaskRepository>,
        commit: &CommitId,
    ) -> CheckoutLayer {
        self.git.checkout_layer(&repository.into(), commit, LayerTimes::Commit).await.unwrap()
    }

    /// What an attempt would see: a copy of the layer with the attempt's git directory on top.
    pub async fn inside(&self, repository: impl Into<TaskRepository>, base: &CommitId) -> Inside {
        let repository = repository.into();
        let layer = self.layer(repository.clone(), base).await;
        let top = self.path("attempt-git");
        let attempt = AttemptGit {
            base,
            branch: Some("trunk"),
            hooks_from: None,
            author: ("Agent", "agent@example.org"),
        };
        self.git.attempt_git_dir(&top, &repository, &attempt).await.unwrap();
        let name = format!("inside-{}", std::fs::read_dir(self.dir.path()).unwrap().count());
        let inside = Inside { repo: Repo { path: self.path(&name) }, base: base.clone() };
        for from in [&layer.path, &top] {
            assert!(
                Command::new("cp")
                    .args(["-a", "--no-preserve=ownership"])
                    .arg(from.join("."))
                    .arg(&inside.repo.path)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        std::fs::remove_dir_all(&top).unwrap();
        let alternates = inside.repo.path.join(".git/objects/info/alternates");
        // As the sandbox shows them: each place named there is one of those on the host.
        let mut text = std::fs::read_to_string(&alternates).unwrap();
        for (dir, inside) in repository.shown() {
            text = text.replace(inside, dir.to_str().unwrap());
        }
        std::fs::write(alternates, text).unwrap();
        inside
    }

    pub async fn results(&self, repository: impl Into<TaskRepository>) -> ResultStore {
        self.git.results(task(), &repository.into()).await.unwrap()
    }

    pub async fn receive(
        &self,
        store: &ResultStore,
        base: &CommitId,
        head: &str,
        pack: Vec<u8>,
    ) -> Result<Received, GitError> {
        let limits = ReceiveLimits::default();
        self.git.receive(store, base, head, "attempt-1", pack.as_slice(), &limits).await
    }
}

pub fn task() -> TaskId {
    "0190b3a4-0000-7000-8000-000000000001".parse().unwrap()
}

pub fn git_in(dir: &Path) -> Git {
    Git::new(GitConfig {
        git: "git".into(),
        data_dir: dir.join("data"),
        path_env: std::env::var_os("PATH").unwrap(),
        person: PersonSettings {
            home: Some(dir.join("home")),
            config_home: None,
            network_env: Vec::new(),
            sudo_uid: None,
        },
    })
    .unwrap()
}

/// A working tree in which git runs as a person or an agent runs it.
#[derive(Clone)]
pub struct Repo {
    pub path: PathBuf,
}

impl Repo {
    pub fn command(&self) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(&self.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
            .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
            .args(["-c", "safe.directory=*", "-c", "protocol.file.allow=always"]);
        command
    }

    pub fn try_git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> (bool, Vec<u8>) {
        let output = self.command().args(args).stdin(Stdio::null()).output().unwrap();
        (
            output.status.success(),
            if output.status.success() { output.stdout } else { output.stderr },
        )
    }

    pub fn git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let (ok, output) = self.try_git(args);
        let text = String::from_utf8_lossy(&output).trim_end().to_owned();
        assert!(ok, "{text}");
        text
    }

    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.path.join(path)).unwrap()
    }

    pub fn commit_all(&self, message: &str) -> CommitId {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    pub fn head(&self) -> CommitId {
        CommitId::parse(&self.git(["rev-parse", "HEAD"])).unwrap()
    }

    /// Every file below with its content, mode and time, `.git` and all: to see that nothing
    /// was touched.
    pub fn fingerprint(&self) -> Vec<String> {
        let output = Command::new("find")
            .arg(&self.path)
            .args(["-printf", "%p %m %s %T@ %l\n"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

/// What stands in for the sandbox.
pub struct Inside {
    pub repo: Repo,
    pub base: CommitId,
}

impl Inside {
    /// The pack that leaves, as the arguments for inside print it.
    pub fn export(&self, head: &CommitId) -> Vec<u8> {
        self.run(&quire_git::export_argv(&self.base, head))
    }

    pub fn head(&self) -> String {
        String::from_utf8(self.run(&quire_git::head_argv())).unwrap()
    }

    pub fn run(&self, argv: &[String]) -> Vec<u8> {
        let output = Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir(&self.repo.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}
