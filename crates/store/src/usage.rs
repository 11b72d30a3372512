//! What models were used: a row for each attempt, model and day of UTC.
//!
//! The log is the truth; a row is what it says, written anew as a whole, so that writing it twice
//! counts nothing twice.

use quire_domain::access::Owner;
use quire_domain::budget::MicroDollars;
use quire_domain::ids::{AttemptId, Epoch, TeamId, UserId};
use quire_domain::quota::{Day, Subject, Used};

use crate::claim::refusal;
use crate::connection::Promise;
use crate::read::not_found;
use crate::rows;
use crate::sql::{Builder, Row, query};
use crate::store::{Result, Store};

/// What an attempt used of one model on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The model, as the catalogue names it.
    pub model: String,
    /// The day.
    pub day: Day,
    /// How much.
    pub sum: UsageSum,
}

/// How much was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageSum {
    /// Calls that were answered.
    pub calls: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Those of the input that were read from a provider's cache.
    pub cached_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Money, where the price is known.
    pub cost: MicroDollars,
    /// Calls whose price is not known.
    pub unpriced: u64,
}

/// What a listing of usage adds up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    /// Days of UTC.
    Day,
    /// People.
    Person,
    /// Teams.
    Team,
    /// Repositories.
    Repository,
    /// Models.
    Model,
}

/// Which usage to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageFilter {
    /// The first day.
    pub from: Day,
    /// The day after the last.
    pub until: Day,
    /// Only of these teams; `None` is all.
    pub teams: Option<Vec<TeamId>>,
    /// Only of this person.
    pub author: Option<UserId>,
}

/// A line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageLine {
    /// The day, the name, the place of the repository, or the model.
    pub key: String,
    /// How much, in all.
    pub sum: UsageSum,
}

/// Lines of a listing, at most; a year has 366 days.
const MOST_LINES: u64 = 10_000;

impl Store {
    /// Writes what an attempt has used by now, all of it. Survives the process, not a crash of the
    /// machine: the log has the truth.
    ///
    /// # Errors
    ///
    /// [`crate::StoreError::Fenced`] if the attempt is not held under `epoch`.
    pub async fn write_usage(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        rows: &[UsageRow],
    ) -> Result<()> {
        let mut transaction = self.database.begin(Promise::Lasting).await?;
        let connection = transaction.connection()?;
        let row = query(
            "SELECT team, author FROM attempts
             WHERE id = $1 AND epoch = $2 AND lease_until IS NOT NULL",
        )
        .bind(attempt)
        .bind(epoch)
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Err(refusal(connection, attempt).await) };
        let owner = rows::owner(&row)?;
        for UsageRow { model, day, sum } in rows {
            query(
                "INSERT INTO usage (attempt, model, day, team, author, calls, input_tokens,
                     cached_tokens, output_tokens, micro_dollars, unpriced)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                 ON CONFLICT (attempt, model, day) DO UPDATE
                 SET calls = excluded.calls, input_tokens = excluded.input_tokens,
                     cached_tokens = excluded.cached_tokens,
                     output_tokens = excluded.output_tokens,
                     micro_dollars = excluded.micro_dollars, unpriced = excluded.unpriced",
            )
            .bind(attempt)
            .bind(model.as_str())
            .bind(u64::from(day.0))
            .bind(owner.team)
            .bind(owner.author)
            .bind(sum.calls)
            .bind(sum.input_tokens)
            .bind(sum.cached_tokens)
            .bind(sum.output_tokens)
            .bind(sum.cost.0)
            .bind(sum.unpriced)
            .execute(connection)
            .await?;
        }
        transaction.commit().await
    }

    /// Whose an attempt is.
    pub async fn owner_of(&self, attempt: AttemptId) -> Result<Owner> {
        let row = query("SELECT team, author FROM attempts WHERE id = $1")
            .bind(attempt)
            .fetch_optional(self.database.reader().await?.connection()?)
            .await?;
        rows::owner(&row.ok_or_else(|| not_found("attempt", attempt))?)
    }

    /// What a subject used from `from` until before `until`.
    pub async fn used(&self, subject: Subject, from: Day, until: Day) -> Result<Used> {
        let mut text = Builder::new(
            "SELECT CAST(coalesce(sum(micro_dollars), 0) AS BIGINT) AS cost,
                    CAST(coalesce(sum(input_tokens + output_tokens), 0) AS BIGINT) AS tokens
             FROM usage WHERE day >= ",
        );
        text.bind(u64::from(from.0)).push(" AND day < ").bind(u64::from(until.0));
        match subject {
            Subject::Server => {}
            Subject::Team(team) => {
                text.push(" AND team = ").bind(team);
            }
            Subject::User(author) => {
                text.push(" AND author = ").bind(author);
            }
        }
        let row = text.query().fetch_one(self.database.reader().await?.connection()?).await?;
        Ok(Used {
            cost: MicroDollars(rows::number(&row, "cost")?),
            tokens: rows::number(&row, "tokens")?,
        })
    }

    /// Adds up what was used: days in order, else the most expensive first. At most 10,000 lines.
    pub async fn usage(&self, by: UsageBy, filter: &UsageFilter) -> Result<Vec<UsageLine>> {
        let (key, joined) = match by {
            UsageBy::Day => ("CAST(u.day AS TEXT)", ""),
            UsageBy::Person => ("p.name", " LEFT JOIN users p ON p.id = u.author"),
            UsageBy::Team => ("t.name", " LEFT JOIN teams t ON t.id = u.team"),
            UsageBy::Repository => (
                "k.repository",
                " JOIN attempts a ON a.id = u.attempt JOIN tasks k ON k.id = a.task",
            ),
            UsageBy::Model => ("u.model", ""),
        };
        let mut text = Builder::new("SELECT coalesce(");
        text.push(key).push(
            ", '') AS line, CAST(sum(u.calls) AS BIGINT) AS calls,
                CAST(sum(u.input_tokens) AS BIGINT) AS input_tokens,
                CAST(sum(u.cached_tokens) AS BIGINT) AS cached_tokens,
                CAST(sum(u.output_tokens) AS BIGINT) AS output_tokens,
                CAST(sum(u.micro_dollars) AS BIGINT) AS micro_dollars,
                CAST(sum(u.unpriced) AS BIGINT) AS unpriced
             FROM usage u",
        );
        text.push(joined).push(" WHERE u.day >= ").bind(u64::from(filter.from.0));
        text.push(" AND u.day < ").bind(u64::from(filter.until.0));
        if let Some(teams) = &filter.teams {
            if teams.is_empty() {
                return Ok(Vec::new());
            }
            text.push(" AND u.team IN (").bind_all(teams.iter().copied()).push(")");
        }
        if let Some(author) = filter.author {
            text.push(" AND u.author = ").bind(author);
        }
        text.push(" GROUP BY 1");
        text.push(match by {
            UsageBy::Day => " ORDER BY min(u.day)",
            _ => " ORDER BY 6 DESC, 3 DESC, 1",
        });
        text.push(" LIMIT ").bind(MOST_LINES);
        let found = text.query().fetch_all(self.database.reader().await?.connection()?).await?;
        found.iter().map(|row| line(by, row)).collect()
    }
}

fn line(by: UsageBy, row: &Row) -> Result<UsageLine> {
    let key = rows::text(row, "line")?;
    let key = match by {
        UsageBy::Day => Day(key.parse().unwrap_or_default()).to_string(),
        _ => key,
    };
    let sum = UsageSum {
        calls: rows::number(row, "calls")?,
        input_tokens: rows::number(row, "input_tokens")?,
        cached_tokens: rows::number(row, "cached_tokens")?,
        output_tokens: rows::number(row, "output_tokens")?,
        cost: MicroDollars(rows::number(row, "micro_dollars")?),
        unpriced: rows::number(row, "unpriced")?,
    };
    Ok(UsageLine { key, sum })
}
