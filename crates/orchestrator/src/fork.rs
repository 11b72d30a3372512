//! Another task that goes on from an attempt of a task: with its conversation, its files and its
//! environment, as a follow-up does, but in a task of its own.

use quire_domain::attempt::machine::{Wish, allows};
use quire_domain::ids::{AttemptId, AttemptRef};
use quire_domain::task::Request;
use quire_store::{NewTask, StoreError, Submission};

use crate::submit::{SubmitError, Terms, check_output_schema, redacted, start_after};
use crate::worker::Worker;

/// A fork to submit.
#[derive(Debug, Clone)]
pub struct NewFork {
    /// The attempt to go on from, of any turn of its task; it has ended.
    pub from: AttemptId,
    /// What is asked for; its start and environment are those of the attempt.
    pub request: Request,
    /// Whose it is, and who works on it.
    pub terms: Terms,
}

/// Writes a fork down: it starts where the attempt ended, and its diff is against where that one's
/// task began.
///
/// # Errors
///
/// [`StoreError::NotPossible`] where the attempt has not ended.
pub async fn fork(worker: &Worker, new: NewFork) -> Result<Submission, SubmitError> {
    if let Some(schema) = &new.request.output_schema {
        check_output_schema(schema)?;
    }
    let store = &worker.store;
    let before = store.attempt_by_id(new.from).await?;
    let task = store.task_by_id(before.task).await?;
    if let Err(refused) = allows(&before.state, Wish::Fork) {
        let name = AttemptRef { task: task.number, ordinal: Some(before.ordinal) };
        return Err(StoreError::NotPossible { name, refused }.into());
    }
    let turn = store.turn(before.turn).await?;
    let origin = store.origin(turn.id).await?;
    let mut request = new.request;
    request.start = start_after(&turn, &before);
    request.environment = turn.request.environment.clone();
    request.prompt = redacted(worker, &request, origin.as_deref()).await?;
    let title = request.prompt.lines().next().unwrap_or_default().to_owned();
    let new_task = NewTask {
        repository: task.repository,
        title: if title.is_empty() { request.mode.to_string() } else { title },
        request,
        origin,
        idempotency_key: new.terms.idempotency_key,
        owner: new.terms.owner,
        offered: new.terms.offered,
        now: worker.clock.now(),
    };
    Ok(store.fork(new_task, before.id).await?)
}
