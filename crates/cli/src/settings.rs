//! Configuration: defaults, then `/etc/quire/config.toml`, the person's own, the repository's,
//! the environment, flags. Each value remembers where it came from.

mod egress;
mod gateway;
mod images;
pub mod notices;
pub mod provider;
mod serve;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quire_domain::secret::Secret;
use serde::Deserialize;

use self::egress::{Egress, EgressWords};
use self::gateway::{Gateway, ModelsWords, PolicyWords};
use self::images::{Images, ImagesWords};
use self::notices::{Notices, NoticesWords};
use self::serve::{Serve, ServeWords};
use crate::exit::usage;
use crate::surroundings::Surroundings;

/// A value and where it came from.
#[derive(Debug, Clone)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// `default`, a file's path, a variable's name, or `command line`.
    pub origin: String,
}

impl<T> Setting<T> {
    /// The origin of what nobody set.
    pub const DEFAULT: &str = "default";
}

/// All settings, resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where data lies.
    pub data_dir: Option<Setting<PathBuf>>,
    /// The address of the Postgres database that has the tasks, where it is not a file among the
    /// data. It may hold a password: it is shown to nobody.
    pub store_url: Option<Setting<Secret<String>>>,
    /// The model to use where none is named.
    pub model: Option<Setting<String>>,
    /// Money per turn, in dollars.
    pub budget: Option<Setting<String>>,
    /// Wall-clock limit of a turn, in minutes.
    pub minutes: Setting<u64>,
    /// Directories below the home directory to show in sandboxes, beside the known ones.
    pub host_directories: Setting<Vec<PathBuf>>,
    /// Memory per sandbox, in MiB; 0 lets the host's size decide.
    pub memory_mib: Setting<u64>,
    /// Hours that the sandbox of a task that ended is kept for follow-ups.
    pub keep_hours: Setting<u64>,
    /// Hours that the sandbox of an attempt that was cut off or stands still is kept.
    pub keep_cut_off_hours: Setting<u64>,
    /// GiB of sandboxes that are kept, all together.
    pub sandboxes_gib: Setting<u64>,
    /// GiB of checkout layers that are kept.
    pub layers_gib: Setting<u64>,
    /// GiB of snapshots that are kept.
    pub snapshots_gib: Setting<u64>,
    /// Seconds after a change that the working tree of an attempt is put away; 0 is never.
    pub checkpoint_seconds: Setting<u64>,
    /// How long the answer to a question is waited for.
    pub answer_hours: Setting<u64>,
    /// The file of the key that secrets are sealed with, where it is not the data directory's.
    pub secrets_key_file: Option<Setting<PathBuf>>,
    /// How sandboxes reach the world.
    pub egress: Egress,
    /// How registries of images are reached.
    pub images: Images,
    /// How a server tells people of what happens.
    pub notices: Notices,
    /// How a server listens and how much it does at once.
    pub serve: Serve,
    /// The server that commands speak to, by the name it was signed in to by.
    pub remote: Option<Setting<String>>,
    /// What stands in for a model, and who may ask what.
    pub gateway: Gateway,
    /// Providers by name.
    pub providers: BTreeMap<String, Setting<Provider>>,
}

/// What a person says of a provider.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Another address.
    pub base_url: Option<String>,
    /// The variable that holds the key.
    pub key_variable: Option<String>,
    /// A command that prints the key.
    pub key_command: Option<Vec<String>>,
    /// What it allows.
    pub limits: Option<quire_models::gateway::Limits>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    model: Option<String>,
    budget: Option<String>,
    minutes: Option<u64>,
    host_directories: Option<Vec<PathBuf>>,
    memory_mib: Option<u64>,
    keep_hours: Option<u64>,
    keep_cut_off_hours: Option<u64>,
    sandboxes_gib: Option<u64>,
    layers_gib: Option<u64>,
    snapshots_gib: Option<u64>,
    checkpoint_seconds: Option<u64>,
    answer_hours: Option<u64>,
    egress: Option<EgressWords>,
    images: Option<ImagesWords>,
    models: Option<ModelsWords>,
    policy: Option<PolicyWords>,
    notices: Option<NoticesWords>,
    serve: Option<ServeWords>,
    store: Option<StoreWords>,
    remote: Option<String>,
    #[serde(default)]
    providers: BTreeMap<String, Provider>,
}

/// What a file says of the store.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreWords {
    url: Option<String>,
}

/// A configuration file is at most this long, in bytes.
const MOST_BYTES: u64 = 256 << 10;

impl Settings {
    /// Reads all layers. `repository` is the top level of a trusted checkout.
    pub fn read(surroundings: &Surroundings, repository: Option<&Path>) -> anyhow::Result<Self> {
        let mut settings = Self::defaults(surroundings);
        let files = [
            (Some(PathBuf::from("/etc/quire/config.toml")), Trust::Full),
            (surroundings.config_dir().map(|dir| dir.join("config.toml")), Trust::Full),
            (repository.map(|root| root.join(".quire/config.toml")), Trust::Repository),
        ];
        for (path, trust) in files.into_iter().filter_map(|(path, trust)| Some((path?, trust))) {
            if let Some(file) = read_file(&path, trust)? {
                settings.layer(file, &path.display().to_string(), trust)?;
            }
        }
        settings.layer_variables(surroundings)?;
        Ok(settings)
    }

    fn defaults(surroundings: &Surroundings) -> Self {
        fn default<T>(value: T) -> Setting<T> {
            Setting { value, origin: Setting::<T>::DEFAULT.to_owned() }
        }
        Self {
            data_dir: surroundings.default_data_dir().map(default),
            store_url: None,
            model: None,
            budget: None,
            minutes: default(60),
            host_directories: default(Vec::new()),
            memory_mib: default(0),
            keep_hours: default(24),
            keep_cut_off_hours: default(7 * 24),
            sandboxes_gib: default(20),
            layers_gib: default(20),
            // As much as one environment may write by default: ten of a large project's
            // dependencies, and what goes is only made again.
            snapshots_gib: default(20),
            checkpoint_seconds: default(5),
            answer_hours: default(7 * 24),
            secrets_key_file: None,
            egress: Egress::default(),
            images: Images::default(),
            gateway: Gateway::default(),
            notices: Notices::default(),
            serve: Serve::default(),
            remote: None,
            providers: BTreeMap::new(),
        }
    }

    fn layer(&mut self, file: File, origin: &str, trust: Trust) -> anyhow::Result<()> {
        let personal = file.data_dir.is_some()
            || file.host_directories.is_some()
            || file.keep_hours.is_some()
            || file.keep_cut_off_hours.is_some()
            || file.sandboxes_gib.is_some()
            || file.layers_gib.is_some()
            || file.snapshots_gib.is_some()
            || file.checkpoint_seconds.is_some()
            || file.answer_hours.is_some()
            || file.egress.is_some()
            || file.images.is_some()
            || file.models.is_some()
            || file.policy.is_some()
            || file.notices.is_some()
            || file.serve.is_some()
            || file.store.is_some()
            || file.remote.is_some()
            || !file.providers.is_empty();
        if trust == Trust::Repository && personal {
            return Err(usage(format!(
                "{origin}: a repository may set `model`, `budget`, `minutes` and `memory_mib` only; \
                 put the rest into your own config.toml"
            )));
        }
        let at = |origin: &str| origin.to_owned();
        if let Some(value) = file.data_dir {
            if !value.is_absolute() {
                return Err(usage(format!("{origin}: `data_dir` must be an absolute path")));
            }
            self.data_dir = Some(Setting { value, origin: at(origin) });
        }
        if let Some(value) = file.model {
            self.model = Some(Setting { value, origin: at(origin) });
        }
        if let Some(value) = file.budget {
            self.budget = Some(Setting { value, origin: at(origin) });
        }
        set(&mut self.minutes, file.minutes, origin);
        set(&mut self.host_directories, file.host_directories, origin);
        set(&mut self.memory_mib, file.memory_mib, origin);
        set(&mut self.keep_hours, file.keep_hours, origin);
        set(&mut self.keep_cut_off_hours, file.keep_cut_off_hours, origin);
        set(&mut self.sandboxes_gib, file.sandboxes_gib, origin);
        set(&mut self.layers_gib, file.layers_gib, origin);
        set(&mut self.snapshots_gib, file.snapshots_gib, origin);
        set(&mut self.checkpoint_seconds, file.checkpoint_seconds, origin);
        set(&mut self.answer_hours, file.answer_hours, origin);
        if let Some(words) = file.egress {
            self.egress.layer(words, origin)?;
        }
        if let Some(words) = file.images {
            self.images.layer(words, origin)?;
        }
        if let Some(words) = file.models {
            self.gateway.layer_models(words, origin)?;
        }
        if let Some(words) = file.policy {
            self.gateway.layer_policy(words, origin)?;
        }
        if let Some(words) = file.notices {
            self.notices.layer(words, origin)?;
        }
        if let Some(words) = file.serve {
            self.serve.layer(words, origin)?;
        }
        if let Some(value) = file.store.and_then(|store| store.url) {
            self.store_url = Some(Setting { value: Secret::new(value), origin: at(origin) });
        }
        if let Some(value) = file.remote {
            self.remote = Some(Setting { value, origin: at(origin) });
        }
        for (name, value) in file.providers {
            self.providers.insert(name, Setting { value, origin: at(origin) });
        }
        Ok(())
    }

    fn layer_variables(&mut self, surroundings: &Surroundings) -> anyhow::Result<()> {
        if let Some(value) = surroundings.variable("QUIRE_DATA_DIR") {
            let value = PathBuf::from(value);
            // It is set once and read in many directories.
            if !value.is_absolute() {
                return Err(usage("QUIRE_DATA_DIR must be an absolute path"));
            }
            self.data_dir = Some(Setting { value, origin: "QUIRE_DATA_DIR".to_owned() });
        }
        if let Some(value) = surroundings.variable("QUIRE_STORE_URL") {
            let value = Secret::new(value.to_owned());
            self.store_url = Some(Setting { value, origin: "QUIRE_STORE_URL".to_owned() });
        }
        if let Some(value) = surroundings.variable("QUIRE_MODEL") {
            self.model =
                Some(Setting { value: value.to_owned(), origin: "QUIRE_MODEL".to_owned() });
        }
        if let Some(value) = surroundings.variable("QUIRE_BUDGET") {
            self.budget =
                Some(Setting { value: value.to_owned(), origin: "QUIRE_BUDGET".to_owned() });
        }
        if let Some(value) = surroundings.variable("QUIRE_MINUTES") {
            let minutes = value.parse().map_err(|_| {
                usage(format!("QUIRE_MINUTES is `{value}`, not a number of minutes"))
            })?;
            self.minutes = Setting { value: minutes, origin: "QUIRE_MINUTES".to_owned() };
        }
        if let Some(value) = surroundings.variable("QUIRE_SECRETS_KEY_FILE") {
            let value = PathBuf::from(value);
            if !value.is_absolute() {
                return Err(usage("QUIRE_SECRETS_KEY_FILE must be an absolute path"));
            }
            let origin = "QUIRE_SECRETS_KEY_FILE".to_owned();
            self.secrets_key_file = Some(Setting { value, origin });
        }
        self.egress.layer_variables(surroundings);
        self.serve.layer_variables(surroundings)
    }

    /// Name, value and origin of each setting, for `quire config show`.
    pub fn rows(&self) -> Vec<[String; 3]> {
        fn row<T>(
            name: &str,
            setting: Option<&Setting<T>>,
            text: impl Fn(&T) -> String,
        ) -> [String; 3] {
            match setting {
                Some(setting) => [name.to_owned(), text(&setting.value), setting.origin.clone()],
                None => [name.to_owned(), "–".to_owned(), "not set".to_owned()],
            }
        }
        let path = |path: &PathBuf| path.display().to_string();
        let mut rows = vec![
            row("data_dir", self.data_dir.as_ref(), path),
            row("store.url", self.store_url.as_ref(), |_| "(set)".to_owned()),
            row("model", self.model.as_ref(), Clone::clone),
            row("budget", self.budget.as_ref(), Clone::clone),
            row("minutes", Some(&self.minutes), u64::to_string),
            row("host_directories", Some(&self.host_directories), |list| {
                list.iter().map(path).collect::<Vec<_>>().join(", ")
            }),
            row("memory_mib", Some(&self.memory_mib), u64::to_string),
            row("keep_hours", Some(&self.keep_hours), u64::to_string),
            row("keep_cut_off_hours", Some(&self.keep_cut_off_hours), u64::to_string),
            row("sandboxes_gib", Some(&self.sandboxes_gib), u64::to_string),
            row("layers_gib", Some(&self.layers_gib), u64::to_string),
            row("snapshots_gib", Some(&self.snapshots_gib), u64::to_string),
            row("checkpoint_seconds", Some(&self.checkpoint_seconds), u64::to_string),
            row("answer_hours", Some(&self.answer_hours), u64::to_string),
        ];
        // Only who set it asks for it.
        if let Some(file) = &self.secrets_key_file {
            rows.push(row("secrets_key_file", Some(file), path));
        }
        rows.extend(self.egress.rows());
        rows.extend(self.images.rows());
        rows.extend(self.gateway.rows());
        rows.extend(self.notices.rows());
        rows.extend(self.serve.rows());
        if let Some(remote) = &self.remote {
            rows.push(row("remote", Some(remote), Clone::clone));
        }
        for (name, provider) in &self.providers {
            let name = format!("providers.{name}.base_url");
            rows.push(row(&name, Some(provider), |p| p.base_url.clone().unwrap_or_default()));
        }
        rows
    }
}

/// How far a file is trusted: a repository must not choose where keys are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Full,
    Repository,
}

fn set<T>(setting: &mut Setting<T>, value: Option<T>, origin: &str) {
    if let Some(value) = value {
        *setting = Setting { value, origin: origin.to_owned() };
    }
}

fn read_file(path: &Path, trust: Trust) -> anyhow::Result<Option<File>> {
    let shown = path.display();
    let found = match trust {
        Trust::Full => std::fs::metadata(path),
        // A link may lead anywhere, and its target's first line into an error.
        Trust::Repository => std::fs::symlink_metadata(path),
    };
    let text = match found {
        Ok(found) if !found.is_file() => return Ok(None),
        Ok(found) if found.len() > MOST_BYTES => {
            return Err(usage(format!("{shown} is longer than {MOST_BYTES} bytes")));
        }
        Ok(_) => std::fs::read_to_string(path)
            .map_err(|error| usage(format!("cannot read {shown}: {error}")))?,
        Err(_) => return Ok(None),
    };
    toml::from_str(&text).map(Some).map_err(|error| usage(format!("{shown}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(dir: &Path, variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            variables: variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            home: Some(dir.to_owned()),
            current_dir: dir.to_owned(),
            stdout_terminal: false,
            stderr_terminal: false,
            stdin_terminal: false,
        }
    }

    #[test]
    fn a_later_layer_wins_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".config/quire")).unwrap();
        let file = dir.path().join(".config/quire/config.toml");
        std::fs::write(&file, "model = 'a/b'\nminutes = 5\n").unwrap();
        let around = surroundings(dir.path(), &[("QUIRE_MODEL", "c/d")]);
        let settings = Settings::read(&around, None).unwrap();
        let model = settings.model.unwrap();
        assert_eq!((model.value.as_str(), model.origin.as_str()), ("c/d", "QUIRE_MODEL"));
        assert_eq!(settings.minutes.value, 5);
        assert_eq!(settings.minutes.origin, file.display().to_string());
    }

    #[test]
    fn a_repository_cannot_choose_where_keys_are_sent() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("repo/.quire")).unwrap();
        let file = dir.path().join("repo/.quire/config.toml");
        std::fs::write(&file, "[providers.openai]\nbase_url = 'http://elsewhere'\n").unwrap();
        let around = surroundings(dir.path(), &[]);
        let error = Settings::read(&around, Some(&dir.path().join("repo"))).unwrap_err();
        assert!(error.to_string().contains("a repository may set"), "{error}");
    }

    #[test]
    fn a_repository_cannot_open_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("repo/.quire")).unwrap();
        let file = dir.path().join("repo/.quire/config.toml");
        for text in [
            "[egress]\n",
            "egress.private = ['a.example:80']",
            "egress.packages = []",
            "[images]",
            "[notices]",
        ] {
            std::fs::write(&file, text).unwrap();
            let around = surroundings(dir.path(), &[]);
            let error = Settings::read(&around, Some(&dir.path().join("repo"))).unwrap_err();
            assert!(error.to_string().contains("a repository may set"), "{text}: {error}");
        }
    }

    #[test]
    fn a_mistake_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".config/quire")).unwrap();
        std::fs::write(dir.path().join(".config/quire/config.toml"), "modle = 1\n").unwrap();
        let error = Settings::read(&surroundings(dir.path(), &[]), None).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains("modle"), "{error}");
    }
}
