//! A stage: a home of its own, repositories, a played model, and `quire` started in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use quire_models::play::{self, PlayOptions, PlayServer, RecordedRequest, Script, Turn};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Call, Repository, fixtures};

/// Where one scenario plays. Everything in it is gone when it is dropped.
pub struct Stage {
    // The server stops before its runtime, and both before the folder is removed.
    server: Option<PlayServer>,
    runtime: Runtime,
    quire: PathBuf,
    model: String,
    conversation: Option<String>,
    dir: TempDir,
}

impl Stage {
    /// An empty stage for the binary at `quire`: `Stage::new(env!("CARGO_BIN_EXE_quire"))`.
    ///
    /// It lies beside the binary, in the target folder: `/tmp` is another one inside a sandbox, and
    /// may be too small.
    pub fn new(quire: impl AsRef<Path>) -> Self {
        let quire = quire.as_ref().canonicalize().expect("the binary is built");
        let target = quire.ancestors().nth(2).expect("the binary lies in the target folder");
        let stages = target.join("stages");
        std::fs::create_dir_all(&stages).unwrap();
        let dir = tempfile::Builder::new().prefix("stage-").tempdir_in(stages).unwrap();
        std::fs::create_dir_all(dir.path().join("home")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            server: None,
            runtime,
            quire,
            model: "scripted/demo".to_owned(),
            conversation: None,
            dir,
        }
    }

    /// An empty stage for the `quire` that lies beside the running test: for tests of other crates
    /// than its own. `cargo xtask test` builds it before any test runs.
    pub fn built() -> Self {
        let test = std::env::current_exe().expect("a test knows its own path");
        let profile = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
        let quire = profile.join("quire");
        assert!(quire.exists(), "{} is missing: cargo build -p quire", quire.display());
        Self::new(quire)
    }

    /// The stage's folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The home directory that `quire` is given.
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// Where Quire keeps its data on this stage.
    pub fn data(&self) -> PathBuf {
        self.home().join(".local/share/quire")
    }

    /// A repository of `fixtures/repos`, made once: asked for again, it is the same checkout.
    pub fn repository(&self, name: &str) -> Repository {
        let at = self.path().join("repos").join(name);
        if at.exists() { Repository::at(&at) } else { fixtures::repository(name, &at) }
    }

    /// An empty repository with a branch and no commit.
    pub fn empty_repository(&self, name: &str) -> Repository {
        let at = self.path().join("repos").join(name);
        std::fs::create_dir_all(&at).unwrap();
        let repository = Repository::at(&at);
        repository.git(["init", "-q", "-b", "main"]);
        repository.git(["config", "user.name", "Stage"]);
        repository.git(["config", "user.email", "stage@example.org"]);
        repository
    }

    /// From now on the model says these turns, in every conversation.
    pub fn model_says(&mut self, turns: impl IntoIterator<Item = Turn>) -> &mut Self {
        self.plays(Script::of(turns))
    }

    /// From now on the model plays `fixtures/scripts/<name>.toml`.
    pub fn plays_file(&mut self, name: &str) -> &mut Self {
        self.plays(fixtures::script(name))
    }

    /// From now on the model plays `script`.
    pub fn plays(&mut self, script: Script) -> &mut Self {
        self.server = None;
        self.conversation = None;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = PlayOptions { record: true };
        let server = self.runtime.block_on(play::serve(script, loopback, options));
        self.server = Some(server.expect("a free port on loopback"));
        self
    }

    /// From now on the conversation of the script with this name is played.
    pub fn conversation(&mut self, name: &str) -> &mut Self {
        self.conversation = Some(name.to_owned());
        self
    }

    /// From now on calls use this model: `scripted/chat` and `scripted/messages` speak the other
    /// two dialects.
    pub fn model(&mut self, name: &str) -> &mut Self {
        name.clone_into(&mut self.model);
        self
    }

    /// The requests that reached the model since the script was set.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.server.as_ref().map(PlayServer::requests).unwrap_or_default()
    }

    /// The base URL of the played model, if one is played.
    pub fn model_url(&self) -> Option<String> {
        let server = self.server.as_ref()?;
        Some(match &self.conversation {
            Some(name) => server.url_of("stage", name),
            None => server.url(),
        })
    }

    /// A call of `quire`, not started yet, in the stage's folder. Its environment is empty but for
    /// the home, the path, and the played model.
    pub fn quire<I>(&self, args: I) -> Call
    where
        I: IntoIterator,
        I::Item: AsRef<std::ffi::OsStr>,
    {
        let mut call = Call::new(&self.quire, self.path());
        call.command.args(args).env_clear().env("HOME", self.home()).env("TERM", "dumb");
        for name in ["PATH", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                call.command.env(name, value);
            }
        }
        if let Some(url) = self.model_url() {
            call.command.env("QUIRE_SCRIPTED_URL", url).env("QUIRE_MODEL", &self.model);
        }
        call
    }
}
