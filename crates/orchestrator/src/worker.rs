//! What a worker is made of: handed in by the composition root, shared by all its attempts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::ids::UserId;
use quire_domain::model::Model;
use quire_domain::network::DomainPattern;
use quire_domain::sandbox::SandboxBackend;
use quire_domain::sizes::Machine;
use quire_domain::time::Clock;
use quire_egress::EgressProxy;
use quire_environment::host::HostFacts;
use quire_evidence::keys::InstallationKey;
use quire_git::Git;
use quire_store::Store;

use crate::bases::Bases;
use crate::gateway::Gateway;
use crate::inbox::Inbox;
use crate::leaving::Leaving;
use crate::purse::Purses;
use crate::recorder::Record;
use crate::secrets_key::SecretsKey;

/// The parts of one worker.
#[derive(Clone)]
pub struct Worker {
    /// The SQL truth.
    pub store: Store,
    /// Logs, chunks, blobs, live bus.
    pub record: Record,
    /// Host git.
    pub git: Git,
    /// Makes sandboxes.
    pub sandboxes: Arc<dyn SandboxBackend>,
    /// Opens models by name.
    pub models: Arc<dyn Models>,
    /// Where attempts ask models.
    pub gateway: Gateway,
    /// What the turns at work here spend.
    pub purses: Purses,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Signs evidence.
    pub key: Arc<InstallationKey>,
    /// What secrets are sealed with.
    pub secrets: Arc<SecretsKey>,
    /// How sandboxes reach the world, where their environment lets them.
    pub way_out: WayOut,
    /// Root file systems that are not the host's.
    pub bases: Bases,
    /// What of this machine is shown in sandboxes.
    pub host: HostFacts,
    /// Where things lie and how the worker calls itself.
    pub place: Place,
    /// What people say to its attempts.
    pub inbox: Inbox,
    /// Whether its attempts are to let go of their work, as the process leaves.
    pub leaving: Leaving,
}

/// How sandboxes reach the world, as an administrator has set it up.
#[derive(Clone)]
pub struct WayOut {
    /// Makes the doors; or what is wrong with its settings, told to whoever needs a door.
    pub proxy: Result<EgressProxy, String>,
    /// Hosts that the policy `packages` means beside those that are found.
    pub packages: Vec<DomainPattern>,
}

/// Where a worker keeps its things, and its name.
#[derive(Debug, Clone)]
pub struct Place {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The person's global instructions, if the file exists.
    pub global_instructions: Option<PathBuf>,
    /// This machine's name.
    pub host: String,
    /// This machine's size.
    pub machine: Machine,
    /// The worker's name: [`crate::lease::worker_name`].
    pub worker: String,
    /// The version of Quire.
    pub version: String,
    /// How long after a change the working tree of an attempt is put away; never, if `None`.
    pub checkpoint_after: Option<Duration>,
    /// How long the answer to a question is waited for.
    pub answer_within: Duration,
}

impl Place {
    /// Where the uppers of an attempt lie.
    pub fn upper(&self, attempt: quire_domain::ids::AttemptId) -> PathBuf {
        self.data_dir.join("uppers").join(attempt.to_string())
    }

    /// Where the evidence of an attempt is put.
    pub fn evidence(&self, attempt: quire_domain::ids::AttemptId) -> PathBuf {
        self.data_dir.join("evidence").join(attempt.to_string())
    }
}

/// A provider that is to be left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Its id.
    pub provider: String,
    /// For how long, in milliseconds.
    pub wait_ms: u64,
    /// What it said.
    pub message: String,
}

/// Opens models by name.
#[async_trait]
pub trait Models: Send + Sync {
    /// The model called `name`. The error is for the person, with what to do.
    async fn open(&self, name: &str) -> Result<Arc<dyn Model>, String>;

    /// As [`Models::open`], for `person`: where requests wait, people take turns.
    async fn open_for(&self, name: &str, person: UserId) -> Result<Arc<dyn Model>, String> {
        let _ = person;
        self.open(name).await
    }

    /// The pauses that providers asked this process for.
    fn pauses(&self) -> Vec<Pause> {
        Vec::new()
    }

    /// Heeds a pause that a provider asked another process for.
    fn pause(&self, pause: Pause) {
        drop(pause);
    }
}
