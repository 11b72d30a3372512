//! What a person reads of a task after it ran: its change.

use quire_domain::attempt::Attempt;
use quire_domain::event::EventBody;
use quire_domain::ids::CommitId;
use quire_domain::journal::JournalError;
use quire_domain::task::Turn;
use quire_git::{GitError, ResultStore};

use crate::submit::Origin;
use crate::worker::Worker;

/// The change of an attempt.
#[derive(Debug, Clone)]
pub struct Change {
    /// Where its commits are.
    pub store: ResultStore,
    /// What it is against.
    pub base: CommitId,
    /// The commit it ends with.
    pub head: CommitId,
}

/// Why a change cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The repository of results.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The store.
    #[error(transparent)]
    Store(#[from] quire_store::StoreError),
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What was stored with the turn.
    #[error("the turn's origin cannot be read: {0}")]
    Origin(String),
}

/// The change that `attempt` (of the newest of `turns`) ended with: of the whole task, or of its
/// own turn alone. `None` if there is none.
pub async fn change(
    worker: &Worker,
    turns: &[Turn],
    attempt: &Attempt,
    own_turn: bool,
) -> Result<Option<Change>, ReadError> {
    let from = if own_turn { turns.last() } else { turns.first() };
    let start = from.and_then(|turn| turn.request.start.as_ref());
    // The log says what it ended with: it is what was signed.
    let events = worker.record.events(attempt.id).await?;
    let head = events.iter().rev().find_map(|event| match &event.body {
        EventBody::Finished(finished) => finished.head.clone(),
        _ => None,
    });
    let (Some(start), Some(turn), Some(head)) = (start, turns.last(), head) else {
        return Ok(None);
    };
    let origin = worker.store.origin(turn.id).await?.unwrap_or_default();
    let origin = Origin::parse(&origin).map_err(ReadError::Origin)?;
    let repository = worker.git.task_repository(&origin.mirror, &origin.layer).await?;
    let store = worker.git.results(attempt.task, &repository).await?;
    // The whole change of a fork holds that of the attempt it was made from.
    let forked = !own_turn && worker.store.forked_from(attempt.task).await?.is_some();
    let base = if forked { origin.layer } else { start.base.clone() };
    Ok((base != head).then_some(Change { store, base, head }))
}
