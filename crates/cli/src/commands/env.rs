//! `quire env`: environments, their versions and their secrets.

mod create;
mod delete;
mod edit;
pub mod editor;
mod history;
mod import;
mod list;
mod reset;
pub mod secret;
mod shell;
mod show;
mod test;
mod there;
mod trial;

use clap::Subcommand;
use quire_domain::environment::Environment;
use quire_environment::recipe::{self, RecipeError};
use quire_orchestrator::resolution::{Defaults, OWNER, Resolved, of_stored};
use quire_store::StoredEnvironment;

use crate::commands::Context;
use crate::commands::go::Place;
use crate::commands::task::told;
use crate::defaults::defaults_of;
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::nearest::nearest;
use crate::show::style::plain;
use crate::surroundings::checkout_of;

/// What to do. One file each, below `commands/env/`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What environments there are.
    List(list::Args),
    /// One environment; without a name, what a run in this checkout would have.
    Show(show::Args),
    /// Keep a new environment here.
    Create(create::Args),
    /// Change an environment: each edit is a new version.
    Edit(edit::Args),
    /// Delete an environment and the values of its secrets.
    Delete(Named),
    /// The versions of an environment, newest first.
    History(Named),
    /// Set it up and run its checks, as a task would, and show how that went.
    Test(test::Args),
    /// A terminal, or one command, in what the agent would get.
    Shell(shell::Args),
    /// Drop what setup made, so that the next task runs it anew.
    Reset(reset::Args),
    /// A recipe from `devcontainer.json` or `copilot-setup-steps.yml`.
    Import(import::Args),
    /// Secrets of environments: set, list, delete.
    #[command(subcommand)]
    Secret(secret::Command),
}

/// A stored environment, by its name.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// Which.
    name: String,
    /// Print what there is to say as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(command: Command, context: Context) -> anyhow::Result<Exit> {
    if let Some(remote) = context.remote()? {
        return Box::pin(there::run(command, &remote)).await;
    }
    let current = context.surroundings.current_dir.clone();
    let about = match &command {
        Command::Test(args) => args.at.directory(&current),
        Command::Shell(args) => args.at.directory(&current),
        _ => Some(current),
    };
    let root = about.as_deref().and_then(checkout_of);
    let place = root.map(Place::of_checkout).transpose()?.unwrap_or_default();
    let root = root.map(ToOwned::to_owned);
    let installation = Installation::open(context, root.as_deref()).await?;
    let here = Here { installation, place };
    match command {
        Command::List(args) => list::run(&args, &here).await,
        Command::Show(args) => show::run(&args, &here).await,
        Command::Create(args) => create::run(args, &here).await,
        Command::Edit(args) => edit::run(args, &here).await,
        Command::Delete(args) => delete::run(&args, &here).await,
        Command::History(args) => history::run(&args, &here).await,
        Command::Test(args) => Box::pin(test::run(&args, &here)).await,
        Command::Shell(args) => Box::pin(shell::run(args, here)).await,
        Command::Reset(args) => reset::run(args, &here).await,
        Command::Import(args) => import::run(&args, &here),
        Command::Secret(command) => secret::run(command, &here).await,
    }
}

/// What the commands work with.
pub struct Here {
    /// The installation.
    pub installation: Installation,
    /// The checkout that the command was started in, if it was in one.
    pub place: Place,
}

impl Here {
    /// What a run here would have, or the environment of that name.
    pub async fn resolve(&self, named: Option<&str>) -> anyhow::Result<Resolved> {
        let defaults = self.defaults()?;
        self.place.environment(&self.installation, defaults, named, false).await
    }

    /// What holds where no recipe says otherwise.
    pub fn defaults(&self) -> anyhow::Result<Defaults> {
        defaults_of(&self.installation.settings)
    }

    /// A stored environment over the defaults.
    pub fn stored(&self, stored: &StoredEnvironment) -> anyhow::Result<Resolved> {
        let resolved = of_stored(stored, self.defaults()?, false);
        resolved.map_err(|error| usage(error.to_string()))
    }

    /// A stored environment, of its newest version or the one that is named.
    pub async fn find(
        &self,
        name: &str,
        version: Option<u32>,
    ) -> anyhow::Result<StoredEnvironment> {
        let store = &self.installation.worker.store;
        if let Some(found) = store.environment(OWNER, name, version).await.map_err(told)? {
            return Ok(found);
        }
        let newest = store.environment(OWNER, name, None).await.map_err(told)?;
        Err(usage(match (newest, version) {
            (Some(newest), Some(version)) => format!(
                "`{name}` has no version {version}: it has 1 to {} (`quire env history {name}`)",
                newest.version
            ),
            _ if self.is_own_recipe(name) => format!(
                "`{name}` is the recipe of this checkout, not kept here: edit {}",
                recipe::RECIPE_PATH
            ),
            _ => return Err(self.no_such(name).await),
        }))
    }

    /// Says that there is no environment of that name, and which was meant perhaps.
    pub async fn no_such(&self, name: &str) -> anyhow::Error {
        let stored = self.installation.worker.store.environments(OWNER).await.unwrap_or_default();
        let near = nearest(name, stored.iter().map(|stored| stored.name.as_str()));
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        let shown = plain(name, false);
        usage(format!(
            "there is no environment `{shown}`: {near}`quire env list` shows what there is"
        ))
    }

    /// Whether the checkout's own recipe calls itself that.
    fn is_own_recipe(&self, name: &str) -> bool {
        let Some(text) = &self.place.recipe else { return false };
        let Ok(defaults) = self.defaults() else { return false };
        let read = recipe::read(text, recipe::RECIPE_PATH, defaults.environment);
        read.is_ok_and(|read| read.environment.name == name)
    }

    /// Who writes a version.
    pub fn author(&self) -> String {
        let surroundings = &self.installation.surroundings;
        let name = surroundings.variable("USER").or_else(|| surroundings.variable("LOGNAME"));
        name.unwrap_or(OWNER).chars().take(100).collect()
    }
}

/// Reads a recipe that is to be kept under a name.
///
/// # Errors
///
/// What is wrong with it, and a name of its own that is another one.
pub fn read_recipe(text: &str, name: &str, defaults: Environment) -> Result<(), RecipeError> {
    let read = recipe::read(text, name, defaults)?;
    match read.written.get("name") {
        Some(position) if read.environment.name != name => Err(RecipeError {
            recipe: name.to_owned(),
            position: Some(*position),
            what: format!(
                "it calls itself `{}` and would be kept as `{name}`: take `name` out, or use the \
                 same one",
                read.environment.name
            ),
        }),
        _ => Ok(()),
    }
}

/// Reads a recipe from a file, or from standard input for `-`.
pub fn read_from(here: &Here, from: &str) -> anyhow::Result<String> {
    use std::io::Read as _;
    let most = recipe::MOST_BYTES as u64;
    let mut bytes = Vec::new();
    let read = if from == "-" {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes)
    } else {
        let path = here.installation.surroundings.current_dir.join(from);
        std::fs::metadata(&path).and_then(|found| {
            if !found.is_file() {
                return Err(std::io::Error::other("it is not a file"));
            }
            std::fs::File::open(&path)?.take(most + 1).read_to_end(&mut bytes)
        })
    };
    let named = if from == "-" { "standard input" } else { from };
    read.map_err(|error| usage(format!("cannot read the recipe from {named}: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(usage(format!("the recipe from {named} is longer than {most} bytes")));
    }
    if bytes.trim_ascii().is_empty() {
        let hint = "a comment (`# …`) is enough for the defaults";
        return Err(usage(format!("the recipe from {named} is empty: {hint}")));
    }
    String::from_utf8(bytes).map_err(|_| usage(format!("the recipe from {named} is not UTF-8")))
}
