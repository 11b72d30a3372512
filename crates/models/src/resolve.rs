//! From the name a person typed (or none) to one model at one address.

use std::fmt::Write as _;
use std::time::Duration;

use quire_domain::model::ModelInfo;
use quire_domain::secret::Secret;
use serde_json::{Map, Value};

use crate::catalogue::{
    Abilities, CacheMarks, Catalogue, DeveloperRole, Dialect, ModelEntry, Provider,
};
use crate::probe::{self, LocalServer};
use crate::settings::Settings;
use crate::{http, price};

/// A model that can be asked, and all that asking it takes.
#[derive(Debug, Clone)]
pub struct ResolvedModel {
    /// What is known about it. Its name is `provider/model`.
    pub info: ModelInfo,
    /// The provider's id.
    pub provider: String,
    /// The provider's name for people.
    pub provider_title: String,
    /// The name the provider knows it by.
    pub model: String,
    /// How it is talked to.
    pub dialect: Dialect,
    /// Where it is, without a slash at the end.
    pub base_url: String,
    /// Whether the address is not the catalogue's own.
    pub custom_base_url: bool,
    /// Its key, where it needs one.
    pub key: Option<Secret<String>>,
    /// What it can do.
    pub abilities: Abilities,
    /// Why it was taken, where nobody named it; for the person.
    pub chosen_because: Option<String>,
    pub(crate) first_wait: Duration,
    pub(crate) developer_role: DeveloperRole,
    pub(crate) cache_marks: CacheMarks,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) request: Map<String, Value>,
}

/// Why no model could be found. The message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// None was named, no key is set and no local server answers.
    #[error(
        "no model to use: set one of {}, start a local server ({}), or name a model with --model",
        variables.join(", "), servers.join(", ")
    )]
    NothingToUse {
        /// The variables that may hold a key.
        variables: Vec<String>,
        /// The local servers that were looked for, with their ports.
        servers: Vec<String>,
    },
    /// The provider needs a key.
    #[error("{provider} needs a key for `{model}`: set {}", variables.join(" or "))]
    MissingKey {
        /// The provider's name for people.
        provider: String,
        /// The model that was asked for.
        model: String,
        /// The variables that may hold the key.
        variables: Vec<String>,
    },
    /// Nobody has such a model.
    #[error("no model `{name}` is known{}", hint(near))]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// Full names that come close, at most five.
        near: Vec<String>,
    },
    /// Only a setting can say where the provider is, and none does.
    #[error("nobody knows where {provider} is: set {}", variables.join(" or "))]
    NoAddress {
        /// The provider's name for people.
        provider: String,
        /// The variables that may hold its address.
        variables: Vec<String>,
    },
    /// A provider was named without a model, and its server lists none.
    #[error("{provider} lists no model at {base_url}: start it, or name one as `provider/model`")]
    NothingThere {
        /// The provider's name for people.
        provider: String,
        /// Where it was looked for.
        base_url: String,
    },
    /// The address is not one.
    #[error("`{url}` is not an address of a model server: {problem}")]
    BadAddress {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn hint(near: &[String]) -> String {
    let mut text = String::new();
    if !near.is_empty() {
        let _ = write!(text, "; did you mean {}?", near.join(", "));
    }
    text.push_str(" (`quire model list` shows all; a file in the catalogue directory adds one)");
    text
}

impl Catalogue {
    /// Finds the model for `name`: `provider/model`, `provider`, or a model's bare name. With
    /// none, the setting's default, else the first provider with a key, else a local server that
    /// answers on its usual port within the probe timeout.
    ///
    /// A model that is not listed is taken where the provider says it has such, or where its
    /// address is not the catalogue's own; it then has the provider's usual window and, unless
    /// it is free, no price.
    pub async fn resolve(
        &self,
        name: Option<&str>,
        settings: &Settings,
    ) -> Result<ResolvedModel, ResolveError> {
        match name.or(settings.default_model.as_deref()).map(str::trim) {
            Some(name) if !name.is_empty() => self.named(name, settings).await,
            _ => self.usual(settings).await,
        }
    }

    async fn named(&self, name: &str, settings: &Settings) -> Result<ResolvedModel, ResolveError> {
        if let Some((id, model)) = name.split_once('/')
            && let Some(provider) = self.provider(id)
        {
            return self.measured(provider, model, name, settings).await;
        }
        if let Some(provider) = self.provider(name) {
            let model = usual_model(provider, settings)
                .await
                .ok_or_else(|| nothing_at(provider, settings))?;
            return self.measured(provider, &model, name, settings).await;
        }
        let holders: Vec<&Provider> =
            self.providers().iter().filter(|p| p.model(name).is_some()).collect();
        let usable = holders.iter().find(|p| is_set_up(p, settings));
        if let Some(provider) = usable.or(holders.first()) {
            return self.at(provider, name, name, settings);
        }
        // Nobody lists it: perhaps the one server the person pointed us at has it.
        let pointed_at =
            self.providers().iter().find(|p| custom_address(p, settings).is_some() && !p.scripted);
        match pointed_at {
            Some(provider) => self.measured(provider, name, name, settings).await,
            None => Err(self.unknown(name)),
        }
    }

    async fn usual(&self, settings: &Settings) -> Result<ResolvedModel, ResolveError> {
        for provider in self.providers() {
            if is_set_up(provider, settings) {
                let model = usual_model(provider, settings)
                    .await
                    .ok_or_else(|| nothing_at(provider, settings))?;
                let mut resolved = self.measured(provider, &model, &model, settings).await?;
                resolved.chosen_because = Some(why_set_up(provider, settings));
                return Ok(resolved);
            }
        }
        let locals: Vec<&Provider> =
            self.providers().iter().filter(|p| p.local_port.is_some()).collect();
        let probes = locals.iter().map(|provider| {
            probe::local_server(
                http::normal_base_url(&provider.base_url, provider.dialect),
                settings,
            )
        });
        let answers = futures::future::join_all(probes).await;
        for (provider, answer) in locals.iter().zip(answers) {
            if let Some(LocalServer { models }) = answer
                && let Some(model) = models.first()
            {
                let mut resolved = self.at(provider, &model.id, &model.id, settings)?;
                resolved.set_window(model.window_tokens);
                resolved.chosen_because =
                    Some(format!("{} answers at {}", provider.title, resolved.base_url));
                return Ok(resolved);
            }
        }
        Err(ResolveError::NothingToUse {
            variables: self
                .providers()
                .iter()
                .filter(|p| !p.key_optional)
                .flat_map(|p| p.key_variables.iter().cloned())
                .collect(),
            servers: locals
                .iter()
                .filter_map(|p| p.local_port.map(|port| format!("{} on port {port}", p.title)))
                .collect(),
        })
    }

    /// The model, with the window that its server says it has where nobody listed one: a local
    /// server is started with any.
    async fn measured(
        &self,
        provider: &Provider,
        model: &str,
        typed: &str,
        settings: &Settings,
    ) -> Result<ResolvedModel, ResolveError> {
        let mut resolved = self.at(provider, model, typed, settings)?;
        let may_tell = provider.local_port.is_some() || resolved.custom_base_url;
        if provider.model(model).is_none() && may_tell && !provider.scripted {
            let server = probe::local_server(resolved.base_url.clone(), settings).await;
            let listed = server.and_then(|s| s.models.into_iter().find(|m| m.id == resolved.model));
            resolved.set_window(listed.and_then(|model| model.window_tokens));
        }
        Ok(resolved)
    }

    fn at(
        &self,
        provider: &Provider,
        model: &str,
        typed: &str,
        settings: &Settings,
    ) -> Result<ResolvedModel, ResolveError> {
        let custom = custom_address(provider, settings);
        let entry = provider.model(model);
        if model.is_empty() || (entry.is_none() && !provider.any_model && custom.is_none()) {
            return Err(self.unknown(typed));
        }
        let dialect = entry.and_then(|e| e.dialect).unwrap_or(provider.dialect);
        let address = custom.clone().unwrap_or_else(|| provider.base_url.clone());
        if address.is_empty() {
            return Err(ResolveError::NoAddress {
                provider: provider.title.clone(),
                variables: provider.base_url_variables.clone(),
            });
        }
        let base_url = http::normal_base_url(&address, dialect);
        http::check_base_url(&base_url)
            .map_err(|problem| ResolveError::BadAddress { url: address.clone(), problem })?;
        let key = key(provider, settings);
        if key.is_none() && !provider.key_optional && custom.is_none() {
            return Err(ResolveError::MissingKey {
                provider: provider.title.clone(),
                model: model.to_owned(),
                variables: provider.key_variables.clone(),
            });
        }
        let abilities =
            entry.map_or_else(|| provider.unlisted.clone(), |entry| entry.abilities.clone());
        let own_price = entry.and_then(|entry| entry.price.clone());
        let model = entry.map_or(model, |entry| entry.name.as_str());
        Ok(ResolvedModel {
            info: ModelInfo {
                name: format!("{}/{model}", provider.id),
                window_tokens: abilities.window_tokens,
                max_output_tokens: abilities.max_output_tokens,
                images: abilities.images,
                // Another address may charge otherwise.
                price: match own_price {
                    Some(price) if custom.is_none() || provider.free => Some(price),
                    _ => provider.free.then(price::nothing),
                },
                scripted: provider.scripted,
            },
            provider: provider.id.clone(),
            provider_title: provider.title.clone(),
            model: model.to_owned(),
            dialect,
            base_url,
            custom_base_url: custom.is_some(),
            key,
            abilities,
            chosen_because: None,
            first_wait: Duration::from_secs(provider.first_wait_s.unwrap_or(0).into())
                .max(settings.idle_timeout),
            developer_role: match provider.developer_role {
                // What listens at an address of the person's own may be any template.
                DeveloperRole::Developer if custom.is_some() && !provider.scripted => {
                    DeveloperRole::User
                }
                role => role,
            },
            cache_marks: provider.cache_marks,
            headers: provider.headers.clone().into_iter().collect(),
            request: entry.map(request_fields).unwrap_or_default(),
        })
    }

    fn unknown(&self, name: &str) -> ResolveError {
        let bare = name.rsplit('/').next().unwrap_or(name);
        let mut scored: Vec<(usize, String)> = self
            .providers()
            .iter()
            .filter(|p| !p.scripted)
            .flat_map(|p| p.models.iter().map(move |m| (p, m)))
            .map(|(p, m)| (shared_start(bare, &m.name), format!("{}/{}", p.id, m.name)))
            .filter(|(shared, _)| *shared >= 3)
            .collect();
        scored.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
        let near = scored.into_iter().take(5).map(|(_, name)| name).collect();
        ResolveError::UnknownModel { name: name.chars().take(200).collect(), near }
    }
}

fn request_fields(entry: &ModelEntry) -> Map<String, Value> {
    entry.request.clone()
}

/// The provider's default model; at an address that is not the catalogue's own, the first that
/// the server itself lists unless it lists the default.
async fn usual_model(provider: &Provider, settings: &Settings) -> Option<String> {
    let default = provider.default_model.clone();
    let address = custom_address(provider, settings)
        .or_else(|| provider.local_port.map(|_| provider.base_url.clone()));
    let Some(address) = address.filter(|_| !provider.scripted) else { return default };
    let base_url = http::normal_base_url(&address, provider.dialect);
    match probe::local_server(base_url, settings).await {
        Some(LocalServer { models })
            if !models.iter().any(|model| Some(&model.id) == default.as_ref()) =>
        {
            models.into_iter().next().map(|model| model.id).or(default)
        }
        _ => default,
    }
}

fn nothing_at(provider: &Provider, settings: &Settings) -> ResolveError {
    let address = custom_address(provider, settings).unwrap_or_else(|| provider.base_url.clone());
    ResolveError::NothingThere {
        provider: provider.title.clone(),
        base_url: http::normal_base_url(&address, provider.dialect),
    }
}

impl ResolvedModel {
    /// Takes the window that the server told, if it did and it is one to work in.
    fn set_window(&mut self, window_tokens: Option<u64>) {
        if let Some(tokens) = window_tokens.filter(|tokens| *tokens >= 1024) {
            self.abilities.window_tokens = tokens;
            self.abilities.max_output_tokens = self.abilities.max_output_tokens.min(tokens / 4);
            self.info.window_tokens = tokens;
            self.info.max_output_tokens = self.abilities.max_output_tokens;
        }
    }
}

fn is_set_up(provider: &Provider, settings: &Settings) -> bool {
    (!provider.key_optional && key(provider, settings).is_some())
        || custom_address(provider, settings).is_some()
}

fn why_set_up(provider: &Provider, settings: &Settings) -> String {
    let set = provider
        .key_variables
        .iter()
        .chain(&provider.base_url_variables)
        .find(|name| settings.variable(name).is_some());
    match set {
        Some(name) => format!("{name} is set"),
        None => format!("{} is configured", provider.title),
    }
}

pub(crate) fn key(provider: &Provider, settings: &Settings) -> Option<Secret<String>> {
    settings
        .keys
        .get(&provider.id)
        .or_else(|| provider.key_variables.iter().find_map(|name| settings.variable(name)))
        .map(|key| Secret::new(key.reveal().trim().to_owned()))
}

/// The address that the person gave, if it is not the one in the catalogue.
fn custom_address(provider: &Provider, settings: &Settings) -> Option<String> {
    let given = settings.base_urls.get(&provider.id).cloned().or_else(|| {
        provider
            .base_url_variables
            .iter()
            .find_map(|name| settings.variable(name))
            .map(|value| value.reveal().trim().to_owned())
    })?;
    let same = http::normal_base_url(&given, provider.dialect)
        == http::normal_base_url(&provider.base_url, provider.dialect);
    (!given.is_empty() && !same).then_some(given)
}

fn shared_start(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
}
