//! `quire restore`: brings a backup back as a new data directory.

use std::path::PathBuf;

use quire_orchestrator::backup;

use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::settings::Settings;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let settings = Settings::read(&context.surroundings, None)?;
    let Some(data_dir) = context.data_dir.or(settings.data_dir) else {
        return Err(usage(
            "name where the data shall lie with --data-dir: there is no home directory",
        ));
    };
    let from = context.surroundings.current_dir.join(&args.dir);
    let manifest = backup::restore(&from, &data_dir.value).await?;
    show::out(&format!(
        "{}: restored {} files as quire {} had them",
        data_dir.value.display(),
        manifest.files.len(),
        manifest.version
    ));
    show::err(
        "tasks that were at work go on with the next `quire serve`, or with `quire task resume`",
    );
    Ok(Exit::Done)
}
