//! `quire task apply` on a server: the change comes as a pack, is checked, and is brought onto the
//! checkout as a local one is.

use std::path::{Path, PathBuf};

use quire_api::Task;
use quire_client::Call;
use quire_domain::ids::{AttemptRef, CommitId, TaskId};
use quire_git::{Checkout, Git, OnConflict, ReceiveLimits, ResultStore, is_same_address};

use super::super::apply::{Args, brought};
use crate::exit::{Exit, usage};
use crate::remote::{Remote, pushing, tasks, told};
use crate::show;
use crate::surroundings::checkout_of;

/// A change of a task on a server, brought to this machine.
pub struct Change {
    /// Runs git.
    pub git: Git,
    /// The checkout that it is meant for.
    pub checkout: Checkout,
    /// Where its commits are.
    pub store: ResultStore,
    /// What it is against.
    pub base: CommitId,
    /// The commit it ends with.
    pub head: CommitId,
    /// The task.
    pub task: Task,
    /// The attempt's place in its turn.
    pub attempt: u8,
}

/// How many commits a server is told that this checkout has.
const MOST_HAD: usize = 100;

/// Runs it.
pub async fn run(args: Args, remote: &Remote) -> anyhow::Result<Exit> {
    let change = change_of(remote, args.task, args.to.as_deref(), "apply").await?;
    let on_conflict = if args.conflicts { OnConflict::WriteMarkers } else { OnConflict::Refuse };
    let (git, store) = (&change.git, &change.store);
    let applied = git.apply(&change.checkout, store, &change.base, &change.head, on_conflict);
    let (exit, is_applied) = brought(applied.await?, &change.checkout.top_level);
    let chosen = change.task.history.last().and_then(|turn| turn.chosen);
    if is_applied && chosen.is_none() {
        let number = change.task.summary.task.to_string();
        let choice = quire_api::Choice { attempt: change.attempt };
        let call = Call::put(&["tasks", &number, "choice"]).json(&choice);
        if let Err(error) = remote.client.tell(call).await {
            show::err(&format!("the change is applied; that it was chosen is not noted: {error}"));
        }
    }
    Ok(exit)
}

/// Brings the change that a person named to this machine, for a checkout of theirs.
pub async fn change_of(
    remote: &Remote,
    name: AttemptRef,
    to: Option<&Path>,
    doing: &str,
) -> anyhow::Result<Change> {
    let named = tasks::find(remote, name).await?;
    let number = named.task.summary.task;
    let git = pushing::git(remote)?;
    let current = &remote.surroundings.current_dir;
    let path: PathBuf = match to {
        Some(path) => current.join(path),
        None => checkout_of(current).ok_or_else(pushing::no_checkout)?.to_owned(),
    };
    let checkout = git.inspect(&path).await.map_err(|error| usage(error.to_string()))?;
    if to.is_none() && !belongs(remote, &git, &checkout, &named.task).await? {
        return Err(usage(format!(
            "task {number} began in `{}`, and you stand in {}: say which checkout with --to",
            named.task.summary.repository,
            checkout.top_level.display()
        )));
    }
    let (store, base, head) = bring(remote, &git, &checkout, &named).await?;
    if base == head {
        return Err(usage(format!("task {name} has no change to {doing}")));
    }
    let attempt = named.attempt.attempt;
    Ok(Change { git, checkout, store, base, head, task: named.task, attempt })
}

/// Brings the commits of an attempt into a store of their own on this machine.
pub async fn bring(
    remote: &Remote,
    git: &Git,
    checkout: &Checkout,
    named: &tasks::Named,
) -> anyhow::Result<(ResultStore, CommitId, CommitId)> {
    let mirror = git.mirror_checkout(checkout).await?;
    let mut had = git.sampled_history(mirror.repository(), &checkout.head).await?;
    had.truncate(MOST_HAD);
    let id = named.attempt.id.to_string();
    let have: Vec<&str> = had.iter().map(CommitId::as_str).collect();
    let call = Call::get(&["attempts", &id, "pack"]).query("have", have.join(","));
    let download = remote.client.download(call).await.map_err(told)?;
    let commit = |name: &str| {
        let text = download.header(name).unwrap_or_default();
        CommitId::parse(text)
            .map_err(|_| usage("the server is too old to hand results over: update it"))
    };
    let (base, head) = (commit("quire-base")?, commit("quire-head")?);
    let store = git.results(TaskId(named.task.summary.id), &(&mirror).into()).await?;
    if base != head {
        let limits = ReceiveLimits::default();
        let pack = download.reader();
        git.bring_change(&store, (&base, &head), &had, pack, &limits).await?;
    }
    Ok((store, base, head))
}

/// Whether a checkout is one of the repository that a task is about.
async fn belongs(
    remote: &Remote,
    git: &Git,
    checkout: &Checkout,
    task: &Task,
) -> anyhow::Result<bool> {
    let named = task.summary.repository.as_str();
    if Path::new(named) == checkout.top_level || pushing::name_of(&checkout.top_level) == named {
        return Ok(true);
    }
    let addresses = git.remote_addresses(checkout).await?;
    if addresses.iter().any(|address| is_same_address(address, named)) {
        return Ok(true);
    }
    let known = pushing::repository_of(remote, &checkout.top_level).await;
    Ok(known.is_ok_and(|known| known == named))
}
