//! Which environment a run has: the one that is named, else the recipe of the trusted checkout,
//! else the stored default of the repository, else the defaults; and where each value comes from.

use std::collections::BTreeMap;
use std::fmt;

use quire_domain::environment::{BaseSpec, Environment};
use quire_environment::recipe::{self, Position, RECIPE_PATH, RecipeError};
use quire_store::{SecretScope, Store, StoreError, StoredEnvironment};

/// Whose environments and secrets those of this machine are.
pub const OWNER: &str = "local";

/// What decides which environment a run has.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The name that was asked for: a stored environment's, or the recipe's own.
    pub named: Option<&'a str>,
    /// The repository, as tasks name it; `None` where there is none.
    pub repository: Option<&'a str>,
    /// The recipe of the trusted checkout.
    pub recipe: Option<&'a str>,
    /// What holds where no recipe says otherwise.
    pub defaults: Defaults,
    /// Whether nothing of the person's machine may be shown, whatever a recipe says.
    pub bare: bool,
}

/// Values that hold where no recipe says otherwise.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The values.
    pub environment: Environment,
    /// Where those come from that somebody configured: a file or a variable, by key.
    pub origins: BTreeMap<String, String>,
}

/// An environment, and where it comes from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The environment.
    pub environment: Environment,
    /// What it was made from.
    pub source: Source,
    /// Whose secrets are its own.
    pub scope: SecretScope,
    /// The recipe's text, where there is one.
    pub recipe: Option<String>,
    origins: BTreeMap<String, Origin>,
}

/// What an environment was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nothing but defaults.
    Defaults,
    /// The recipe of the checkout.
    Recipe,
    /// A stored environment, by its name and version.
    Stored {
        /// Its name.
        name: String,
        /// Its version.
        version: u32,
    },
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A configuration file, or a variable.
    Configured(String),
    /// A recipe: its path, or a stored environment as `name@version`.
    Written {
        /// Which.
        recipe: String,
        /// Where in it.
        position: Position,
    },
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Configured(origin) => f.write_str(origin),
            Self::Written { recipe, position } => write!(f, "{recipe}:{position}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("defaults"),
            Self::Recipe => f.write_str(RECIPE_PATH),
            Self::Stored { name, version } => write!(f, "{name}@{version}"),
        }
    }
}

/// Why a run has no environment.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The recipe cannot be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// There is none of that name.
    #[error("there is no environment `{name}`: {}", there_are(known))]
    NoSuch {
        /// What was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The store failed.
    #[error("cannot read the environments")]
    Store(#[from] StoreError),
}

impl Resolved {
    /// Where the value of a key comes from, as recipes name it: `limits.cpus`, `checks[0]`.
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// Says that a flag of the command line gave the value of a key.
    pub fn flagged(&mut self, key: &str, flag: &'static str) {
        self.origins.insert(key.to_owned(), Origin::Flag(flag));
    }
}

/// Finds the environment of a run.
///
/// # Errors
///
/// [`ResolveError::NoSuch`], and a recipe that cannot be read.
pub async fn resolve(store: &Store, asked: Asked<'_>) -> Result<Resolved, ResolveError> {
    if let Some(name) = asked.named {
        if let Some(stored) = store.environment(OWNER, name, None).await? {
            return Ok(of_stored(&stored, asked.defaults, asked.bare)?);
        }
        let stored = store.environments(OWNER).await?.into_iter();
        let mut known: Vec<String> = stored.map(|stored| stored.name).collect();
        if let Some(text) = asked.recipe {
            let own = of_recipe(text, asked.repository, asked.defaults, asked.bare)?;
            if own.environment.name == name {
                return Ok(own);
            }
            known.push(own.environment.name);
        }
        return Err(ResolveError::NoSuch { name: name.to_owned(), known });
    }
    if let Some(text) = asked.recipe {
        return Ok(of_recipe(text, asked.repository, asked.defaults, asked.bare)?);
    }
    if let Some(repository) = asked.repository
        && let Some(stored) = store.environment_of(OWNER, repository).await?
    {
        return Ok(of_stored(&stored, asked.defaults, asked.bare)?);
    }
    Ok(of_defaults(asked.repository, asked.defaults, asked.bare))
}

/// A stored environment over defaults.
pub fn of_stored(
    stored: &StoredEnvironment,
    defaults: Defaults,
    bare: bool,
) -> Result<Resolved, RecipeError> {
    let label = format!("{}@{}", stored.name, stored.version);
    let scope = scope(None, &stored.name);
    let (name, version) = (stored.name.clone(), stored.version);
    let source = Source::Stored { name: name.clone(), version };
    let mut resolved = over(&stored.recipe, &label, defaults, source, scope)?;
    resolved.environment.name = name;
    resolved.environment.version = version;
    Ok(resolved.shown_no_more_than(bare))
}

/// The recipe of a checkout over defaults.
pub fn of_recipe(
    text: &str,
    repository: Option<&str>,
    defaults: Defaults,
    bare: bool,
) -> Result<Resolved, RecipeError> {
    let scope = scope(repository, "");
    let mut resolved = over(text, RECIPE_PATH, defaults, Source::Recipe, scope)?;
    resolved.scope.environment.clone_from(&resolved.environment.name);
    Ok(resolved.shown_no_more_than(bare))
}

/// What a repository has without a recipe.
pub fn of_defaults(repository: Option<&str>, defaults: Defaults, bare: bool) -> Resolved {
    let Defaults { environment, origins } = defaults;
    let scope = scope(repository, &environment.name);
    let origins = configured(origins);
    let (source, recipe) = (Source::Defaults, None);
    Resolved { environment, source, scope, recipe, origins }.shown_no_more_than(bare)
}

fn over(
    text: &str,
    label: &str,
    defaults: Defaults,
    source: Source,
    scope: SecretScope,
) -> Result<Resolved, RecipeError> {
    let read = recipe::read(text, label, defaults.environment)?;
    if source == Source::Recipe {
        recipe::of_a_checkout(&read, label)?;
    }
    let mut origins = configured(defaults.origins);
    for (key, position) in read.written {
        origins.insert(key, Origin::Written { recipe: label.to_owned(), position });
    }
    let recipe = Some(text.to_owned());
    Ok(Resolved { environment: read.environment, source, scope, recipe, origins })
}

impl Resolved {
    /// A flag says more than a recipe: a host's base becomes bare.
    fn shown_no_more_than(mut self, asked_bare: bool) -> Self {
        if let (true, BaseSpec::Host { bare }) = (asked_bare, &mut self.environment.base) {
            *bare = true;
            self.flagged("base", "--bare");
        }
        self
    }
}

fn configured(origins: BTreeMap<String, String>) -> BTreeMap<String, Origin> {
    origins.into_iter().map(|(key, origin)| (key, Origin::Configured(origin))).collect()
}

/// Secrets of a checkout's environment belong to the repository as well: its recipe only names
/// itself, and another's could take the name.
fn scope(repository: Option<&str>, environment: &str) -> SecretScope {
    SecretScope {
        owner: OWNER.to_owned(),
        repository: repository.map(str::to_owned),
        environment: environment.to_owned(),
    }
}

/// What there is, for whoever asked for something else.
fn there_are(known: &[String]) -> String {
    const SHOWN: usize = 20;
    if known.is_empty() {
        return "none is stored yet; make one with `quire env create`".to_owned();
    }
    let names: Vec<String> = known.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if known.len() > SHOWN { ", …" } else { "" };
    format!("there are {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests;
