//! Recipes: what a person writes to say what their environment is.
//!
//! A recipe lies in a repository as `.quire/environment.toml`, or in the store. [`words`] is its
//! shape and schema, `keys` finds unknown keys and where each stands, `check` makes an
//! [`Environment`] of it.

mod check;
mod error;
mod keys;
pub mod words;

use std::collections::BTreeMap;

use quire_domain::environment::{
    BaseSpec, Environment, Limits, SetupSpec, SnapshotSpec, default_instruction_fallbacks,
};
use quire_domain::network::{NetworkPolicy, NetworkSpec};
use serde::Deserialize;

pub use check::{check_for_all_commands, check_variable, is_name, secrets_in};
pub use error::{Position, RecipeError};

/// Where the recipe lies in a repository.
pub const RECIPE_PATH: &str = ".quire/environment.toml";

/// A recipe is at most this long, in bytes.
pub const MOST_BYTES: usize = 256 << 10;

/// A recipe that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// What it says, over the defaults.
    pub environment: Environment,
    /// Where each key that it has stands, by its path (`limits.cpus`, `checks[1].command`).
    pub written: BTreeMap<String, Position>,
}

/// The environment of a repository without a recipe.
pub fn default_environment(bare: bool, limits: Limits) -> Environment {
    Environment {
        name: "default".to_owned(),
        version: 1,
        base: BaseSpec::Host { bare },
        setup: SetupSpec::Auto,
        maintenance: None,
        snapshot: SnapshotSpec::default(),
        variables: BTreeMap::new(),
        secrets: Vec::new(),
        network: NetworkSpec {
            // What Quire chose to run needs no more; a script may.
            setup: NetworkPolicy::Packages(Vec::new()),
            ..NetworkSpec::default()
        },
        credentials: Vec::new(),
        services: Vec::new(),
        checks: Vec::new(),
        limits,
        model: None,
        budget: None,
        instruction_fallbacks: default_instruction_fallbacks(),
    }
}

/// Reads the recipe of a repository for a run; what it does not say is as in `defaults`.
pub fn parse(text: &str, defaults: Environment) -> Result<Environment, RecipeError> {
    let recipe = read(text, RECIPE_PATH, defaults)?;
    of_a_checkout(&recipe, RECIPE_PATH)?;
    Ok(recipe.environment)
}

/// Keys that name a place on the machine itself, to be shown inside.
const OF_THE_MACHINE: &[&str] = &["directory", "tar"];

/// Refuses what a person may write into an environment that is kept and a checkout may not into
/// its recipe: who wrote a repository does not choose what of the machine is shown.
pub fn of_a_checkout(recipe: &Recipe, name: &str) -> Result<(), RecipeError> {
    for key in OF_THE_MACHINE {
        if let Some(position) = recipe.written.get(*key) {
            let what = format!(
                "`{key}` names a place on this machine, which a repository does not choose: keep \
                 it in an environment of your own (`quire env create`)"
            );
            return Err(RecipeError::at(Some(*position), what).of(name));
        }
    }
    Ok(())
}

/// Reads a recipe; `name` is what errors call it.
pub fn read(text: &str, name: &str, defaults: Environment) -> Result<Recipe, RecipeError> {
    read_unnamed(text, defaults).map_err(|error| error.of(name))
}

fn read_unnamed(text: &str, defaults: Environment) -> Result<Recipe, RecipeError> {
    if text.len() > MOST_BYTES {
        return Err(RecipeError::at(None, format!("is longer than {MOST_BYTES} bytes")));
    }
    let keys = keys::Keys::of(text)?;
    let words = toml::Deserializer::parse(text)
        .and_then(words::Words::deserialize)
        .map_err(|error| RecipeError::toml(text, &error))?;
    let environment = check::check(words, &keys, defaults)?;
    let written = keys.written().map(|(path, at)| (path.to_owned(), at)).collect();
    Ok(Recipe { environment, written })
}

#[cfg(test)]
mod tests;
