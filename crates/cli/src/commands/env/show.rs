//! `quire env show`: one environment, value by value; without a name, what a run here would have.

use serde_json::json;

use super::Here;
use crate::commands::task::told;
use crate::exit::Exit;
use crate::show::environment::rows;
use crate::show::style::Style;
use crate::show::{self, style::plain, table::table};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which; if not given, what a run in this checkout would have.
    pub(super) name: Option<String>,
    /// Say where each value comes from; without a name it is always said.
    #[arg(long)]
    pub(super) origin: bool,
    /// An earlier version.
    #[arg(long, value_name = "N", requires = "name", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) version: Option<u32>,
    /// Print the recipe as it is written, and nothing else.
    #[arg(long, conflicts_with_all = ["origin", "json"])]
    pub(super) recipe: bool,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: &Args, here: &Here) -> anyhow::Result<Exit> {
    let stored = match (&args.name, args.version) {
        (Some(name), Some(version)) => Some(here.find(name, Some(version)).await?),
        _ => None,
    };
    let resolved = match &stored {
        Some(stored) if args.recipe => {
            show::out(stored.recipe.trim_end());
            return Ok(Exit::Done);
        }
        Some(stored) => here.stored(stored)?,
        None => here.resolve(args.name.as_deref()).await?,
    };
    if args.recipe {
        match &resolved.recipe {
            Some(text) => show::out(text.trim_end()),
            None => show::err("there is no recipe: these are the defaults"),
        }
        return Ok(Exit::Done);
    }
    let set = here.installation.worker.store.secrets(&resolved.scope).await.map_err(told)?;
    let images = here.installation.worker.bases.known_images();
    let known = images.and_then(|images| images.known(&resolved.environment.base));
    let rows = rows(&resolved, &set, known.as_ref());
    let environment = &resolved.environment;
    if args.json {
        let origins: serde_json::Map<_, _> =
            rows.iter().map(|row| (row.key.clone(), json!(row.origin))).collect();
        let secrets: Vec<_> = set
            .iter()
            .map(|one| json!({"name": one.name, "version": one.version, "set_at": one.at}))
            .collect();
        let value = json!({
            "name": environment.name,
            "version": environment.version,
            "source": resolved.source.to_string(),
            "repository": here.place.repository,
            "environment": environment,
            "origins": origins,
            "secrets": secrets,
            "base_here": known.as_ref().map(|known| json!({
                "identity": known.identity, "layers": known.layers, "bytes": known.bytes,
                "whole": known.whole, "asked_at": known.asked_at,
            })),
            "recipe": resolved.recipe,
        });
        show::out(&serde_json::to_string_pretty(&value)?);
        return Ok(Exit::Done);
    }
    let surroundings = &here.installation.surroundings;
    let style = Style::new(surroundings.colour() && surroundings.stdout_terminal);
    show::out(&style.bold(&format!("{} · {}", plain(&environment.name, false), resolved.source)));
    let origin = args.origin || args.name.is_none();
    let cells = rows.into_iter().map(|row| {
        let mut cells = vec![row.key, row.value];
        if origin {
            cells.push(row.origin);
        }
        cells
    });
    let cells: Vec<Vec<String>> = cells.collect();
    let heading = if origin { &["key", "value", "from"][..] } else { &["key", "value"] };
    show::out(table(heading, &cells, show::width()).trim_end());
    Ok(Exit::Done)
}
