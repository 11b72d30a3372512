//! `quire env list`: the environments that are kept here, and the recipe of this checkout.

use std::collections::BTreeMap;

use quire_environment::snapshot::Snapshots;
use quire_orchestrator::resolution::{OWNER, of_recipe};
use quire_orchestrator::worker::Worker;
use quire_store::StoredEnvironment;

use super::Here;
use crate::commands::task::told;
use crate::exit::Exit;
use crate::show::environment::base_word;
use crate::show::style::{plain, since, size};
use crate::show::{self, table::table};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON, a line each.
    #[arg(long)]
    pub(super) json: bool,
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
    let snapshots = Held::look(worker);
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
                    "snapshots": snapshots.of(&stored.name),
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
                    "snapshots": read.ok().map(|own| snapshots.of(&own.name)),
                    "error": read.err().map(ToString::to_string),
                })
                .to_string(),
            );
        }
        return Ok(Exit::Done);
    }
    if let Some(line) = snapshots.line(here.installation.settings.snapshots_gib.value) {
        show::err(&line);
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

/// What the snapshots of environments hold, by name.
struct Held(BTreeMap<String, Sum>);

#[derive(Default, Clone, Copy, serde::Serialize)]
struct Sum {
    count: u64,
    bytes: u64,
}

impl Held {
    fn look(worker: &Worker) -> Self {
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        for kept in Snapshots::new(&worker.place.data_dir).all() {
            let sum = sums.entry(kept.manifest.environment).or_default();
            sum.count += 1;
            sum.bytes = sum.bytes.saturating_add(kept.manifest.used.bytes);
        }
        Self(sums)
    }

    fn of(&self, environment: &str) -> Sum {
        self.0.get(environment).copied().unwrap_or_default()
    }

    /// How much there is in all, where there is any, and how much may stay.
    fn line(&self, most_gib: u64) -> Option<String> {
        let count: u64 = self.0.values().map(|sum| sum.count).sum();
        let bytes = self.0.values().fold(0_u64, |all, sum| all.saturating_add(sum.bytes));
        let noun = if count == 1 { "snapshot" } else { "snapshots" };
        (count > 0).then(|| {
            format!("{count} {noun} of setup, {}; {most_gib} GiB at most stay", size(bytes))
        })
    }
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
