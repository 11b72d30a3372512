//! `quire env history`: the versions of an environment, newest first.

use quire_orchestrator::resolution::OWNER;
use serde_json::json;

use super::{Here, Named};
use crate::commands::task::told;
use crate::exit::Exit;
use crate::show::{self, style::plain, style::since, table::table};

/// Runs it.
pub async fn run(args: &Named, here: &Here) -> anyhow::Result<Exit> {
    let (worker, name) = (&here.installation.worker, &args.name);
    here.find(name, None).await?;
    let versions = worker.store.environment_history(OWNER, name).await.map_err(told)?;
    if args.json {
        for one in &versions {
            let line = json!({
                "name": one.name,
                "version": one.version,
                "author": one.author,
                "at": one.at,
                "recipe": one.recipe,
            });
            show::out(&line.to_string());
        }
        return Ok(Exit::Done);
    }
    let now = worker.clock.now();
    let rows: Vec<Vec<String>> = versions
        .iter()
        .map(|one| {
            vec![
                one.version.to_string(),
                since(now.millis_since(one.at)),
                plain(&one.author, false),
                format!("{} lines", one.recipe.lines().count()),
            ]
        })
        .collect();
    let text = table(&["version", "written", "by", "recipe"], &rows, show::width());
    show::out(text.trim_end());
    show::err(&format!("`quire env show {name} --version N --recipe` prints one"));
    Ok(Exit::Done)
}
