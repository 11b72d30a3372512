//! Where a run takes place, as far as its environment depends on it: the repository's name, and the
//! recipe of the checkout.

use std::path::Path;

use quire_git::public_address;
use quire_orchestrator::found::{Source, recipe_of};
use quire_orchestrator::resolution::{Asked, Defaults, ResolveError, Resolved, resolve};

use crate::commands::task::told;
use crate::exit::usage;
use crate::installation::Installation;
use crate::nearest::nearest;

/// A repository and the recipe in it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The repository, as tasks name it.
    pub repository: Option<String>,
    /// The recipe of a checkout that the person runs this in: only that is trusted.
    pub recipe: Option<String>,
}

impl Place {
    /// The place of a source; `top_level` is that of its checkout.
    pub fn of(source: &Source, top_level: Option<&Path>) -> anyhow::Result<Self> {
        Ok(match (source, top_level) {
            (Source::Url(url), _) => Self { repository: public_address(url).ok(), recipe: None },
            (Source::Checkout(_), Some(root)) => Self::of_checkout(root)?,
            (Source::Checkout(_), None) => Self::default(),
        })
    }

    /// The place of a checkout. A recipe there that cannot be read is an error.
    pub fn of_checkout(top_level: &Path) -> anyhow::Result<Self> {
        let root = std::fs::canonicalize(top_level).unwrap_or_else(|_| top_level.to_owned());
        let recipe = recipe_of(&root).map_err(|error| usage(error.to_string()))?;
        Ok(Self { repository: Some(root.display().to_string()), recipe })
    }

    /// The environment of a run here.
    pub async fn environment(
        &self,
        installation: &Installation,
        defaults: Defaults,
        named: Option<&str>,
        bare: bool,
    ) -> anyhow::Result<Resolved> {
        let (repository, recipe) = (self.repository.as_deref(), self.recipe.as_deref());
        let asked = Asked { named, repository, recipe, defaults, bare };
        resolve(&installation.worker.store, asked).await.map_err(not_resolved)
    }
}

/// Why there is no environment, for the person.
pub fn not_resolved(error: ResolveError) -> anyhow::Error {
    match error {
        ResolveError::Store(error) => told(error),
        ResolveError::NoSuch { ref name, ref known } => {
            let near = nearest(name, known.iter().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            usage(format!("{error}{near}"))
        }
        ResolveError::Recipe(error) => usage(error.to_string()),
    }
}
