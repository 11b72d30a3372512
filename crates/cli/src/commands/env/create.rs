//! `quire env create`: keeps a new environment.

use quire_orchestrator::resolution::OWNER;
use quire_store::{NewEnvironment, StoreError};
use serde_json::json;

use super::editor::{Edited, Editor};
use super::{Here, read_from, read_recipe};
use crate::commands::go::Place;
use crate::commands::task::told;
use crate::exit::{Exit, usage};
use crate::show;
use crate::surroundings::checkout_of;

/// What a new environment begins with in the editor.
const TEMPLATE: &str = include_str!("template.toml");

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What people call it: 1 to 60 letters, digits, `-`, `_` and `.`.
    pub(super) name: String,
    /// The recipe: a file, or `-` for standard input; if not given, your editor opens.
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<String>,
    /// Make it the default of this checkout's repository, or of the one that is named.
    #[arg(long, value_name = "PATH|URL", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    pub(super) repo: Option<String>,
    /// Say as JSON what was made.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, here: &Here) -> anyhow::Result<Exit> {
    let name = &args.name;
    if !quire_environment::recipe::is_name(name) {
        return Err(usage("a name has 1 to 60 letters, digits, `-`, `_` and `.`"));
    }
    let repository = args.repo.as_deref().map(|repo| repository_of(here, repo)).transpose()?;
    let store = &here.installation.worker.store;
    if let Some(taken) = store.environment(OWNER, name, None).await.map_err(told)? {
        return Err(is_taken(name, taken.version));
    }
    let defaults = here.defaults()?.environment;
    let recipe = if let Some(from) = &args.from {
        let recipe = read_from(here, from)?;
        let read = read_recipe(&recipe, name, defaults);
        read.map_err(|error| usage(error.to_string()))?;
        recipe
    } else {
        let instead = "give the recipe with --from FILE (`-` is standard input)";
        let editor = Editor::of(&here.installation, "toml", instead)?;
        let read = |text: &str| {
            read_recipe(text, name, defaults.clone()).map_err(|error| error.to_string())
        };
        match editor.edit(name, TEMPLATE, read).await? {
            Edited::Text(recipe) => recipe.keep(),
            Edited::Unchanged => {
                show::err("nothing was written: no environment was made");
                return Ok(Exit::Failed);
            }
        }
    };
    let new = NewEnvironment {
        owner: OWNER.to_owned(),
        name: name.clone(),
        repository: repository.clone(),
        recipe,
        author: here.author(),
        based_on: 0,
        now: here.installation.worker.clock.now(),
    };
    let version = store.put_environment(new).await.map_err(|error| match error {
        StoreError::Edited { newest, .. } => is_taken(name, newest),
        error => told(error),
    })?;
    if args.json {
        let made = json!({"name": name, "version": version, "default_of": repository});
        show::out(&made.to_string());
    } else {
        let default_of = repository.map_or(String::new(), |repository| {
            format!(", the default of {}", here.short(&repository))
        });
        show::err(&format!("made {name}@{version}{default_of}"));
    }
    Ok(Exit::Done)
}

fn is_taken(name: &str, version: u32) -> anyhow::Error {
    usage(format!(
        "there is an environment `{name}` already, at version {version}: `quire env edit {name}` \
         changes it"
    ))
}

/// The repository that a person names, as tasks name it.
fn repository_of(here: &Here, repo: &str) -> anyhow::Result<String> {
    if repo.contains("://") || repo.split_once(':').is_some_and(|(host, _)| host.contains('@')) {
        return quire_git::public_address(repo).map_err(|error| usage(error.to_string()));
    }
    let path = here.installation.surroundings.current_dir.join(repo);
    let path = std::fs::canonicalize(&path)
        .map_err(|error| usage(format!("cannot find {}: {error}", path.display())))?;
    let root = checkout_of(&path);
    let place = root.map(Place::of_checkout).transpose()?;
    place
        .and_then(|place| place.repository)
        .ok_or_else(|| usage(format!("{} lies in no git repository", path.display())))
}
