//! `quire env list`: the environments that are kept here, and the recipe of this checkout.

use quire_orchestrator::resolution::{OWNER, of_recipe};
use quire_store::StoredEnvironment;

use super::Here;
use crate::commands::task::told;
use crate::exit::Exit;
use crate::show::environment::base_word;
use crate::show::{self, style::plain, style::since, table::table};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON, a line each.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(args: &Args, here: &Here) -> anyhow::Result<Exit> {
    let worker = &here.installation.worker;
    let kept = worker.store.environments(OWNER).await.map_err(told)?;
    let own = match (&here.place.recipe, &here.place.repository) {
        (Some(text), Some(repository)) => {
            let read = of_recipe(text, Some(repository), here.defaults()?, false);
            Some((read.map(|own| own.environment), repository.clone()))
        }
        _ => None,
    };
    if args.json {
        for stored in &kept {
            let base = here.stored(stored).ok().map(|found| found.environment.base);
            show::out(
                &serde_json::json!({
                    "name": stored.name,
                    "version": stored.version,
                    "source": "stored",
                    "base": base,
                    "default_of": stored.repository,
                    "author": stored.author,
                    "at": stored.at,
                })
                .to_string(),
            );
        }
        if let Some((read, repository)) = &own {
            let read = read.as_ref();
            show::out(
                &serde_json::json!({
                    "name": read.ok().map(|own| &own.name),
                    "version": null,
                    "source": "recipe",
                    "base": read.ok().map(|own| &own.base),
                    "default_of": repository,
                    "error": read.err().map(ToString::to_string),
                })
                .to_string(),
            );
        }
        return Ok(Exit::Done);
    }
    let now = worker.clock.now();
    let mut rows: Vec<Vec<String>> = Vec::new();
    if let Some((read, repository)) = &own {
        let (name, base) = match read {
            Ok(own) => (own.name.clone(), base_word(&own.base)),
            Err(error) => ("?".to_owned(), plain(&error.to_string(), false)),
        };
        let recipe = quire_environment::recipe::RECIPE_PATH.to_owned();
        rows.push(vec![name, recipe, "–".to_owned(), base, here.short(repository)]);
    }
    for stored in &kept {
        let base = here.stored(stored).map_or_else(
            |error| plain(&error.to_string(), false),
            |found| base_word(&found.environment.base),
        );
        rows.push(vec![
            stored.name.clone(),
            format!("version {}", stored.version),
            since(now.millis_since(stored.at)),
            base,
            default_of(here, stored),
        ]);
    }
    if rows.is_empty() {
        show::err(
            "no environment is kept here, and this checkout has no recipe: lock files decide. \
             `quire env show` says what a run here has, `quire env create` keeps one",
        );
        return Ok(Exit::Done);
    }
    let heading = ["name", "from", "changed", "base", "default of"];
    show::out(table(&heading, &rows, show::width()).trim_end());
    Ok(Exit::Done)
}

fn default_of(here: &Here, stored: &StoredEnvironment) -> String {
    stored.repository.as_deref().map(|repository| here.short(repository)).unwrap_or_default()
}

impl Here {
    /// A repository's name for people.
    pub fn short(&self, repository: &str) -> String {
        plain(&self.installation.surroundings.short(std::path::Path::new(repository)), false)
    }
}
