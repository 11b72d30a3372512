//! A place with a store, a backend and the program that stands in for our own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quire_domain::environment::{BaseSpec, Limits};
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, SandboxBackend as _, SandboxBase, SandboxSpec, SandboxUser,
    Upper,
};
use quire_images::{
    Base, ImageError, Images, ImagesConfig, PrivateHosts, Progress, Settings, Timing,
};
use quire_sandbox::{NativeBackend, NativeConfig, Zygote};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A place of its own.
pub struct Scene {
    pub dir: TempDir,
    pub images: Images,
    pub backend: NativeBackend,
    pub told: Arc<Mutex<Vec<Progress>>>,
}

/// The program that stands in for our own: built with the tests.
pub fn stand_in() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples/stand_in")
}

/// Registries on loopback, and no patience.
pub fn settings() -> Settings {
    Settings {
        private_hosts: PrivateHosts::Any,
        timing: Timing {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(5),
            backoff: Duration::from_millis(5),
            tries: 3,
            longest_wait: Duration::from_secs(3),
            ..Timing::default()
        },
        ..Settings::default()
    }
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(settings()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let zygote = Zygote::spawn_program(&stand_in()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = NativeConfig { state_dir: dir.path().join("sandboxes") };
        let backend = NativeBackend::new(zygote, config).await.unwrap();
        let images = open(dir.path(), settings);
        Self { dir, images, backend, told: Arc::default() }
    }

    /// The same store with other settings.
    pub fn set(&mut self, settings: Settings) {
        self.images = open(self.dir.path(), settings);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn base(&self, spec: BaseSpec) -> Result<Base, ImageError> {
        let told = Arc::clone(&self.told);
        let watcher = move |progress| told.lock().unwrap().push(progress);
        let cancel = CancellationToken::new();
        let base = self.images.base(&spec, &self.backend, &watcher, &cancel);
        is_send(base).await
    }

    pub async fn image(&self, reference: &str) -> Result<Base, ImageError> {
        self.base(BaseSpec::Image { reference: reference.to_owned() }).await
    }

    pub async fn tar(&self, path: &Path) -> Result<Base, ImageError> {
        self.base(BaseSpec::Tar { path: path.to_str().unwrap().to_owned() }).await
    }

    pub async fn directory(&self, path: &Path) -> Result<Base, ImageError> {
        self.base(BaseSpec::Directory { path: path.to_str().unwrap().to_owned() }).await
    }

    /// What a script prints over a base, as the agent or as setup's root.
    pub async fn sh(&self, base: &Base, user: SandboxUser, script: &str) -> String {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let spec = SandboxSpec {
            name: format!("quire-base-{}-{number}", std::process::id()),
            base: SandboxBase::Layers(base.layers.clone()),
            system: BTreeMap::new(),
            overlays: Vec::new(),
            binds: Vec::new(),
            upper: Upper::Disk(self.path(&format!("upper-{number}"))),
            workdir: PathBuf::from("/work"),
            home: PathBuf::from("/home/quire"),
            env: BTreeMap::from([(
                "PATH".to_owned(),
                "/usr/local/bin:/usr/bin:/bin:/sbin".to_owned(),
            )]),
            user,
            limits: Limits { memory_bytes: 512 << 20, tmp_bytes: 64 << 20, ..Limits::default() },
            egress: None,
        };
        let sandbox = self.backend.create(spec).await.unwrap();
        let command = Command {
            argv: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            env: BTreeMap::new(),
            workdir: None,
            io: CommandIo::Output,
        };
        let mut output = sandbox.start(command).await.unwrap().output;
        let mut all = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_mins(2), output.next());
            match next.await.expect("a script went on for two minutes").unwrap() {
                CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                    all.extend_from_slice(&bytes);
                }
                CommandEvent::Exited(_) => break,
            }
        }
        sandbox.end().await.unwrap();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// As root inside.
    pub async fn root_sh(&self, base: &Base, script: &str) -> String {
        self.sh(base, SandboxUser::SetupRoot, script).await
    }

    /// Files in one of the store's directories.
    pub fn kept(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("images").join(directory)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Whether several owners can be told apart inside: as root, or with sub-ids.
    pub async fn has_ids(&self) -> bool {
        if rustix::process::geteuid().is_root() {
            return true;
        }
        let report = self.backend.report().await;
        !report.findings.iter().any(|finding| finding.detail.contains("one id"))
    }
}

fn open(dir: &Path, settings: Settings) -> Images {
    Images::open(ImagesConfig { dir: dir.join("images"), program: stand_in(), settings }).unwrap()
}

/// Attempts run on several threads.
fn is_send<T: Send>(future: T) -> T {
    future
}
