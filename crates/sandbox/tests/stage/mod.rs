//! What the scenarios share: a backend with its own zygote, and specifications.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quire_domain::environment::Limits;
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, CommandOutput, ExitStatus, Layer, LayerOwner, OverlayMount,
    Sandbox, SandboxBackend, SandboxBase, SandboxError, SandboxSpec, SandboxUser, Upper,
};
use quire_sandbox::{NativeBackend, NativeConfig, Zygote};
use tempfile::TempDir;

/// A backend over a directory of its own.
pub struct Stage {
    pub backend: NativeBackend,
    pub dir: TempDir,
    pub zygote_id: u32,
}

impl Stage {
    pub async fn new() -> Self {
        let zygote = Zygote::spawn_program(Path::new(env!("CARGO_BIN_EXE_quire-zygote"))).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = NativeConfig { state_dir: dir.path().join("sandboxes") };
        let zygote_id = zygote.id();
        Self { backend: NativeBackend::new(zygote, config).await.unwrap(), dir, zygote_id }
    }

    pub async fn backend_create(
        &self,
        spec: SandboxSpec,
    ) -> Result<Arc<dyn Sandbox>, SandboxError> {
        self.backend.create(spec).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A layer with these files.
    pub fn layer(&self, name: &str, files: &[(&str, &str)]) -> Layer {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        for (file, content) in files {
            let file = path.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        Layer { path, owner: LayerOwner::Host }
    }

    /// The host's view with one working tree over `lowers`.
    pub fn spec(&self, name: &str, lowers: Vec<Layer>) -> SandboxSpec {
        SandboxSpec {
            name: name.to_owned(),
            base: SandboxBase::Host,
            system: BTreeMap::new(),
            overlays: vec![OverlayMount {
                target: PathBuf::from("/workspace/tree"),
                lowers,
                name: "work".to_owned(),
            }],
            binds: Vec::new(),
            upper: Upper::Disk(self.path(&format!("upper-{name}"))),
            workdir: PathBuf::from("/workspace/tree"),
            home: PathBuf::from("/home/quire"),
            env: BTreeMap::from([
                ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
                ("HOME".to_owned(), "/home/quire".to_owned()),
            ]),
            user: SandboxUser::Agent,
            limits: Limits {
                memory_bytes: 512 << 20,
                processes: 300,
                disk_bytes: 4 << 30,
                tmp_bytes: 256 << 20,
                ..Limits::default()
            },
            egress: None,
        }
    }
}

/// A shell command.
pub fn bash(script: &str) -> Command {
    Command {
        argv: vec!["bash".to_owned(), "-c".to_owned(), script.to_owned()],
        env: BTreeMap::new(),
        workdir: None,
        io: CommandIo::Output,
    }
}

/// Runs a command to its end; its output as text.
pub async fn run(sandbox: &Arc<dyn Sandbox>, command: Command) -> (String, ExitStatus) {
    rest(&mut sandbox.start(command).await.unwrap().output).await
}

/// What a command still prints, and its end.
pub async fn rest(output: &mut Box<dyn CommandOutput>) -> (String, ExitStatus) {
    let mut all = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_mins(1), output.next());
        match next.await.expect("the command went on for a minute").unwrap() {
            CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                all.extend_from_slice(&bytes);
            }
            CommandEvent::Exited(status) => {
                return (String::from_utf8_lossy(&all).into_owned(), status);
            }
        }
    }
}

/// Runs a script; its output.
pub async fn sh(sandbox: &Arc<dyn Sandbox>, script: &str) -> String {
    run(sandbox, bash(script)).await.0
}

/// Makes a sandbox.
pub async fn create(stage: &Stage, spec: SandboxSpec) -> Arc<dyn Sandbox> {
    stage.backend.create(spec).await.unwrap()
}
