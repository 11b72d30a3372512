//! The way out of one sandbox: its door in the worker's proxy, what its programs have to be told
//! of it, and the record of what went through.

pub mod asked;
pub mod behind;
pub mod opened;
pub mod told;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quire_domain::attempt::FailureKind;
use quire_domain::network::{NetworkPolicy, NetworkRule};
use quire_domain::sandbox::{BindMount, EgressDoor, ListenerSink, SandboxSpec};
use quire_domain::secret::Secret;
use quire_egress::{BadCredential, Credential, Door, Policy};
use quire_environment::detect::registries::{MOST_BYTES, Registries, Sources, registries};
use quire_environment::offline::OFFLINE_VARIABLES;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::asked::Asked;
use self::behind::Behind;
use self::told::Teller;
use crate::base;
use crate::prepare::Layout;
use crate::recorder::Recorder;
use crate::worker::Worker;

/// The port of the sandbox's loopback.
const PORT: u16 = 3128;

/// Where the certificates lie inside.
const CERTIFICATES: &str = "/.quire/ca.pem";

/// How long is waited for the record of what went through.
const RECORDED: Duration = Duration::from_secs(2);

/// Which part of a task's life it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Setup and maintenance.
    Setup,
    /// The agent, services and checks.
    Agent,
}

/// An open way out. Dropping it ends every connection.
pub struct WayOut {
    sink: Arc<dyn ListenerSink>,
    env: BTreeMap<String, String>,
    binds: Vec<BindMount>,
    open: Mutex<Option<(Door, Option<JoinHandle<()>>)>>,
    behind: Arc<Behind>,
    /// Told when it is closed: what is still to be recorded is then not gathered any more.
    ending: Arc<Notify>,
}

/// Why there is no way out where one was asked for.
#[derive(Debug, thiserror::Error)]
pub enum WayOutError {
    /// The worker's own settings.
    #[error("{0}")]
    Settings(String),
    /// The proxy.
    #[error(transparent)]
    Proxy(#[from] quire_egress::EgressError),
    /// A credential of the recipe.
    #[error("the credential for `{rule}` cannot be used: {source}")]
    Credential {
        /// Its rule.
        rule: String,
        /// Why.
        source: quire_egress::BadCredential,
    },
    /// The certificates' file.
    #[error("cannot write the certificates for the sandbox")]
    Io(#[from] io::Error),
}

impl WayOutError {
    /// How an attempt ends that needs the way out.
    pub fn kind(&self, otherwise: FailureKind) -> FailureKind {
        let no_secret = |source: &BadCredential| matches!(source, BadCredential::NoSecret(_));
        match self {
            Self::Credential { source, .. } if no_secret(source) => FailureKind::SecretsUnavailable,
            _ => otherwise,
        }
    }
}

/// What an environment lets out in a stage; `None` where it is nothing.
///
/// `secrets` are the values that its credentials are made of.
pub fn policy(
    worker: &Worker,
    layout: &Layout,
    stage: Stage,
    secrets: &BTreeMap<String, Secret<String>>,
) -> Result<Option<Policy>, WayOutError> {
    let environment = &layout.environment;
    let network = match stage {
        Stage::Setup => environment.network.setup.clone(),
        Stage::Agent => environment.network.agent.clone(),
    };
    let mut credentials = Vec::new();
    for spec in &environment.credentials {
        if stage == Stage::Setup || spec.agent {
            let credential = Credential::resolve(spec, secrets).map_err(|source| {
                WayOutError::Credential { rule: spec.rule.to_string(), source }
            })?;
            credentials.push(credential);
        }
    }
    if network == NetworkPolicy::Off && credentials.is_empty() {
        return Ok(None);
    }
    let mut further = Vec::new();
    if matches!(network, NetworkPolicy::Packages(_)) {
        further = registries_of(worker, layout).rules;
    }
    let setting = match stage {
        Stage::Setup => "network.setup",
        Stage::Agent => "network.agent",
    };
    let most_bytes = environment.limits.network_bytes;
    Ok(Some(Policy { network, further, credentials, setting, most_bytes }))
}

/// The hosts of `packages`, as base, machine, environment and administrator configure them; never
/// as a file of the branch does.
pub fn registries_of(worker: &Worker, layout: &Layout) -> Registries {
    // What setup wrote does not count: the branch's own scripts ran in it.
    let spec = layout.beneath(None).plain_spec();
    let listed: Vec<NetworkRule> =
        worker.way_out.packages.iter().cloned().map(NetworkRule::any).collect();
    let home = worker.host.home.as_deref().filter(|_| !layout.is_bare());
    let nobody = Asked::default();
    let asked = layout.asked.as_deref().unwrap_or(&nobody);
    registries(&Sources {
        managers: &asked.managers,
        variables: &spec.env,
        has_program: &|program| base::has_program(&spec, program),
        read: &|path| base::read(&spec.base, home, path, MOST_BYTES),
        list: &|path| base::list(&spec.base, home, path),
        answers: &asked.answers,
        listed: &listed,
    })
}

/// A way out for one sandbox of the agent's; `None` where nothing is let out.
pub fn for_agent(
    worker: &Worker,
    layout: &Layout,
    dir: &Path,
    recorder: Option<Arc<Recorder>>,
    secrets: &BTreeMap<String, Secret<String>>,
) -> Result<Option<WayOut>, WayOutError> {
    let policy = policy(worker, layout, Stage::Agent, secrets)?;
    policy.map(|policy| WayOut::open(worker, policy, dir, recorder)).transpose()
}

/// A line for people and for the model: what is open.
pub fn words(network: &NetworkPolicy) -> String {
    let list = |rules: &[NetworkRule]| {
        let shown: Vec<String> = rules.iter().take(12).map(|rule| format!("`{rule}`")).collect();
        let more = if rules.len() > 12 { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    match network {
        NetworkPolicy::Off => "closed".to_owned(),
        NetworkPolicy::On => "open to every public host".to_owned(),
        NetworkPolicy::Rules(rules) => format!("open to {}", list(rules)),
        NetworkPolicy::Packages(rules) if rules.is_empty() => {
            "open to the registries of package managers".to_owned()
        }
        NetworkPolicy::Packages(rules) => {
            format!("open to the registries of package managers and to {}", list(rules))
        }
    }
}

impl WayOut {
    /// Opens one. `dir` is where the sandbox's certificates are written, on the host; what goes
    /// through is recorded by `recorder`, if there is one.
    pub fn open(
        worker: &Worker,
        policy: Policy,
        dir: &Path,
        recorder: Option<Arc<Recorder>>,
    ) -> Result<Self, WayOutError> {
        let proxy = worker.way_out.proxy.as_ref();
        let proxy = proxy.map_err(|why| WayOutError::Settings(why.clone()))?;
        let behind = Arc::new(Behind::default());
        let (audit, receiver) = Teller::new(Arc::clone(&behind));
        let door = proxy.open(policy, Arc::new(audit))?;
        let ending = Arc::new(Notify::new());
        let recording = recorder.map(|recorder| {
            tokio::spawn(told::write_down(receiver, recorder, Arc::clone(&ending)))
        });
        let trust = door.trust();
        std::fs::create_dir_all(dir)?;
        let inside = Path::new(CERTIFICATES);
        let mut binds = Vec::new();
        for (extension, content) in
            [("pem", trust.bundle_pem.as_bytes()), ("jks", trust.java_store.as_slice())]
        {
            let source = dir.join("ca").with_extension(extension);
            write(&source, content)?;
            binds.push(BindMount {
                source,
                target: inside.with_extension(extension),
                optional: false,
            });
        }
        let env = quire_egress::environment(PORT, inside);
        let sink = door.sink();
        let open = Mutex::new(Some((door, recording)));
        Ok(Self { sink, env, binds, open, behind, ending })
    }

    /// Whose requests are told apart by this: it has to be told where the sandbox is, and what is
    /// started there.
    pub fn behind(&self) -> &Arc<Behind> {
        &self.behind
    }

    /// The making of a sandbox with this way out.
    #[must_use]
    pub fn added_to(&self, mut spec: SandboxSpec) -> SandboxSpec {
        for (name, value) in OFFLINE_VARIABLES {
            if spec.env.get(*name).is_some_and(|own| own == value) {
                spec.env.remove(*name);
            }
        }
        for (name, value) in &self.env {
            match spec.env.get_mut(name) {
                // Java reads one variable for everything.
                Some(own) if name == "JAVA_TOOL_OPTIONS" => {
                    own.push(' ');
                    own.push_str(value);
                }
                _ => {
                    spec.env.insert(name.clone(), value.clone());
                }
            }
        }
        spec.binds.extend(self.binds.iter().cloned());
        spec.egress = Some(EgressDoor { port: PORT, sink: Arc::clone(&self.sink) });
        spec
    }

    /// Ends it; what went through is recorded when this returns, as far as seven seconds allow.
    pub async fn close(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((door, recording)) = open else { return };
        door.close().await;
        self.ending.notify_one();
        if let Some(mut recording) = recording
            && tokio::time::timeout(RECORDED, &mut recording).await.is_err()
        {
            recording.abort();
        }
    }
}

/// Anybody may read it: it holds certificates alone.
fn write(path: &PathBuf, content: &[u8]) -> io::Result<()> {
    let mut options = std::fs::File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(path)?;
    io::Write::write_all(&mut file, content)
}
