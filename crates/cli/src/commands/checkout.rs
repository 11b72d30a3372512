//! `quire checkout`: brings the result of a task as a branch, or a working tree of its own.

use std::path::PathBuf;

use quire_domain::ids::{AttemptRef, CommitId};
use quire_git::{BranchReport, Checkout, Git, ResultStore};
use quire_orchestrator::readings;

use crate::commands::Context;
use crate::commands::task::{find, there};
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::remote::pushing::no_checkout;
use crate::show;
use crate::surroundings::checkout_of;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    task: AttemptRef,
    /// The branch; `quire/42` if not given. One that is there is never moved.
    #[arg(long, short, value_name = "NAME")]
    branch: Option<String>,
    /// Make a working tree of its own there, and leave the checkout as it is.
    #[arg(long, value_name = "DIR", conflicts_with = "only_branch")]
    worktree: Option<PathBuf>,
    /// Make the branch and stay on the one that is checked out.
    #[arg(long)]
    only_branch: bool,
    /// Another checkout than the one you stand in.
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
}

/// A result, and the checkout that it is for.
struct Result {
    git: Git,
    checkout: Checkout,
    store: ResultStore,
    head: CommitId,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let name = args.task;
    let current = context.surroundings.current_dir.clone();
    let result = if let Some(remote) = context.remote()? {
        let change = there::change_of(&remote, name, args.to.as_deref(), "check out").await?;
        let there::Change { git, checkout, store, head, .. } = change;
        Result { git, checkout, store, head }
    } else {
        let installation = Installation::open(context, None).await?;
        let named = find(&installation, name).await?;
        let worker = &installation.worker;
        let change = readings::change(worker, &named.turns, &named.attempt, false).await?;
        let Some(change) = change else {
            return Err(usage(format!("task {name} has no change to check out")));
        };
        let path = match &args.to {
            Some(path) => current.join(path),
            None => checkout_of(&current).ok_or_else(no_checkout)?.to_owned(),
        };
        let git = worker.git.clone();
        let checkout = git.inspect(&path).await.map_err(|error| usage(error.to_string()))?;
        Result { git, checkout, store: change.store, head: change.head }
    };
    let Result { git, checkout, store, head } = result;
    let branch = args.branch.unwrap_or_else(|| match name.ordinal {
        None => format!("quire/{}", name.task),
        Some(ordinal) => format!("quire/{}-{ordinal}", name.task),
    });
    let made = git.make_branch(&checkout, &store, &head, &branch).await;
    match made.map_err(|error| usage(error.to_string()))? {
        BranchReport::Made => show::err(&format!("made the branch {branch}")),
        BranchReport::AlreadyThere => show::err(&format!("the branch {branch} is there already")),
        BranchReport::Taken(commit) => {
            return Err(usage(format!(
                "the branch {branch} is there and holds something else ({}): name another one with \
                 --branch",
                commit.as_str().get(..10).unwrap_or_default()
            )));
        }
    }
    if let Some(dir) = &args.worktree {
        let dir = current.join(dir);
        git.add_worktree(&checkout, &branch, &dir)
            .await
            .map_err(|error| usage(error.to_string()))?;
        show::err(&format!("it is checked out in {}", dir.display()));
        show::out(&dir.display().to_string());
        return Ok(Exit::Done);
    }
    if !args.only_branch {
        git.switch_to(&checkout, &branch).await.map_err(|error| {
            usage(format!(
                "{error}; your checkout is as it was, and `git switch {branch}` tries again"
            ))
        })?;
        show::err("it is checked out; `git switch -` goes back");
    }
    show::out(&branch);
    Ok(Exit::Done)
}
