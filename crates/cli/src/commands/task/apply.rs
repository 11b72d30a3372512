//! `quire task apply`: brings the change into the person's checkout, by 3-way merge.

use std::path::{Path, PathBuf};

use quire_domain::ids::AttemptRef;
use quire_git::{ApplyReport, Conflict, OnConflict};
use quire_orchestrator::readings;

use crate::commands::task::{find, told};
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show;
use crate::show::style::plain;
use crate::surroundings::checkout_of;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`), which is then the chosen one.
    pub(super) task: AttemptRef,
    /// Another checkout than the one the task began in.
    #[arg(long, value_name = "PATH")]
    pub(super) to: Option<PathBuf>,
    /// Write what conflicts with conflict markers, instead of changing nothing.
    #[arg(long)]
    pub(super) conflicts: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let named = find(installation, args.task).await?;
    let change = readings::change(worker, &named.turns, &named.attempt, false).await?;
    let Some(change) = change else {
        return Err(usage(format!("task {} has no change to apply", args.task)));
    };
    let path = match args.to {
        Some(path) => installation.surroundings.current_dir.join(path),
        None if named.task.repository.starts_with('/') => {
            let current = &installation.surroundings.current_dir;
            let here = checkout_of(current);
            if let Some(here) = here.filter(|here| *here != Path::new(&named.task.repository)) {
                return Err(usage(format!(
                    "task {} began in {}, and you stand in {}: say which one with --to",
                    named.task.number,
                    named.task.repository,
                    here.display()
                )));
            }
            PathBuf::from(&named.task.repository)
        }
        None => installation.surroundings.current_dir.clone(),
    };
    let checkout = worker.git.inspect(&path).await?;
    let on_conflict = if args.conflicts { OnConflict::WriteMarkers } else { OnConflict::Refuse };
    let git = &worker.git;
    let applied = git.apply(&checkout, &change.store, &change.base, &change.head, on_conflict);
    let (exit, is_applied) = brought(applied.await?, &path);
    if is_applied && named.turns.last().is_some_and(|turn| turn.chosen.is_none()) {
        let now = worker.clock.now();
        worker.store.choose(named.attempt.turn, named.attempt.id, now).await.map_err(told)?;
    }
    Ok(exit)
}

/// Says what became of a change that was brought to the checkout at `path`: the exit code, and
/// whether any of it is there now that was not before.
pub(super) fn brought(report: ApplyReport, path: &Path) -> (Exit, bool) {
    let applied = match report {
        ApplyReport::AlreadyApplied => {
            show::err(&format!("{} already holds every change", path.display()));
            return (Exit::Done, false);
        }
        ApplyReport::Refused(conflicts) => {
            show::err("nothing was changed, as these files conflict:");
            list_conflicts(&conflicts);
            show::err(
                "commit or put away your own changes first, or write conflict markers with --conflicts",
            );
            return (Exit::NotVerified, false);
        }
        ApplyReport::Applied(applied) => applied,
    };
    for (word, paths) in
        [("written", &applied.written), ("merged", &applied.merged), ("deleted", &applied.deleted)]
    {
        for path in paths {
            show::out(&format!("{word:>8}  {}", plain(&path.to_string(), false)));
        }
    }
    for path in &applied.submodules {
        let path = plain(&path.to_string(), false);
        show::err(&format!("left as it is: the submodule {path}; update it yourself"));
    }
    if applied.conflicts.is_empty() {
        show::err("applied as uncommitted changes: `git status` and `git diff` show them");
        return (Exit::Done, true);
    }
    show::err("applied with conflicts; resolve these:");
    list_conflicts(&applied.conflicts);
    (Exit::NotVerified, true)
}

fn list_conflicts(conflicts: &[Conflict]) {
    for conflict in conflicts {
        show::err(&format!("  {}", plain(&conflict.to_string(), false)));
    }
}
