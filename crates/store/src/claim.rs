//! Who may write: claims, leases, and writes that carry an epoch.

use quire_domain::attempt::machine::{Change, step};
use quire_domain::attempt::{Attempt, AttemptResult, AttemptState};
use quire_domain::budget::Spent;
use quire_domain::ids::{AttemptId, AttemptRef, Epoch, TaskId, TurnId};
use quire_domain::time::Timestamp;

use crate::connection::Promise;
use crate::error::{ClaimError, StoreError};
use crate::fold::refold;
use crate::read::{self, not_found};
use crate::rows::{self, to_json};
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};
use crate::submit::FollowUp;

/// A claim that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// What every later write has to carry.
    pub epoch: Epoch,
    /// How often a worker was lost over this attempt, this time included.
    pub losses: u32,
}

/// Who holds an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The worker, as it named itself.
    pub worker: String,
    /// Under which epoch.
    pub epoch: Epoch,
    /// Until when, unless renewed.
    pub until: Timestamp,
}

/// What a worker writes about its attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where it stands now. All but `Preparing` and `Working` give the lease back.
    pub state: AttemptState,
    /// What it has cost in all.
    pub spent: Spent,
    /// What it left; `None` keeps what was written before.
    pub result: Option<AttemptResult>,
    /// The time.
    pub now: Timestamp,
}

/// On what ground an attempt is claimed.
#[derive(Clone, Copy)]
enum Ground {
    /// Nobody holds it.
    Free,
    /// The holder under this epoch is known to be gone.
    Dead(Epoch),
}

impl Store {
    /// Claims an attempt for `lease_ms`: raises its epoch, its state is then `preparing`.
    ///
    /// Granted where it has not ended and nobody holds it, or the holder's lease ran out at `now`.
    pub async fn claim(
        &self,
        attempt: AttemptId,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
    ) -> std::result::Result<Claim, ClaimError> {
        self.claim_on(Ground::Free, attempt, worker, now, lease_ms).await
    }

    /// As [`Store::claim`], although the lease of `dead` still runs: for a caller who knows that
    /// its holder is gone. Refused as held if somebody claimed it since.
    pub async fn take_over(
        &self,
        attempt: AttemptId,
        dead: Epoch,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
    ) -> std::result::Result<Claim, ClaimError> {
        self.claim_on(Ground::Dead(dead), attempt, worker, now, lease_ms).await
    }

    async fn claim_on(
        &self,
        ground: Ground,
        attempt: AttemptId,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
    ) -> std::result::Result<Claim, ClaimError> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let (found, lease) = held(connection, attempt).await?;
        if matches!(found.state, AttemptState::Done { .. }) {
            return Err(ClaimError::Done);
        }
        if let Some(lease) = &lease
            && lease.until > now
            && !matches!(ground, Ground::Dead(epoch) if epoch == lease.epoch)
        {
            return Err(ClaimError::Held { worker: lease.worker.clone(), until: lease.until });
        }
        let claim = grant(connection, &found, lease.is_some(), worker, now, lease_ms).await?;
        transaction.commit().await?;
        Ok(claim)
    }

    /// Who holds the attempt, whether or not the lease ran out.
    pub async fn lease(&self, attempt: AttemptId) -> Result<Option<Lease>> {
        let row = query("SELECT epoch, worker, lease_until FROM attempts WHERE id = $1")
            .bind(attempt)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        lease_of(&row.ok_or_else(|| not_found("attempt", attempt))?)
    }

    /// Extends the lease of `epoch` to `until`. Survives the process, not a crash of the machine.
    pub async fn renew(&self, attempt: AttemptId, epoch: Epoch, until: Timestamp) -> Result<()> {
        let mut write = self.database.alone().await?;
        let renewed = query(
            "UPDATE attempts SET lease_until = $3
             WHERE id = $1 AND epoch = $2 AND lease_until IS NOT NULL",
        )
        .bind(attempt)
        .bind(epoch)
        .bind(until)
        .execute(write.connection()?)
        .await?;
        if renewed == 0 {
            return Err(refusal(write.connection()?, attempt).await);
        }
        write.commit().await
    }

    /// Writes where an attempt stands. Refused for a stale epoch and after it ended or was
    /// suspended: to go on it has to be claimed. On disk when it returns, but for `preparing` and
    /// `working`: these survive the process, and after a crash of the machine it is claimed anew
    /// whichever of the two it was.
    pub async fn set_state(&self, attempt: AttemptId, epoch: Epoch, write: Write) -> Result<()> {
        self.set_state_then(attempt, epoch, write, None).await
    }

    /// As [`Store::set_state`], with the turn that follows an end: both are there, or neither.
    pub async fn set_state_then(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        write: Write,
        then: Option<Box<FollowUp>>,
    ) -> Result<()> {
        let promise = match &write.state {
            AttemptState::Preparing | AttemptState::Working => Promise::Lasting,
            _ => Promise::Durable,
        };
        let mut transaction = self.database.begin(promise).await?;
        let connection = transaction.connection()?;
        let ended = matches!(write.state, AttemptState::Done { .. });
        let given_back = !matches!(write.state, AttemptState::Preparing | AttemptState::Working);
        let result = write.result.as_ref().map(to_json).transpose()?;
        let (found, lease) = held(connection, attempt).await?;
        // Who does not hold it is refused by the write itself.
        if found.epoch == epoch && lease.is_some() {
            moved(connection, &found, write.state.clone().into()).await?;
        }
        let row = query(
            "UPDATE attempts
             SET state = $3, spent = $4, result = coalesce($5, result), updated_at = $6,
                 open = $7, lease_until = CASE WHEN $8 = 1 THEN NULL ELSE lease_until END
             WHERE id = $1 AND epoch = $2 AND lease_until IS NOT NULL RETURNING task",
        )
        .bind(attempt)
        .bind(epoch)
        .bind(to_json(&write.state)?)
        .bind(to_json(&write.spent)?)
        .bind(result)
        .bind(write.now)
        .bind(!ended)
        .bind(given_back)
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Err(refusal(connection, attempt).await) };
        let task = TaskId(rows::id(&row, "task")?);
        refold(connection, task, Some(write.now)).await?;
        if let Some(follow) = then {
            Box::pin(self.follow_up_in(connection, *follow)).await?;
        }
        transaction.commit().await
    }

    /// Writes what an attempt has cost and gives what its turn has ([`Store::spent`]). Survives
    /// the process, not a crash of the machine: the log has the truth.
    pub async fn set_spent(&self, attempt: AttemptId, epoch: Epoch, spent: Spent) -> Result<Spent> {
        let mut write = self.database.alone().await?;
        let connection = write.connection()?;
        let row = query(
            "UPDATE attempts SET spent = $3
             WHERE id = $1 AND epoch = $2 AND lease_until IS NOT NULL RETURNING turn",
        )
        .bind(attempt)
        .bind(epoch)
        .bind(to_json(&spent)?)
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Err(refusal(connection, attempt).await) };
        let turn = TurnId(rows::id(&row, "turn")?);
        let all = read::spent(connection, turn).await?;
        write.commit().await?;
        Ok(all)
    }

    /// Attempts that anybody may claim at `now`, oldest first, at most `limit`: queued ones, and
    /// those at work whose lease ran out.
    pub async fn claimable(&self, now: Timestamp, limit: u32) -> Result<Vec<Attempt>> {
        let rows = query(
            "SELECT * FROM attempts
             WHERE open = 1 AND (state = $1 OR lease_until <= $2)
             ORDER BY created_at, ordinal LIMIT $3",
        )
        .bind(to_json(&AttemptState::Queued)?)
        .bind(now)
        .bind(limit)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(rows::attempt).collect()
    }
}

/// Raises the epoch of an attempt that may be claimed; `lost` says that its last holder did not give
/// it back.
pub(crate) async fn grant(
    connection: &mut Connection,
    found: &Attempt,
    lost: bool,
    worker: &str,
    now: Timestamp,
    lease_ms: u64,
) -> Result<Claim> {
    let epoch = Epoch(found.epoch.0.saturating_add(1));
    let state = moved(connection, found, Change::Claim).await?;
    let row = query(
        "UPDATE attempts
         SET epoch = $2, worker = $3, lease_until = $4, state = $5, updated_at = $6,
             losses = losses + $7
         WHERE id = $1 RETURNING losses",
    )
    .bind(found.id)
    .bind(epoch)
    .bind(worker)
    .bind(now.plus_millis(lease_ms))
    .bind(to_json(&state)?)
    .bind(now)
    .bind(lost)
    .fetch_one(connection)
    .await?;
    let losses = rows::number(&row, "losses")?;
    refold(connection, found.task, Some(now)).await?;
    Ok(Claim { epoch, losses })
}

/// Where an attempt stands after `change`; refused where no arrow leads there.
async fn moved(
    connection: &mut Connection,
    found: &Attempt,
    change: Change,
) -> Result<AttemptState> {
    match step(&found.state, change) {
        Ok(state) => Ok(state),
        Err(refused) => {
            let task = read::task_by_id(connection, found.task).await?.number;
            let name = AttemptRef { task, ordinal: Some(found.ordinal) };
            Err(StoreError::NotPossible { name, refused })
        }
    }
}

/// An attempt, and who holds it.
pub(crate) async fn held(
    connection: &mut Connection,
    attempt: AttemptId,
) -> Result<(Attempt, Option<Lease>)> {
    let row = query("SELECT * FROM attempts WHERE id = $1")
        .bind(attempt)
        .fetch_optional(connection)
        .await?;
    let row = row.ok_or_else(|| not_found("attempt", attempt))?;
    Ok((rows::attempt(&row)?, lease_of(&row)?))
}

pub(crate) fn lease_of(row: &Row) -> Result<Option<Lease>> {
    let Some(until) = rows::optional_number(row, "lease_until")? else { return Ok(None) };
    Ok(Some(Lease {
        worker: rows::optional_text(row, "worker")?.unwrap_or_default(),
        epoch: Epoch(rows::number(row, "epoch")?),
        until: Timestamp(until),
    }))
}

/// Why a write under an epoch met no row.
pub(crate) async fn refusal(connection: &mut Connection, attempt: AttemptId) -> StoreError {
    match read::attempt_by_id(connection, attempt).await {
        Ok(_) => StoreError::Fenced { attempt },
        Err(error) => error,
    }
}
