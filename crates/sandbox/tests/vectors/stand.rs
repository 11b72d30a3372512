//! Where the rows are tried: a backend, sandboxes with the trials bound in, and what the host has
//! that must not be reached.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quire_domain::environment::Limits;
use quire_domain::sandbox::{
    BindMount, Command, CommandEvent, CommandIo, ExitStatus, Layer, OverlayMount, Sandbox,
    SandboxBackend as _, SandboxBase, SandboxError, SandboxSpec, SandboxUser, StartedCommand,
    Upper,
};
use quire_sandbox::{NativeBackend, NativeConfig, Zygote};

use crate::again;

pub const TREE: &str = "/workspace/tree";

/// A backend, and what of the host is listening beside it.
pub struct Stand {
    pub backend: NativeBackend,
    pub place: PathBuf,
    /// What a setup wrote to system directories, for the agents after it.
    pub system: BTreeMap<String, Vec<Layer>>,
    tcp: TcpListener,
    _abstract_name: UnixListener,
    _socket: UnixListener,
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What it printed, at most the last of it.
    pub output: String,
    /// Its end; else what became of the sandbox.
    pub end: Result<ExitStatus, String>,
    pub took: Duration,
}

impl Stand {
    pub async fn new() -> Self {
        let place = again::place();
        let zygote = Zygote::spawn_program(&place.join("bin/quire-zygote")).unwrap();
        let config = NativeConfig { state_dir: place.join("sandboxes") };
        let name = SocketAddr::from_abstract_name(abstract_name()).unwrap();
        let _ = std::fs::remove_file(place.join("socket"));
        Self {
            backend: NativeBackend::new(zygote, config).await.unwrap(),
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            _abstract_name: UnixListener::bind_addr(&name).unwrap(),
            _socket: UnixListener::bind(place.join("socket")).unwrap(),
            system: BTreeMap::new(),
            place,
        }
    }

    /// The host's view with an empty tree and small limits.
    pub fn spec(&self, name: &str, user: SandboxUser) -> SandboxSpec {
        SandboxSpec {
            name: name.to_owned(),
            base: SandboxBase::Host,
            system: match user {
                SandboxUser::Agent => self.system.clone(),
                SandboxUser::SetupRoot => BTreeMap::new(),
            },
            overlays: vec![OverlayMount {
                target: PathBuf::from(TREE),
                lowers: Vec::new(),
                name: "work".to_owned(),
            }],
            binds: vec![BindMount {
                source: self.place.join("bin/quire-trial"),
                target: PathBuf::from("/trial/quire-trial"),
                optional: false,
            }],
            upper: Upper::Disk(self.place.join(format!("upper-{name}"))),
            workdir: PathBuf::from(TREE),
            home: PathBuf::from("/home/quire"),
            env: BTreeMap::from([
                ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin:/trial".to_owned()),
                ("HOME".to_owned(), "/home/quire".to_owned()),
            ]),
            user,
            limits: Limits {
                memory_bytes: 512 << 20,
                processes: 300,
                disk_bytes: 256 << 20,
                tmp_bytes: 64 << 20,
                inodes: 3_000,
                open_files: 4_096,
                ..Limits::default()
            },
            egress: None,
        }
    }

    /// Has a setup write to every system directory that it can; the agents from now on stand on
    /// its layers.
    pub async fn set_up(&mut self) {
        let sandbox = self.create(self.spec("writes", SandboxUser::SetupRoot)).await;
        let script = "for d in /usr/local/lib /etc /var/lib /opt /srv; do mkdir -p $d/quire; \
                      echo > $d/quire/f; done; true";
        assert_eq!(run(&sandbox, sh(script)).await.end, Ok(ExitStatus::Code(0)));
        let frozen = sandbox.freeze().await.unwrap();
        let system = frozen.into_iter().filter(|(name, _)| name != "work" && name != "home");
        self.system = system.map(|(name, layer)| (name, vec![layer])).collect();
        assert!(self.system.len() >= 4, "{:?}", self.system.keys());
    }

    pub async fn create(&self, spec: SandboxSpec) -> Arc<dyn Sandbox> {
        self.backend.create(spec).await.unwrap()
    }

    /// Puts what is known only now in place of its name.
    pub fn fill_in(&self, text: &str) -> String {
        text.replace("{port}", &self.tcp.local_addr().unwrap().port().to_string())
            .replace("{abstract}", &abstract_name())
            .replace("{place}", &self.place.display().to_string())
            .replace("{canary}", again::CANARY)
    }
}

fn abstract_name() -> String {
    format!("quire-vectors-{}", std::process::id())
}

/// A command without input.
pub fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        workdir: None,
        io: CommandIo::Output,
    }
}

/// A shell's command.
pub fn sh(script: &str) -> Command {
    command(&["bash", "-c", script])
}

/// Runs a command to its end, twenty seconds at most.
pub async fn run(sandbox: &Arc<dyn Sandbox>, command: Command) -> Ran {
    let begun = Instant::now();
    let mut output = Vec::new();
    let ending = tokio::time::timeout(Duration::from_secs(20), async {
        let StartedCommand { output: mut source, control, .. } = sandbox.start(command).await?;
        let _held = control;
        loop {
            match source.next().await? {
                CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                    output.extend_from_slice(&bytes);
                    if output.len() > 1 << 20 {
                        output.drain(..1 << 19);
                    }
                }
                CommandEvent::Exited(status) => return Ok::<_, SandboxError>(status),
            }
        }
    });
    let end = match ending.await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("it did not end within twenty seconds".to_owned()),
    };
    Ran { output: String::from_utf8_lossy(&output).into_owned(), end, took: begun.elapsed() }
}
