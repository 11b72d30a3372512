//! The end of an attempt is written down: its commits, its citations, its answer, its outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quire_agent::ContractError;
use quire_domain::attempt::{AttemptState, FailureKind, Outcome};
use quire_domain::budget::Spent;
use quire_domain::event::{
    Answered, CommitBy, Committed, Event, EventBody, Fault, Finished, Phase,
};
use quire_domain::ids::CommitId;
use quire_domain::journal::Journal;
use quire_domain::sandbox::Sandbox;
use quire_domain::task::Mode;
use quire_domain::time::Timestamp;

use super::Life;
use crate::error::{RunError, is_disk_full};
use crate::finish::{AttemptFinish, Collected, From, Looked};
use crate::time_limits::{self, TookTooLong, within};

/// How long the work of a cancelled attempt may take to be taken out.
const PARTIAL_TIME: Duration = Duration::from_secs(3);

/// How an attempt ended, before that is written down.
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) answer: Option<(String, Vec<Fault>)>,
    pub(super) partial: bool,
}

impl Ending {
    pub(super) fn failed(kind: FailureKind, detail: impl Into<String>) -> Self {
        let outcome = Outcome::Failed { kind, detail: detail.into() };
        Self { outcome, answer: None, partial: true }
    }
}

impl Life {
    /// Writes the end down: commits, citations, answer, the end itself; then signs.
    pub(super) async fn conclude(
        &self,
        finish: Option<&Arc<AttemptFinish>>,
        mut ending: Ending,
    ) -> Result<AttemptState, RunError> {
        self.end_services().await;
        self.close_way_out().await;
        let mut bodies = Vec::new();
        let mut collected = None;
        let mut contents = BTreeMap::new();
        if let Some(finish) = finish {
            if self.request().mode == Mode::Code {
                collected = self.collect(finish, &mut ending, &mut bodies).await?;
            }
            if let Some((answer, faults)) = ending.answer.take() {
                let looked = look(finish, answer).await;
                contents = finish.cited_contents(&looked.citations).await;
                bodies.extend(looked.citations.into_iter().map(EventBody::Cited));
                bodies.push(EventBody::Answered(Answered { text: looked.text, faults }));
            }
        }
        let changed = collected.as_ref().is_some_and(|collected| !collected.commits.is_empty());
        if ending.outcome == Outcome::Changed && !changed {
            ending.outcome = Outcome::NoChange;
        }
        let events = self.recorder.events().await?;
        if self.request().mode == Mode::Plan {
            contents = self.kept_contents(&events).await;
        }
        let spent = spent_of(&events, self.worker.clock.now());
        let finished = Finished {
            outcome: ending.outcome,
            spent,
            diff_stat: collected.as_ref().map(|collected| collected.diff_stat),
            head: collected.as_ref().map(|collected| collected.head.clone()),
            partial: ending.partial && changed,
        };
        // The store is told what the log holds: without secrets.
        let finished = match self.recorder.recordable(EventBody::Finished(finished.clone())) {
            EventBody::Finished(clean) => clean,
            _ => finished,
        };
        bodies.push(EventBody::Finished(finished.clone()));
        self.recorder.append(bodies).await?;
        if let Some(finish) = finish {
            self.leave_sandbox(finish).await;
        }
        if finished.head.is_some() {
            // What they held is in the result. What stays, the next sweep takes.
            let _ = self.worker.git.drop_checkpoints(self.row.id).await;
        }
        self.tell_store(&finished, &events, contents).await
    }

    /// Takes the commits out, also of an attempt that was cut short; what is uncommitted then
    /// becomes a commit of the system's own.
    async fn collect(
        &self,
        finish: &AttemptFinish,
        ending: &mut Ending,
        bodies: &mut Vec<EventBody>,
    ) -> Result<Option<Collected>, RunError> {
        let work = Box::pin(take(finish));
        let cut_short = ending.answer.is_none();
        let result = if cut_short {
            match tokio::time::timeout(PARTIAL_TIME, work).await {
                Ok(result) => result,
                Err(_) => return Ok(None),
            }
        } else {
            let late = |late: TookTooLong| Err(ContractError::Other(late.to_string()));
            within(Phase::Collect, time_limits::COLLECT, work).await.unwrap_or_else(late)
        };
        match result {
            Ok((collected, by_system)) => {
                bodies.extend(collected.commits.iter().map(|commit| {
                    let system = by_system.as_ref() == Some(&commit.id);
                    EventBody::Committed(Committed {
                        commit: commit.id.clone(),
                        by: if system { CommitBy::System } else { CommitBy::Agent },
                        subject: commit.subject.clone(),
                    })
                }));
                Ok(Some(collected))
            }
            // A cancelled one ends all the same; the others go on when there is room.
            Err(error) if is_disk_full(&error) && !cut_short => Err(RunError::DiskFull),
            Err(error) => {
                if !cut_short {
                    ending.outcome = Outcome::Failed {
                        kind: FailureKind::CollectFailed,
                        detail: error.to_string(),
                    };
                }
                Ok(None)
            }
        }
    }

    /// Ends the sandbox for good. Of a turn that keeps changes, what it wrote becomes the layer
    /// that follow-ups go on from, until the machine restarts: then there is the commit. Of the
    /// others it is thrown away.
    async fn leave_sandbox(&self, finish: &AttemptFinish) {
        if let Ok(sandbox) = finish.sandbox.sandbox().await {
            self.leave(sandbox.as_ref()).await;
        }
    }

    pub(super) async fn leave(&self, sandbox: &dyn Sandbox) {
        let mut frozen = BTreeMap::new();
        if self.request().mode.keeps_changes()
            && let Ok(layers) = sandbox.freeze_until_restart().await
        {
            frozen = layers;
        }
        let _ = sandbox.end().await;
        // Where this fails a follow-up starts from the commit alone.
        let _ = crate::frozen::keep_frozen(&self.worker, self.row.id, &frozen);
        if frozen.is_empty() {
            let _ = self.worker.sandboxes.discard(&self.upper()).await;
        }
    }
}

/// Takes the commits out, the rest of the working tree as one of the system's own; where the
/// attempt's own repository cannot be used, the working tree as it stands. Gives the commit that
/// is the system's, if there is one.
async fn take(finish: &AttemptFinish) -> Result<(Collected, Option<CommitId>), ContractError> {
    if let Ok(facts) = finish.tree_facts().await? {
        let rest = if facts.dirty.is_empty() { None } else { finish.commit_the_rest().await? };
        // Uncommitted work that git would not commit is taken as it stands.
        if facts.dirty.is_empty() || rest.is_some() {
            let head = rest.as_ref().unwrap_or(&facts.head);
            if let Ok(collected) = finish.collect(head, From::Attempt).await? {
                return Ok((collected, rest.filter(|rest| *rest != facts.head)));
            }
        }
    }
    let Some(salvaged) = finish.salvage().await? else {
        let why = "its commits cannot be used, and git finds nothing to take of its working tree";
        return Err(ContractError::Other(why.to_owned()));
    };
    let collected = finish.collect(&salvaged, From::Salvage).await?;
    Ok((collected.map_err(ContractError::Other)?, Some(salvaged)))
}

/// Looks at the citations of the answer once more, now that the change is final.
pub(super) async fn look(finish: &AttemptFinish, answer: String) -> Looked {
    // An answer without its evidence is still the answer.
    let unlooked = |text| Looked { text, ..Looked::default() };
    finish.look_at_citations(&answer).await.unwrap_or_else(|_| unlooked(answer))
}

/// What a log says was spent: every reply, and the time from each claim to its last event.
pub fn spent_of(events: &[Event], now: Timestamp) -> Spent {
    let mut spent = Spent::default();
    let mut claim = None;
    let mut last = now;
    for event in events {
        match &event.body {
            EventBody::ModelReplied(replied) => {
                spent.usage = spent.usage.plus(replied.reply.usage);
                spent.cost.0 += replied.cost.unwrap_or_default().0;
                spent.model_calls += 1;
            }
            EventBody::Compacted(compacted) => {
                spent.usage = spent.usage.plus(compacted.spent.usage);
                spent.cost.0 += compacted.spent.cost.0;
                spent.model_calls += compacted.spent.model_calls;
            }
            EventBody::Claimed(_) => {
                if let Some(claimed) = claim.replace(event.at) {
                    spent.wall_ms += last.millis_since(claimed);
                }
            }
            _ => {}
        }
        last = event.at;
    }
    if let Some(claimed) = claim {
        spent.wall_ms += now.max(last).millis_since(claimed);
    }
    spent
}
