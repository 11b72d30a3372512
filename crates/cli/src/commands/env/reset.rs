//! `quire env reset`: drops snapshots, so that the next task runs setup anew.

use std::collections::BTreeSet;

use quire_environment::snapshot::Snapshots;
use quire_orchestrator::keep::snapshots_in_use;
use quire_orchestrator::setup;
use serde_json::json;

use super::Here;
use crate::exit::{Exit, usage};
use crate::show::{self, style::plain, style::size};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which, in all repositories; if not given, what a run in this checkout would have, in this
    /// repository.
    name: Option<String>,
    /// Say as JSON what was dropped.
    #[arg(long)]
    json: bool,
}

/// Runs it. What a task stands on stays until it is done with.
pub async fn run(args: Args, here: &Here) -> anyhow::Result<Exit> {
    let worker = &here.installation.worker;
    let snapshots = Snapshots::new(&worker.place.data_dir);
    let (name, owners) = match args.name {
        Some(name) => {
            let all = snapshots.all().into_iter().map(|kept| kept.manifest);
            let own = all.filter(|manifest| manifest.environment == name);
            let owners: BTreeSet<String> = own.map(|manifest| manifest.owner).collect();
            if owners.is_empty() && !here.is_own_recipe(&name) {
                here.find(&name, None).await?;
            }
            (name, owners)
        }
        None if here.place.repository.is_none() => {
            return Err(usage("this is no checkout: say which environment (`quire env list`)"));
        }
        None => {
            let name = here.resolve(None).await?.environment.name;
            let current = &here.installation.surroundings.current_dir;
            let checkout = worker.git.inspect(current).await?;
            (name, BTreeSet::from([setup::owner(&worker.git.mirror_key(&checkout))]))
        }
    };
    let in_use = snapshots_in_use(worker).await;
    let sandboxes = worker.sandboxes.as_ref();
    let (mut removed, mut bytes, mut kept) = (0, 0, 0);
    for owner in owners {
        let gone = snapshots.reset(sandboxes, &owner, Some(&name), &in_use).await;
        removed += gone.removed;
        bytes += gone.bytes;
        kept += gone.in_use;
    }
    if args.json {
        let line = json!({"name": name, "removed": removed, "bytes": bytes, "in_use": kept});
        show::out(&line.to_string());
        return Ok(Exit::Done);
    }
    let name = plain(&name, false);
    show::err(&match (removed, kept) {
        (0, 0) => format!("{name} has no snapshot: the next task that needs one runs setup"),
        (removed, 0) => {
            format!("dropped {removed} of {name} ({}): the next task runs setup", size(bytes))
        }
        (removed, kept) => format!(
            "dropped {removed} of {name} ({}); {kept} stay, as tasks stand on them \
             (`quire task list`)",
            size(bytes)
        ),
    });
    Ok(Exit::Done)
}
