//! The installation: everything below one data directory, opened and wired together.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use quire_domain::environment::Limits;
use quire_domain::ids::UserId;
use quire_domain::model::Model;
use quire_domain::secret::Secret;
use quire_domain::sizes::Machine;
use quire_domain::time::{Clock, Timestamp};
use quire_engine::{Chunks, FolderBlobs, LocalBus, LocalLog, Redaction};
use quire_evidence::keys::InstallationKey;
use quire_git::{Checkout, Git, GitConfig, GitError, PersonSettings};
use quire_images::Images;
use quire_models::{Catalogue, Client, Closed};
use quire_orchestrator::bases::Bases;
use quire_orchestrator::gateway::Gateway;
use quire_orchestrator::prepare::causes;
use quire_orchestrator::recorder::Record;
use quire_orchestrator::secrets_key::SecretsKey;
use quire_orchestrator::worker::{Models, Pause, Place, Worker};
use quire_sandbox::{NativeBackend, NativeConfig};
use quire_store::Store;

use crate::commands::Context;
use crate::exit::{Exit, stop, usage};
use crate::settings::Settings;
use crate::surroundings::Surroundings;

/// What a command works with.
pub struct Installation {
    /// The parts of a worker.
    pub worker: Worker,
    /// The settings.
    pub settings: Settings,
    /// What surrounds the process.
    pub surroundings: Surroundings,
    /// Models by name.
    pub models: Arc<CatalogueModels>,
    /// Why no sandbox can be made here, where that is known before one is tried.
    pub no_sandbox: Option<String>,
    /// The checkout that a command works on, if it said so when it opened all this.
    pub inspected: Option<Result<Checkout, GitError>>,
}

/// The wall clock.
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Installation {
    /// Opens everything. `repository` is the top level of the checkout a command works on, whose
    /// own settings then count.
    pub async fn open(context: Context, repository: Option<&Path>) -> anyhow::Result<Self> {
        Self::open_and_inspect(context, repository, None).await
    }

    /// Refuses where no sandbox can be made: before anything is written down or any model asked.
    pub fn needs_sandbox(&self) -> anyhow::Result<()> {
        match &self.no_sandbox {
            Some(why) => Err(stop(Exit::NoSandbox, why.clone())),
            None => Ok(()),
        }
    }

    /// As [`Installation::open`], and looks at the checkout that `path` lies in meanwhile.
    pub async fn open_and_inspect(
        context: Context,
        repository: Option<&Path>,
        path: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let Context { surroundings, zygote, data_dir, remote: _ } = context;
        let mut settings = Settings::read(&surroundings, repository)?;
        if data_dir.is_some() {
            settings.data_dir = data_dir;
        }
        let data_dir = data_dir_of(&settings)?;
        let zygote = zygote.map_err(|error| {
            stop(
                Exit::NoSandbox,
                format!("cannot start the process sandboxes are made from: {error}"),
            )
        })?;
        let native = NativeConfig { state_dir: data_dir.join("sandboxes") };
        let store_path = data_dir.join("quire.db");
        let events_path = data_dir.join("events.db");
        let git = Git::new(git_config(&surroundings, &data_dir))?;
        // In a task of its own, so that git is begun before anything else here.
        let inspecting = path.map(|path| {
            let (git, path) = (git.clone(), path.to_owned());
            tokio::spawn(async move { git.inspect(&path).await })
        });
        let inspect = async {
            match inspecting {
                Some(inspecting) => Some(inspecting.await),
                None => None,
            }
        };
        // Who looks at a checkout is about to write a task down.
        let writes = path.is_some();
        let store = async {
            if let Some(url) = &settings.store_url {
                Store::open_url(url.value.reveal()).await
            } else if writes {
                Store::open_to_write(&store_path).await
            } else {
                Store::open(&store_path).await
            }
        };
        let log = async {
            if writes {
                LocalLog::open_to_write(&events_path).await
            } else {
                LocalLog::open(&events_path).await
            }
        };
        let (inspected, sandboxes, store, log) =
            tokio::join!(inspect, NativeBackend::new(zygote, native), store, log,);
        let inspected = inspected.transpose()?;
        let store = store.map_err(|error| {
            let advice = error.advice();
            let what = match &settings.store_url {
                Some(url) => format!("the store that {} names", url.origin),
                None => store_path.display().to_string(),
            };
            anyhow::Error::new(error).context(format!("cannot open {what}: {advice}"))
        })?;
        let log = log.with_context(|| format!("cannot open {}", events_path.display()))?;
        let sandboxes = sandboxes.map_err(|error| {
            if error.is_host_disk_full() {
                return error.into();
            }
            stop(Exit::NoSandbox, error.to_string())
        })?;
        let no_sandbox = sandboxes.unsupported().map(|why| why.to_string());
        let models = Arc::new(CatalogueModels::new(&surroundings, &settings)?);
        let record = Record {
            log: Arc::new(log),
            bus: Arc::new(LocalBus::new()),
            blobs: Arc::new(FolderBlobs::new(data_dir.join("blobs"))),
            chunks: Chunks::new(data_dir.join("chunks")),
            clock: Arc::new(WallClock),
            redaction: Redaction::of(models.keys()),
        };
        let mut host = surroundings.host_facts(&host_directories(&surroundings, &settings)?);
        host.private.push(data_dir.clone());
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let gateway = Gateway::new(
            Arc::clone(&models) as Arc<dyn Models>,
            store.clone(),
            Arc::clone(&clock),
            settings.gateway.rules(&surroundings),
        );
        let worker = Worker {
            store,
            gateway,
            record,
            git,
            sandboxes: Arc::new(sandboxes),
            models: Arc::clone(&models) as Arc<dyn Models>,
            purses: quire_orchestrator::purse::Purses::default(),
            clock,
            key: Arc::new(installation_key(&data_dir)?),
            secrets: Arc::new(match &settings.secrets_key_file {
                Some(file) => SecretsKey::named(file.value.clone()),
                None => SecretsKey::beside(&data_dir),
            }),
            way_out: settings.egress.way_out(),
            bases: bases(&settings, &data_dir),
            host,
            inbox: quire_orchestrator::inbox::Inbox::default(),
            leaving: quire_orchestrator::leaving::Leaving::default(),
            place: Place {
                global_instructions: surroundings.config_dir().map(|dir| dir.join("AGENTS.md")),
                worker: quire_orchestrator::lease::worker_name(&host_name()),
                host: host_name(),
                machine: machine(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                checkpoint_after: match settings.checkpoint_seconds.value {
                    0 => None,
                    seconds => Some(Duration::from_secs(seconds)),
                },
                answer_within: Duration::from_secs(
                    settings.answer_hours.value.saturating_mul(3_600),
                ),
                data_dir,
            },
        };
        Ok(Self { worker, settings, surroundings, models, no_sandbox, inspected })
    }
}

/// The data directory, made if absent and readable by nobody else.
pub fn data_dir_of(settings: &Settings) -> anyhow::Result<PathBuf> {
    let Some(setting) = &settings.data_dir else {
        return Err(usage(
            "there is no home directory to keep data in: set QUIRE_DATA_DIR or use --data-dir",
        ));
    };
    let dir = &setting.value;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return error.into();
        }
        usage(format!(
            "cannot make the data directory {} (from {}): {error}",
            dir.display(),
            setting.origin
        ))
    })?;
    // One that was there before, and is ours, is closed to others as well.
    let ours = std::fs::metadata(dir).is_ok_and(|found| {
        found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 != 0
    });
    let holds_data = dir.join("quire.db").exists();
    let empty = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if ours && (holds_data || empty) {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(dir.clone())
}

/// Root file systems that are not the host's. Files that the settings name are read when the first
/// is needed.
fn bases(settings: &Settings, data_dir: &Path) -> Bases {
    let dir = data_dir.join("images");
    let (images, egress, place) = (settings.images.clone(), settings.egress.clone(), dir.clone());
    Bases::new(dir, move || {
        let config = images.config(&egress, &place, &std::env::current_exe())?;
        Images::open(config).map_err(|error| causes(&error))
    })
}

/// Where git is, and what it may know of the person.
pub fn git_config(surroundings: &Surroundings, data_dir: &Path) -> GitConfig {
    const NETWORK: [&str; 10] = [
        "SSH_AUTH_SOCK",
        "GIT_SSH_COMMAND",
        "http_proxy",
        "https_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
        "GIT_SSL_CAINFO",
        "SSL_CERT_FILE",
    ];
    let path = surroundings.variable("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let git = std::env::split_paths(path)
        .map(|dir| dir.join("git"))
        .find(|program| program.is_file())
        .unwrap_or_else(|| PathBuf::from("/usr/bin/git"));
    GitConfig {
        git,
        data_dir: data_dir.to_owned(),
        path_env: path.into(),
        person: PersonSettings {
            home: surroundings.home.clone(),
            config_home: surroundings.variable("XDG_CONFIG_HOME").map(PathBuf::from),
            network_env: NETWORK
                .iter()
                .filter_map(|name| Some(((*name).into(), surroundings.variable(name)?.into())))
                .collect(),
            sudo_uid: surroundings.variable("SUDO_UID").and_then(|uid| uid.parse().ok()),
        },
    }
}

/// The key that signs evidence: made at the first start, kept where only its owner can read it.
fn installation_key(data_dir: &Path) -> anyhow::Result<InstallationKey> {
    let keys = data_dir.join("keys");
    let path = keys.join("installation.pk8");
    if let Ok(bytes) = std::fs::read(&path) {
        return InstallationKey::from_pkcs8(&bytes)
            .with_context(|| format!("{} is not a key of Quire", path.display()));
    }
    let make = || -> anyhow::Result<Vec<u8>> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&keys)?;
        let bytes = InstallationKey::generate()?;
        let unfinished = keys.join(format!("installation.{}", std::process::id()));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        // Two first starts at once: the first one's key stays, and both use it.
        let linked = std::fs::hard_link(&unfinished, &path);
        std::fs::remove_file(&unfinished)?;
        if linked.is_err() {
            return Ok(std::fs::read(&path)?);
        }
        std::fs::write(
            keys.join("installation.pub"),
            InstallationKey::from_pkcs8(&bytes)?.public().to_pem(),
        )?;
        Ok(bytes)
    };
    let bytes = make().with_context(|| format!("cannot make the key {}", path.display()))?;
    Ok(InstallationKey::from_pkcs8(&bytes)?)
}

fn host_directories(
    surroundings: &Surroundings,
    settings: &Settings,
) -> anyhow::Result<Vec<PathBuf>> {
    let Some(home) = &surroundings.home else { return Ok(Vec::new()) };
    let setting = &settings.host_directories;
    setting
        .value
        .iter()
        .map(|path| {
            let path = home.join(path);
            if path.starts_with(home) {
                Ok(path)
            } else {
                Err(usage(format!(
                    "{}: `host_directories` names `{}`, which is not below {}",
                    setting.origin,
                    path.display(),
                    home.display()
                )))
            }
        })
        .collect()
}

/// Limits for this host: three quarters of its memory, at most 8 GiB, all its CPUs, and the time
/// that the settings give.
pub fn limits_of(settings: &Settings) -> Limits {
    let wall_clock_s = settings.minutes.value.saturating_mul(60);
    let mut limits = Limits { wall_clock_s, ..Limits::default() };
    let cpus = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    limits.cpu_millis = u32::try_from(cpus.saturating_mul(1000)).unwrap_or(u32::MAX);
    if settings.memory_mib.value > 0 {
        limits.memory_bytes = settings.memory_mib.value << 20;
    } else {
        let total = total_memory();
        if total > 0 {
            limits.memory_bytes = limits.memory_bytes.min(total / 4 * 3);
        }
    }
    limits
}

/// How large this machine is, as programs on it see it.
fn machine() -> Machine {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Machine { cpus: u32::try_from(cpus).unwrap_or(u32::MAX), memory_bytes: total_memory() }
}

fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    u64::from(info.mem_unit) * info.totalram
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Opens models by the catalogue, sharing one client.
pub struct CatalogueModels {
    /// The catalogue, the person's own files included.
    pub catalogue: Catalogue,
    /// Keys and addresses.
    pub settings: quire_models::Settings,
    client: Arc<Client>,
}

impl CatalogueModels {
    /// Reads the catalogue and the keys.
    pub fn new(surroundings: &Surroundings, settings: &Settings) -> anyhow::Result<Self> {
        let own = surroundings.config_dir().map(|dir| dir.join("models"));
        let own = own.filter(|dir| dir.is_dir());
        let catalogue =
            Catalogue::load(own.as_deref()).map_err(|error| usage(error.to_string()))?;
        let variables: BTreeMap<String, Secret<String>> = surroundings
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), Secret::new(value.clone())))
            .collect();
        let mut models = quire_models::Settings { variables, ..quire_models::Settings::default() };
        for (name, provider) in &settings.providers {
            let provider = &provider.value;
            if let Some(url) = &provider.base_url {
                models.base_urls.insert(name.clone(), url.clone());
            }
            if let Some(variable) = &provider.key_variable
                && let Some(value) = surroundings.variable(variable)
            {
                models.keys.insert(name.clone(), Secret::new(value.to_owned()));
            }
            if let Some(command) = &provider.key_command {
                models.keys.insert(name.clone(), key_from(command, name)?);
            }
        }
        for (name, provider) in &settings.providers {
            if let Some(limits) = provider.value.limits {
                models.limits.insert(name.clone(), limits);
            }
        }
        if let Some(longest) = settings.gateway.longest_wait() {
            models.longest_wait = models.longest_wait.min(longest);
        }
        models.default_model = settings.model.as_ref().map(|setting| setting.value.clone());
        let client = Arc::new(Client::new(models.clone()));
        Ok(Self { catalogue, settings: models, client })
    }

    /// The keys that this process knows: nobody may read them in a record.
    fn keys(&self) -> impl Iterator<Item = Secret<Vec<u8>>> {
        let keys = self.catalogue.keys(&self.settings).into_iter();
        keys.map(|key| Secret::new(key.reveal().clone().into_bytes()))
    }

    /// Finds the model for a name, or the default one.
    pub async fn resolve(&self, name: Option<&str>) -> anyhow::Result<quire_models::ResolvedModel> {
        let resolved = self.catalogue.resolve(name, &self.settings).await;
        resolved.map_err(|error| stop(Exit::NoModel, error.to_string()))
    }

    /// The model behind a resolved name.
    pub fn connect(&self, model: quire_models::ResolvedModel) -> Arc<dyn Model> {
        self.client.connect(model)
    }
}

#[async_trait]
impl Models for CatalogueModels {
    async fn open(&self, name: &str) -> Result<Arc<dyn Model>, String> {
        let resolved = self.catalogue.resolve(Some(name), &self.settings).await;
        resolved.map(|model| self.client.connect(model)).map_err(|error| error.to_string())
    }

    async fn open_for(&self, name: &str, person: UserId) -> Result<Arc<dyn Model>, String> {
        let resolved = self.catalogue.resolve(Some(name), &self.settings).await;
        let connected = resolved.map(|model| self.client.connect_for(person, model));
        connected.map_err(|error| error.to_string())
    }

    fn pauses(&self) -> Vec<Pause> {
        let pause = |closed: Closed| Pause {
            wait_ms: u64::try_from(closed.wait.as_millis()).unwrap_or(u64::MAX),
            provider: closed.provider,
            message: closed.message,
        };
        self.client.closed().into_iter().map(pause).collect()
    }

    fn pause(&self, pause: Pause) {
        let Pause { provider, wait_ms, message } = pause;
        self.client.close(&Closed { provider, wait: Duration::from_millis(wait_ms), message });
    }
}

fn key_from(command: &[String], provider: &str) -> anyhow::Result<Secret<String>> {
    let (program, args) = command
        .split_first()
        .ok_or_else(|| usage(format!("providers.{provider}.key_command is empty")))?;
    let output = std::process::Command::new(program)
        .args(args)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| {
            usage(format!("providers.{provider}.key_command: `{program}`: {error}"))
        })?;
    let key = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !key.is_empty() {
        Ok(Secret::new(key))
    } else {
        Err(usage(format!("providers.{provider}.key_command gave no key ({})", output.status)))
    }
}
