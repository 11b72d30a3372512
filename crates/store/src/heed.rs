//! What something that a person wants does to an attempt that nobody holds, in the transaction that
//! writes it down. Whoever holds one reads its inputs for itself.

use quire_domain::attempt::machine::{Change, NotPossible, Wish, allows, step};
use quire_domain::attempt::{Attempt, AttemptState, Outcome, SuspendReason};
use quire_domain::ids::{AttemptId, Epoch, TurnId};
use quire_domain::time::Timestamp;

use crate::claim::lease_of;
use crate::connection::Promise;
use crate::fold::refold;
use crate::input::InputKind;
use crate::rows::{self, to_json};
use crate::sql::{Connection, query};
use crate::store::{Result, Store};

/// As `attempts.offered`: whoever made it works on it by themselves.
const OWN: i64 = 0;
/// It waits for a worker.
const OFFERED: i64 = 1;
/// A worker took it, or it stands still after one did.
const TAKEN: i64 = 2;
/// It was cancelled while nobody held it, and what it did is to be taken out.
const TO_END: i64 = 3;

/// The most attempts that are handed out to be ended at once.
const MOST_TO_END: u32 = 64;

/// An attempt that nobody holds, by what matters here.
#[derive(Debug, Clone, PartialEq)]
struct Standing {
    state: AttemptState,
    epoch: Epoch,
    offered: i64,
}

impl Store {
    /// Attempts of servers that were cancelled while nobody held them and have something to be
    /// taken out, at most 64: whoever has a sandbox claims them and ends them.
    pub async fn to_end(&self, now: Timestamp) -> Result<Vec<AttemptId>> {
        let rows = query(
            "SELECT id FROM attempts
             WHERE open = 1 AND offered = $1 AND (lease_until IS NULL OR lease_until <= $2)
             ORDER BY created_at LIMIT $3",
        )
        .bind(TO_END)
        .bind(now)
        .bind(MOST_TO_END)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(|row| rows::id(row, "id").map(AttemptId)).collect()
    }

    /// Does to an attempt that was given back what was said to it after input `heard`, the newest
    /// that its worker knew of: what came between its last look and its last write is not lost.
    pub async fn heed_since(&self, attempt: AttemptId, heard: u64, now: Timestamp) -> Result<()> {
        let news = self.inputs_after(attempt, heard).await?;
        if news.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let mut changed = false;
        for input in &news {
            changed |= heed(connection, attempt, &input.kind, now).await?;
        }
        let task = crate::read::attempt_by_id(connection, attempt).await?.task;
        if changed {
            refold(connection, task, Some(now)).await?;
        }
        transaction.commit().await
    }
}

/// The attempts that are spoken to: the one named, or all of the turn.
pub(crate) async fn spoken_to(
    connection: &mut Connection,
    turn: TurnId,
    named: Option<AttemptId>,
) -> Result<Vec<Attempt>> {
    let mut attempts = crate::read::attempts(connection, turn).await?;
    attempts.retain(|attempt| named.is_none_or(|id| attempt.id == id));
    Ok(attempts)
}

/// Why none of these attempts can have this said to it; of several that most needs a person. `None`
/// where one can.
pub(crate) fn refused(attempts: &[Attempt], wish: Wish) -> Option<NotPossible> {
    let mut first: Option<(u8, NotPossible)> = None;
    for attempt in attempts {
        let refused = allows(&attempt.state, wish).err()?;
        let urgency = attempt.state.urgency();
        if first.as_ref().is_none_or(|(other, _)| urgency < *other) {
            first = Some((urgency, refused));
        }
    }
    first.map(|(_, refused)| refused)
}

/// Does to one attempt what `kind` does to one that nobody holds. Whether its state changed.
pub(crate) async fn heed(
    connection: &mut Connection,
    attempt: AttemptId,
    kind: &InputKind,
    now: Timestamp,
) -> Result<bool> {
    let row =
        query("SELECT state, epoch, offered, worker, lease_until FROM attempts WHERE id = $1")
            .bind(attempt)
            .fetch_one(connection)
            .await?;
    if lease_of(&row)?.is_some_and(|lease| lease.until > now) {
        return Ok(false);
    }
    let before = Standing {
        state: rows::json(&row, "state")?,
        epoch: Epoch(rows::number(&row, "epoch")?),
        offered: rows::number(&row, "offered")?,
    };
    let after = after(&before, kind);
    if after == before {
        return Ok(false);
    }
    let changed = after.state != before.state;
    query(
        "UPDATE attempts
         SET state = $2, offered = $3, open = $4, updated_at = $5,
             not_before = CASE WHEN $3 = 1 THEN 0 ELSE not_before END,
             lease_until = CASE WHEN $6 = 1 THEN NULL ELSE lease_until END
         WHERE id = $1",
    )
    .bind(attempt)
    .bind(to_json(&after.state)?)
    .bind(after.offered)
    .bind(!matches!(after.state, AttemptState::Done { .. }))
    .bind(now)
    .bind(changed)
    .execute(connection)
    .await?;
    Ok(changed)
}

/// Where an attempt that nobody holds stands once `kind` was said to it. Pure.
fn after(before: &Standing, kind: &InputKind) -> Standing {
    let (change, offered) = match kind {
        _ if allows(&before.state, kind.wish()).is_err() => return before.clone(),
        InputKind::Pause { .. } => {
            let offered = if before.offered == OFFERED { TAKEN } else { before.offered };
            (Some(Change::StandStill(SuspendReason::Paused)), offered)
        }
        // Its log does not exist yet, and there is nothing to take out.
        InputKind::Cancel if before.epoch == Epoch(0) => {
            (Some(Change::End(Outcome::Cancelled)), OWN)
        }
        InputKind::Cancel => (None, if before.offered == OWN { OWN } else { TO_END }),
        _ if before.offered == TAKEN && goes_on(&before.state, kind) => {
            (Some(Change::Offer), OFFERED)
        }
        _ => (None, before.offered),
    };
    let state = match change {
        Some(change) => match step(&before.state, change) {
            Ok(state) => state,
            Err(_) => return before.clone(),
        },
        None => before.state.clone(),
    };
    Standing { state, offered, epoch: before.epoch }
}

/// Whether an attempt that stands there goes on with these words.
fn goes_on(state: &AttemptState, kind: &InputKind) -> bool {
    match kind {
        InputKind::Resume | InputKind::RaiseBudget { .. } => {
            matches!(state, AttemptState::Suspended { .. })
        }
        InputKind::Answer { .. } => matches!(state, AttemptState::WaitingForUser),
        InputKind::Approve { .. } | InputKind::Reject { .. } | InputKind::Message { .. } => {
            matches!(state, AttemptState::WaitingForApproval)
        }
        InputKind::Steer { .. } | InputKind::Cancel | InputKind::Pause { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_stands_still_ends_or_is_offered_by_the_word_alone() {
        let at = |state: AttemptState, epoch: u32, offered: i64| Standing {
            state,
            epoch: Epoch(epoch),
            offered,
        };
        let paused = AttemptState::Suspended { reason: SuspendReason::Paused };
        let cancelled = AttemptState::Done { outcome: Outcome::Cancelled };
        let text = || "Yes.".to_owned();
        let pause = InputKind::Pause { now: false };
        let queued = AttemptState::Queued;
        for (before, kind, expected) in [
            (at(queued.clone(), 0, OFFERED), pause.clone(), at(paused.clone(), 0, TAKEN)),
            (at(queued.clone(), 0, OWN), pause, at(paused.clone(), 0, OWN)),
            (at(paused.clone(), 2, TAKEN), InputKind::Resume, at(queued.clone(), 2, OFFERED)),
            (at(paused.clone(), 2, OWN), InputKind::Resume, at(paused.clone(), 2, OWN)),
            (at(queued.clone(), 0, OFFERED), InputKind::Cancel, at(cancelled.clone(), 0, OWN)),
            (at(paused.clone(), 2, TAKEN), InputKind::Cancel, at(paused.clone(), 2, TO_END)),
            (at(paused.clone(), 2, OWN), InputKind::Cancel, at(paused, 2, OWN)),
            (
                at(AttemptState::WaitingForUser, 1, TAKEN),
                InputKind::Answer { text: text() },
                at(queued, 1, OFFERED),
            ),
            (
                at(AttemptState::WaitingForUser, 1, TAKEN),
                InputKind::Steer { text: text() },
                at(AttemptState::WaitingForUser, 1, TAKEN),
            ),
            (at(cancelled.clone(), 1, OWN), InputKind::Cancel, at(cancelled, 1, OWN)),
        ] {
            assert_eq!(after(&before, &kind), expected, "{kind:?}");
        }
    }
}
