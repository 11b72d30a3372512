//! `quire env delete`: deletes an environment and the values of its secrets.

use quire_orchestrator::resolution::OWNER;
use serde_json::json;

use super::secret::stored_scope;
use super::{Here, Named};
use crate::commands::task::told;
use crate::exit::Exit;
use crate::show;

/// Runs it.
pub async fn run(args: &Named, here: &Here) -> anyhow::Result<Exit> {
    let (worker, name) = (&here.installation.worker, &args.name);
    let stored = here.find(name, None).await?;
    let secrets = worker.store.secrets(&stored_scope(&stored.name)).await.map_err(told)?;
    let now = worker.clock.now();
    worker.store.delete_environment(OWNER, name, now).await.map_err(told)?;
    if args.json {
        let names: Vec<&str> = secrets.iter().map(|secret| secret.name.as_str()).collect();
        show::out(&json!({"name": name, "version": stored.version, "secrets": names}).to_string());
    } else {
        let secrets = match secrets.len() {
            0 => String::new(),
            1 => " and the value of its secret".to_owned(),
            many => format!(" and the values of its {many} secrets"),
        };
        show::err(&format!(
            "deleted {name}{secrets}; tasks that were made from it keep what they have"
        ));
    }
    Ok(Exit::Done)
}
