//! Attempts that wait for a worker of a server: offered, taken by whose turn it is, given back.
//!
//! `attempts.offered` says whose an attempt is: 0, whoever made it works on it by themselves
//! (`quire run`); 1, it waits for a worker; 2, a worker took it, or it stands still after one did.

mod pick;

use std::collections::HashMap;

use quire_domain::attempt::{AttemptState, SuspendReason};
use quire_domain::ids::{AttemptId, Epoch, TeamId, UserId};
use quire_domain::time::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::claim::{Claim, Lease, grant, held, lease_of, refusal};
use crate::connection::Promise;
use crate::read::not_found;
use crate::rows::{self, to_json};
use crate::sql::{Connection, Row, query};
use crate::store::{Result, Store};

use self::pick::{AtOnce, AtWork, Head, Waiting, pick};

/// The most that one transaction hands out: others wait for it.
const MOST_AT_ONCE: u32 = 16;

/// An attempt that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub attempt: AttemptId,
    /// Its claim.
    pub claim: Claim,
}

/// What the limits of a queue are read from: a part of a row of `quotas`.
#[derive(Debug, Default, Deserialize)]
struct OfQueue {
    /// Attempts at work at once.
    #[serde(default)]
    at_once: Option<u32>,
}

impl Store {
    /// Offers an attempt that nobody works on to the workers of a server. One that is offered, at
    /// work or has ended stays as it is; gives whether it is offered now. On disk when it returns.
    pub async fn offer(&self, attempt: AttemptId, now: Timestamp) -> Result<bool> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        offer_in(connection, attempt, now).await?;
        let row = query("SELECT offered FROM attempts WHERE id = $1")
            .bind(attempt)
            .fetch_optional(connection)
            .await?;
        let row = row.ok_or_else(|| not_found("attempt", attempt))?;
        let offered: i64 = rows::number(&row, "offered")?;
        transaction.commit().await?;
        Ok(offered == 1)
    }

    /// Whether an attempt is for the workers of a server, or was worked on by one.
    pub async fn is_of_server(&self, attempt: AttemptId) -> Result<bool> {
        let row = query("SELECT offered FROM attempts WHERE id = $1")
            .bind(attempt)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        let offered: i64 =
            rows::number(&row.ok_or_else(|| not_found("attempt", attempt))?, "offered")?;
        Ok(offered > 0)
    }

    /// Takes attempts that wait, those first whose turn it is, `most` at most: each is claimed for
    /// `lease_ms`, as by [`Store::claim`]. None where nobody waits or all are over a limit.
    pub async fn take(
        &self,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
        most: u32,
    ) -> Result<Vec<Taken>> {
        // A look that takes no lock: an idle server writes nothing.
        if most == 0 || !self.has_offers(now).await? {
            return Ok(Vec::new());
        }
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let at_once = at_once(connection).await?;
        let mut at_work = at_work(connection, now).await?;
        let mut heads = heads(connection, now).await?;
        let mut taken = Vec::new();
        while taken.len() < most.min(MOST_AT_ONCE) as usize {
            let Some(place) = pick(&heads, &at_work, &at_once) else { break };
            let head = heads[place];
            let claim = take_one(connection, head.attempt, worker, now, lease_ms).await?;
            at_work.add(head.author, head.team, 1);
            taken.push(Taken { attempt: head.attempt, claim });
            match next_of(connection, now, head.author, head.team).await? {
                Some(next) => heads[place] = next,
                None => drop(heads.swap_remove(place)),
            }
        }
        // Where nothing was taken nothing is committed, and nobody is told of news.
        if !taken.is_empty() {
            transaction.commit().await?;
        }
        Ok(taken)
    }

    /// Gives back an attempt that is held under `epoch`: it waits for another worker again, which
    /// gets it at `not_before` at the earliest. Its state stays what it is, and no loss is counted.
    ///
    /// # Errors
    ///
    /// [`crate::StoreError::Fenced`] if it is not held under it.
    pub async fn give_back(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        not_before: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let given = query(
            "UPDATE attempts SET lease_until = NULL, offered = 1, not_before = $3
             WHERE id = $1 AND epoch = $2 AND lease_until IS NOT NULL",
        )
        .bind(attempt)
        .bind(epoch)
        .bind(not_before)
        .execute(connection)
        .await?;
        if given == 0 {
            return Err(refusal(connection, attempt).await);
        }
        transaction.commit().await
    }

    /// Offers an attempt again whose worker under `epoch` is known to be gone, or whose lease ran
    /// out: the next claim counts it as a loss. Whether it was still that one's.
    pub async fn offer_again(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.database.begin(Promise::Durable).await?;
        let connection = transaction.connection()?;
        let offered = query(
            "UPDATE attempts
             SET offered = 1, not_before = 0,
                 lease_until = CASE WHEN lease_until > $3 THEN $3 ELSE lease_until END
             WHERE id = $1 AND epoch = $2 AND offered = 2 AND lease_until IS NOT NULL",
        )
        .bind(attempt)
        .bind(epoch)
        .bind(now)
        .execute(connection)
        .await?;
        transaction.commit().await?;
        Ok(offered > 0)
    }

    /// Who holds the attempts that workers of servers took, whether or not the lease ran out.
    pub async fn taken(&self) -> Result<Vec<(AttemptId, Lease)>> {
        let rows = query(
            "SELECT id, epoch, worker, lease_until FROM attempts
             WHERE offered = 2 AND lease_until IS NOT NULL",
        )
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        let held = |row: &Row| {
            let lease = lease_of(row)?;
            Ok(lease.map(|lease| Ok((AttemptId(rows::id(row, "id")?), lease))))
        };
        rows.iter().filter_map(|row| held(row).transpose()).map(Result::flatten).collect()
    }

    /// Attempts that wait for a worker, and those that workers have.
    pub async fn queue_length(&self) -> Result<(u64, u64)> {
        let row = query(
            "SELECT CAST(count(CASE WHEN offered = 1 THEN 1 END) AS BIGINT) AS waiting,
                    CAST(count(CASE WHEN lease_until IS NOT NULL THEN 1 END) AS BIGINT) AS at_work
             FROM attempts WHERE open = 1 AND offered > 0",
        )
        .fetch_one(self.database.reader().await?.connection()?)
        .await?;
        Ok((rows::number(&row, "waiting")?, rows::number(&row, "at_work")?))
    }

    /// Attempts of servers that stand still for this reason, at most 256.
    pub async fn standing(&self, reason: SuspendReason) -> Result<Vec<AttemptId>> {
        let rows = query(
            "SELECT id FROM attempts
             WHERE open = 1 AND offered = 2 AND lease_until IS NULL AND state = $1 LIMIT 256",
        )
        .bind(to_json(&AttemptState::Suspended { reason })?)
        .fetch_all(self.database.reader().await?.connection()?)
        .await?;
        rows.iter().map(|row| rows::id(row, "id").map(AttemptId)).collect()
    }

    /// How many go before an attempt that waits, if nothing ended meanwhile and no limit was
    /// reached; `None` if it does not wait.
    pub async fn queue_place(&self, attempt: AttemptId, now: Timestamp) -> Result<Option<u64>> {
        let mut reader = self.database.reader().await?;
        let connection = reader.connection()?;
        let row = query(
            "SELECT id, author, team, priority, created_at, ordinal FROM attempts
             WHERE id = $1 AND offered = 1",
        )
        .bind(attempt)
        .fetch_optional(connection)
        .await?;
        let Some(own) = row.as_ref().map(head).transpose()? else { return Ok(None) };
        let at_work = at_work(connection, now).await?;
        let rows = query(
            "SELECT author,
                    CAST(count(CASE WHEN priority = $1 THEN 1 END) AS BIGINT) AS equal,
                    CAST(count(CASE WHEN priority > $1 THEN 1 END) AS BIGINT) AS before,
                    CAST(count(CASE WHEN priority = $1
                        AND (created_at, ordinal, id) < ($2, $3, $4) THEN 1 END) AS BIGINT) AS older
             FROM attempts WHERE offered = 1 GROUP BY author",
        )
        .bind(own.priority)
        .bind(own.created_at)
        .bind(own.ordinal)
        .bind(attempt)
        .fetch_all(connection)
        .await?;
        let (mut others, mut before, mut first) = (Vec::new(), 0_u64, 0_u64);
        for row in rows {
            let author = UserId(rows::id(&row, "author")?);
            let older = rows::number(&row, "older")?;
            first += rows::number::<u64>(&row, "before")?;
            if author == own.author {
                before = older;
                continue;
            }
            let count = rows::number(&row, "equal")?;
            let at_work = u64::from(at_work.of_author(author));
            others.push(Waiting { at_work, count, older });
        }
        let at_work = u64::from(at_work.of_author(own.author));
        Ok(Some(first + pick::ahead(at_work, before, &others)))
    }

    async fn has_offers(&self, now: Timestamp) -> Result<bool> {
        let row = query(
            "SELECT CAST(1 AS BIGINT) AS found FROM attempts
             WHERE offered = 1 AND not_before <= $1 LIMIT 1",
        )
        .bind(now)
        .fetch_optional(self.database.reader().await?.connection()?)
        .await?;
        Ok(row.is_some())
    }
}

/// As [`Store::offer`], in a transaction of somebody who changes something else with it.
pub(crate) async fn offer_in(
    connection: &mut Connection,
    attempt: AttemptId,
    now: Timestamp,
) -> Result<()> {
    query(
        "UPDATE attempts SET offered = 1, not_before = 0
         WHERE id = $1 AND open = 1 AND offered <> 1
           AND (lease_until IS NULL OR lease_until <= $2)",
    )
    .bind(attempt)
    .bind(now)
    .execute(connection)
    .await
    .map(|_| ())
}

async fn take_one(
    connection: &mut Connection,
    attempt: AttemptId,
    worker: &str,
    now: Timestamp,
    lease_ms: u64,
) -> Result<Claim> {
    let (found, lease) = held(connection, attempt).await?;
    let claim = grant(connection, &found, lease.is_some(), worker, now, lease_ms).await?;
    query("UPDATE attempts SET offered = 2 WHERE id = $1")
        .bind(attempt)
        .execute(connection)
        .await?;
    Ok(claim)
}

/// The first of what each person has waiting in each team: a look-up for each, however many wait.
async fn heads(connection: &mut Connection, now: Timestamp) -> Result<Vec<Head>> {
    let mut heads: Vec<Head> = Vec::new();
    let (mut author, mut team) = (Vec::new(), Vec::new());
    loop {
        let row = query(
            "SELECT id, author, team, priority, created_at, ordinal FROM attempts
             WHERE offered = 1 AND not_before <= $1 AND (author, team) > ($2, $3)
             ORDER BY author, team, priority DESC, created_at, ordinal, id LIMIT 1",
        )
        .bind(now)
        .bind(author)
        .bind(team)
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Ok(heads) };
        let head = head(&row)?;
        author = head.author.0.as_bytes().to_vec();
        team = head.team.0.as_bytes().to_vec();
        heads.push(head);
    }
}

async fn next_of(
    connection: &mut Connection,
    now: Timestamp,
    author: UserId,
    team: TeamId,
) -> Result<Option<Head>> {
    let row = query(
        "SELECT id, author, team, priority, created_at, ordinal FROM attempts
         WHERE offered = 1 AND not_before <= $1 AND author = $2 AND team = $3
         ORDER BY priority DESC, created_at, ordinal, id LIMIT 1",
    )
    .bind(now)
    .bind(author)
    .bind(team)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(head).transpose()
}

fn head(row: &Row) -> Result<Head> {
    Ok(Head {
        attempt: AttemptId(rows::id(row, "id")?),
        author: UserId(rows::id(row, "author")?),
        team: TeamId(rows::id(row, "team")?),
        priority: rows::number(row, "priority")?,
        created_at: Timestamp(rows::number(row, "created_at")?),
        ordinal: rows::number(row, "ordinal")?,
    })
}

/// What workers of servers have at work: a lease that ran out counts no more.
async fn at_work(connection: &mut Connection, now: Timestamp) -> Result<AtWork> {
    let rows = query(
        "SELECT author, team, CAST(count(*) AS BIGINT) AS attempts FROM attempts
         WHERE offered = 2 AND lease_until > $1 GROUP BY author, team",
    )
    .bind(now)
    .fetch_all(connection)
    .await?;
    let mut at_work = AtWork::default();
    for row in rows {
        let (author, team) = (UserId(rows::id(&row, "author")?), TeamId(rows::id(&row, "team")?));
        at_work.add(author, team, rows::number(&row, "attempts")?);
    }
    Ok(at_work)
}

async fn at_once(connection: &mut Connection) -> Result<AtOnce> {
    let rows = query("SELECT subject, quota FROM quotas").fetch_all(connection).await?;
    let mut limits: HashMap<String, u32> = HashMap::new();
    for row in rows {
        let OfQueue { at_once } = rows::json(&row, "quota")?;
        if let Some(limit) = at_once {
            limits.insert(rows::text(&row, "subject")?, limit);
        }
    }
    let server = limits.remove("server");
    let mut at_once = AtOnce { server, ..AtOnce::default() };
    for (subject, limit) in limits {
        // An id is a user's or a team's, never both.
        let Ok(id) = Uuid::try_parse(&subject) else { continue };
        at_once.authors.insert(UserId(id), limit);
        at_once.teams.insert(TeamId(id), limit);
    }
    Ok(at_once)
}
