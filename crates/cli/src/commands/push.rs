//! `quire push`: sends what you have in this checkout to a server, for a task to start with.

use std::path::PathBuf;

use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::remote::pushing::{self, Local};
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The checkout; this one if not given.
    path: Option<PathBuf>,
    /// The repository on the server; the one that this checkout comes from if not given.
    #[arg(long, value_name = "NAME")]
    repo: Option<String>,
    /// The team, where you are in several.
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let Some(remote) = context.remote_or_default()? else {
        return Err(usage("there is no server to push to: sign in with `quire login URL`"));
    };
    let path = args.path.unwrap_or_default();
    let path = context.surroundings.current_dir.join(path);
    let local = Local::of(pushing::git(&remote)?, &path).await?;
    let sent = local.push(&remote, args.repo.as_deref(), args.team.as_deref()).await?;
    if args.json {
        let value = serde_json::json!({
            "push": sent.pushed.push, "base": sent.pushed.base, "repository": sent.repository,
            "uncommitted": sent.uncommitted, "bytes": sent.bytes,
        });
        show::out(&value.to_string());
        return Ok(Exit::Done);
    }
    show::out(&sent.pushed.push.to_string());
    let work = match sent.uncommitted {
        0 => "nothing uncommitted".to_owned(),
        1 => "1 uncommitted file".to_owned(),
        files => format!("{files} uncommitted files"),
    };
    show::err(&format!(
        "{} of `{}` is on {} with {work}; nobody else sees it, and it is kept for an hour: \
         `quire task new --remote --repo {} --base-push {} \"…\"` starts with it",
        short(&sent.pushed.base),
        sent.repository,
        remote.name,
        sent.repository,
        sent.pushed.push
    ));
    Ok(Exit::Done)
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
