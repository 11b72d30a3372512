//! `quire task diff`: the change of a task, or one attempt's change against another's.

use quire_domain::ids::{AttemptRef, CommitId};
use quire_orchestrator::readings;

use crate::commands::task::find;
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show;
use crate::show::style::{Style, plain};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    pub(super) task: AttemptRef,
    /// Another attempt, to compare with: the difference between the two results.
    pub(super) other: Option<AttemptRef>,
    /// Only the newest turn's change, not the whole task's.
    #[arg(long)]
    pub(super) turn: bool,
    /// Only the size of the change.
    #[arg(long)]
    pub(super) stat: bool,
}

/// A diff is cut at this many bytes.
const MOST_BYTES: usize = 64 << 20;

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let named = find(installation, args.task).await?;
    let change = readings::change(worker, &named.turns, &named.attempt, args.turn).await?;
    let Some(change) = change else {
        return Err(usage(format!("task {} has no change", args.task)));
    };
    let (base, head): (CommitId, CommitId) = match args.other {
        None => (change.base.clone(), change.head.clone()),
        Some(other) => {
            let other = find(installation, other).await?;
            if other.task.id != named.task.id {
                return Err(usage("the two attempts are not of the same task"));
            }
            let theirs = readings::change(worker, &other.turns, &other.attempt, args.turn).await?;
            let head = theirs.map_or_else(|| change.base.clone(), |theirs| theirs.head);
            (change.head.clone(), head)
        }
    };
    let repository = change.store.repository();
    if args.stat {
        let (files, stat) = worker.git.changes(repository, &base, &head, 10_000).await?;
        for file in &files {
            let path = plain(&file.path.to_string(), false);
            show::out(&format!(
                "{:>6} {:>6}  {path}",
                format!("+{}", file.added),
                format!("−{}", file.removed)
            ));
        }
        show::out(&stat.to_string());
        return Ok(Exit::Done);
    }
    let diff = worker.git.diff_unified(repository, &base, &head, &[], MOST_BYTES).await?;
    if installation.surroundings.stdout_terminal {
        let style = Style::new(installation.surroundings.colour());
        show::out(coloured(&String::from_utf8_lossy(&diff.text), style).trim_end());
    } else if !show::out_bytes(&diff.text) {
        return Ok(Exit::Done);
    }
    if diff.cut {
        show::err("the diff was cut at 64 MiB; `--stat` lists all files");
    }
    Ok(Exit::Done)
}

pub(super) fn coloured(diff: &str, style: Style) -> String {
    let mut text = String::with_capacity(diff.len() + diff.len() / 8);
    for line in diff.lines() {
        let line = plain(line, false);
        let painted = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'd', b'i', b'f', b'f', ..] => {
                style.bold(&line)
            }
            [b'+', ..] => style.good(&line),
            [b'-', ..] => style.bad(&line),
            [b'@', ..] => style.name(&line),
            _ => line,
        };
        text.push_str(&painted);
        text.push('\n');
    }
    text
}
