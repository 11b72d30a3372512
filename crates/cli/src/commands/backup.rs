//! `quire backup`: takes or checks a backup, while tasks are at work.

use std::path::PathBuf;

use quire_domain::time::Clock;
use quire_orchestrator::backup;

use crate::commands::Context;
use crate::exit::{Exit, stop, usage};
use crate::installation::{WallClock, data_dir_of};
use crate::settings::Settings;
use crate::show;
use crate::show::style::size;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The new directory to write the backup to; with --check the backup to read.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Take none: read a backup and compare it with its own list.
    #[arg(long)]
    check: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let dir = context.surroundings.current_dir.join(&args.dir);
    if args.check {
        let shown = dir.display().to_string();
        let checked = tokio::task::spawn_blocking(move || backup::check(&dir)).await?;
        let manifest = checked.map_err(|error| stop(Exit::Failed, error.to_string()))?;
        let all = manifest.files.iter().map(|file| file.bytes).sum::<u64>();
        if args.json {
            show::out(&serde_json::to_string(&serde_json::json!({
                "version": manifest.version,
                "taken_at": manifest.taken_at,
                "files": manifest.files.len(),
                "bytes": all,
            }))?);
        } else {
            let (files, version) = (manifest.files.len(), &manifest.version);
            show::out(&format!(
                "{shown} is whole: {files} files, {}, taken by quire {version}",
                size(all)
            ));
        }
        return Ok(Exit::Done);
    }
    let mut settings = Settings::read(&context.surroundings, None)?;
    if context.data_dir.is_some() {
        settings.data_dir = context.data_dir;
    }
    let data_dir = data_dir_of(&settings)?;
    if !data_dir.join("quire.db").is_file() {
        return Err(usage(format!("{} holds no data of Quire yet", data_dir.display())));
    }
    if dir.starts_with(&data_dir) {
        return Err(usage("the backup would lie inside of what it is of: name a place elsewhere"));
    }
    let version = env!("CARGO_PKG_VERSION");
    let taken = backup::take(&data_dir, &dir, version, WallClock.now()).await?;
    if args.json {
        show::out(&serde_json::to_string(&serde_json::json!({
            "dir": dir, "files": taken.files, "bytes": taken.bytes,
        }))?);
    } else {
        show::out(&format!(
            "{}: {} files, {}, read back and found whole",
            dir.display(),
            taken.files,
            size(taken.bytes)
        ));
        if settings.secrets_key_file.is_some() {
            show::err(
                "the key of your secrets lies elsewhere (`secrets_key_file`): keep a copy of it too",
            );
        } else {
            show::err("it holds the installation's keys: keep it where nobody else reads it");
        }
    }
    Ok(Exit::Done)
}
