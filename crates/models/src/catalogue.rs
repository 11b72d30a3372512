//! The providers and their models, from JSON files: those built in, and a person's own.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use quire_domain::budget::Price;
use quire_domain::model::ModelInfo;
use quire_domain::secret::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::price;
use crate::settings::Settings;

const BUILT_IN: [(&str, &str); 8] = [
    ("openai", include_str!("../catalogue/openai.json")),
    ("anthropic", include_str!("../catalogue/anthropic.json")),
    ("openrouter", include_str!("../catalogue/openrouter.json")),
    ("ollama", include_str!("../catalogue/ollama.json")),
    ("lmstudio", include_str!("../catalogue/lmstudio.json")),
    ("llamacpp", include_str!("../catalogue/llamacpp.json")),
    ("vllm", include_str!("../catalogue/vllm.json")),
    ("scripted", include_str!("../catalogue/scripted.json")),
];

/// A catalogue file is at most this long, and a directory holds at most 256 of them.
const FILE_LIMIT: u64 = 1024 * 1024;
const FILES_LIMIT: usize = 256;

/// All providers that are known.
#[derive(Debug, Clone)]
pub struct Catalogue {
    providers: Vec<Provider>,
}

/// How a provider talks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI Responses.
    Responses,
    /// Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
}

impl Dialect {
    /// The word used in files and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Chat => "chat",
            Self::Messages => "messages",
        }
    }
}

/// In what role a Chat Completions server takes what the system says between other messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeveloperRole {
    /// As `developer`.
    #[default]
    Developer,
    /// As `system`.
    System,
    /// As `user`: templates of local models often refuse the others after the start.
    User,
}

/// How an Anthropic-like server is told what to cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheMarks {
    /// One mark at the top of the body; the server finds the last block by itself.
    #[default]
    Automatic,
    /// A mark on the system prompt and one on the last block.
    Blocks,
    /// None.
    None,
}

/// A provider, as its file describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as the file has them")]
pub struct Provider {
    /// The first half of a model's full name.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// How it talks.
    pub dialect: Dialect,
    /// Where it is, up to and including the version, e.g. `https://api.openai.com/v1`. May be
    /// empty where only a setting knows.
    pub base_url: String,
    /// Environment variables that may hold its key, best first.
    #[serde(default)]
    pub key_variables: Vec<String>,
    /// Environment variables that may hold its base URL, best first.
    #[serde(default)]
    pub base_url_variables: Vec<String>,
    /// Whether it answers without a key.
    #[serde(default)]
    pub key_optional: bool,
    /// The port on which a server of this kind usually listens on this machine.
    #[serde(default)]
    pub local_port: Option<u16>,
    /// Seconds that the first byte of a reply may take, where that is longer than a reply may
    /// stay silent: a small machine reads a long request for minutes before it writes a word.
    #[serde(default)]
    pub first_wait_s: Option<u32>,
    /// Whether it may have models that are not listed here.
    #[serde(default)]
    pub any_model: bool,
    /// Whether it costs nothing: models without a price of their own cost zero.
    #[serde(default)]
    pub free: bool,
    /// Whether its replies are played from a script.
    #[serde(default)]
    pub scripted: bool,
    /// The model to take when none is named.
    #[serde(default)]
    pub default_model: Option<String>,
    /// Chat Completions only.
    #[serde(default)]
    pub developer_role: DeveloperRole,
    /// Anthropic Messages only.
    #[serde(default)]
    pub cache_marks: CacheMarks,
    /// Further request headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is assumed of models that are not listed.
    #[serde(default)]
    pub unlisted: Abilities,
    /// Its models.
    #[serde(default)]
    pub models: Vec<ModelEntry>,
}

/// What a model can do.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct Abilities {
    /// Tokens its window holds, output included.
    pub window_tokens: u64,
    /// Tokens it may write in one reply.
    pub max_output_tokens: u64,
    /// Whether it sees pictures.
    pub images: bool,
    /// Whether it takes tools whose input is free text under a grammar (Responses only).
    pub custom_tools: bool,
    /// Whether it reasons in items of their own.
    pub reasoning: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            window_tokens: 128_000,
            max_output_tokens: 16_000,
            images: false,
            custom_tools: false,
            reasoning: false,
        }
    }
}

/// A model, as its provider's file describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct ModelEntry {
    /// The name the provider knows it by.
    pub name: String,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How it talks, where not as its provider does.
    #[serde(default)]
    pub dialect: Option<Dialect>,
    /// What it can do.
    #[serde(flatten)]
    pub abilities: Abilities,
    /// What it costs.
    #[serde(default, deserialize_with = "price::from_dollars")]
    pub price: Option<Price>,
    /// Fields added to every request body.
    #[serde(default)]
    pub request: Map<String, Value>,
}

/// Why a catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A file or the directory cannot be read.
    #[error("cannot read the model catalogue at {path}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not a provider.
    #[error("{origin} does not describe a provider")]
    Malformed {
        /// The file.
        origin: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A file is too long, or there are too many.
    #[error("the model catalogue at {path} is too large")]
    TooLarge {
        /// Where.
        path: PathBuf,
    },
}

impl Catalogue {
    /// The built-in providers and those of `extra_dir` (`*.json`, by name; it need not exist). A
    /// provider with the id of an earlier one takes its place.
    pub fn load(extra_dir: Option<&Path>) -> Result<Self, CatalogueError> {
        let mut catalogue = Self { providers: Vec::with_capacity(BUILT_IN.len()) };
        for (id, text) in BUILT_IN {
            catalogue.add(&format!("the built-in file `{id}.json`"), text)?;
        }
        if let Some(dir) = extra_dir {
            for path in json_files(dir)? {
                catalogue.add(&path.display().to_string(), &read_bounded(&path)?)?;
            }
        }
        Ok(catalogue)
    }

    /// All providers: those built in first, in the order in which a default is looked for.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The provider of that id.
    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    /// What is known of all listed models, by their full names.
    pub fn infos(&self) -> impl Iterator<Item = ModelInfo> {
        self.providers
            .iter()
            .flat_map(|provider| provider.models.iter().map(|model| provider.info(model)))
    }

    /// The names of all environment variables that matter, for the one caller that reads them.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.providers
            .iter()
            .flat_map(|provider| provider.key_variables.iter().chain(&provider.base_url_variables))
            .map(String::as_str)
    }

    /// The keys of all providers that have one here, none of them asked of a model's address.
    pub fn keys(&self, settings: &Settings) -> Vec<Secret<String>> {
        self.providers
            .iter()
            .filter_map(|provider| crate::resolve::key(provider, settings))
            .collect()
    }

    fn add(&mut self, origin: &str, text: &str) -> Result<(), CatalogueError> {
        let provider: Provider = serde_json::from_str(text)
            .map_err(|source| CatalogueError::Malformed { origin: origin.to_owned(), source })?;
        match self.providers.iter_mut().find(|known| known.id == provider.id) {
            Some(known) => *known = provider,
            None => self.providers.push(provider),
        }
        Ok(())
    }
}

impl Provider {
    /// What is known of one of its models.
    fn info(&self, model: &ModelEntry) -> ModelInfo {
        ModelInfo {
            name: format!("{}/{}", self.id, model.name),
            window_tokens: model.abilities.window_tokens,
            max_output_tokens: model.abilities.max_output_tokens,
            images: model.abilities.images,
            price: model.price.clone().or_else(|| self.free.then(price::nothing)),
            scripted: self.scripted,
        }
    }

    /// The entry for a model by its name or another of its names.
    pub fn model(&self, name: &str) -> Option<&ModelEntry> {
        self.models
            .iter()
            .find(|model| model.name == name || model.aliases.iter().any(|alias| alias == name))
    }
}

fn json_files(dir: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    let unreadable = |source| CatalogueError::Unreadable { path: dir.to_path_buf(), source };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
        if paths.len() > FILES_LIMIT {
            return Err(CatalogueError::TooLarge { path: dir.to_path_buf() });
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_bounded(path: &Path) -> Result<String, CatalogueError> {
    let unreadable = |source| CatalogueError::Unreadable { path: path.to_path_buf(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_LIMIT + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(CatalogueError::TooLarge { path: path.to_path_buf() });
    }
    Ok(text)
}
