//! `quire env edit`: a new version of an environment.

use quire_orchestrator::resolution::OWNER;
use quire_store::{NewEnvironment, StoreError};
use serde_json::json;

use super::editor::{Edited, Editor};
use super::{Here, read_from, read_recipe};
use crate::commands::task::told;
use crate::exit::{Exit, stop, usage};
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which.
    pub(super) name: String,
    /// The new recipe: a file, or `-` for standard input; if not given, your editor opens.
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<String>,
    /// Refuse if this is not the newest version.
    #[arg(long, value_name = "N")]
    pub(super) based_on: Option<u32>,
    /// Say as JSON what was made.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, here: &Here) -> anyhow::Result<Exit> {
    let name = &args.name;
    let before = here.find(name, None).await?;
    let based_on = args.based_on.unwrap_or(before.version);
    if based_on != before.version {
        return Err(edited_since(name, before.version, based_on, None));
    }
    let defaults = here.defaults()?.environment;
    let (recipe, draft) = if let Some(from) = &args.from {
        let recipe = read_from(here, from)?;
        let read = read_recipe(&recipe, name, defaults);
        read.map_err(|error| usage(error.to_string()))?;
        (recipe, None)
    } else {
        let instead = "give the recipe with --from FILE (`-` is standard input)";
        let editor = Editor::of(&here.installation, "toml", instead)?;
        let read = |text: &str| {
            read_recipe(text, name, defaults.clone()).map_err(|error| error.to_string())
        };
        match editor.edit(name, &before.recipe, read).await? {
            Edited::Text(draft) => (draft.text().to_owned(), Some(draft)),
            Edited::Unchanged => (before.recipe.clone(), None),
        }
    };
    let (version, changed) = if recipe == before.recipe {
        (before.version, false)
    } else {
        let new = NewEnvironment {
            owner: OWNER.to_owned(),
            name: name.clone(),
            repository: None,
            recipe,
            author: here.author(),
            based_on,
            now: here.installation.worker.clock.now(),
        };
        let put = here.installation.worker.store.put_environment(new).await;
        let version = put.map_err(|error| match error {
            StoreError::Edited { newest, .. } => {
                let file = draft.as_ref().map(|draft| draft.file().display().to_string());
                edited_since(name, newest, based_on, file.as_deref())
            }
            error => told(error),
        })?;
        (version, true)
    };
    if let Some(draft) = draft {
        draft.keep();
    }
    if args.json {
        show::out(&json!({"name": name, "version": version, "changed": changed}).to_string());
    } else if changed {
        show::err(&format!("made {name}@{version}; tasks that are at work keep what they have"));
    } else {
        show::err(&format!("nothing changed: {name} stays at version {version}"));
    }
    Ok(Exit::Done)
}

fn edited_since(name: &str, newest: u32, based_on: u32, draft: Option<&str>) -> anyhow::Error {
    let now = match newest {
        0 => "was deleted".to_owned(),
        newest => format!("is at version {newest}"),
    };
    let draft = draft.map_or(String::new(), |file| format!("; what you wrote is in {file}"));
    stop(
        Exit::Failed,
        format!(
            "`{name}` {now} by now and the edit was made from {based_on}: look at \
             `quire env show {name} --recipe`, then edit again{draft}"
        ),
    )
}
