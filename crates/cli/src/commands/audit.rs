//! `quire audit`: what people and tokens did, newest first, here or on a server.

use quire_api::{AuditPage, AuditRow};
use quire_client::Call;
use quire_domain::time::Timestamp;
use quire_store::AuditFilter;

use crate::administration::{open, team, user};
use crate::commands::Context;
use crate::exit::Exit;
use crate::remote;
use crate::show::{self, style::plain, table::table};
use crate::when;

/// Which rows.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what this person did.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only what is about this team.
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Only actions that begin so, e.g. `task.` or `token.create`.
    #[arg(long, value_name = "WORD")]
    action: Option<String>,
    /// Only what was done then or later: `2026-11-24`, `2026-11-24T09:30` (UTC), or how long ago, as
    /// `12h` or `7d`.
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    since: Option<Timestamp>,
    /// Only what was done earlier than that.
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    until: Option<Timestamp>,
    /// Only rows before this number: where the page before ended.
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Everything that fits, for a file: a page after another, as JSON.
    #[arg(long, requires = "json", conflicts_with = "limit")]
    all: bool,
    /// As JSON, a line each.
    #[arg(long)]
    json: bool,
}

/// Rows of a page where all are asked for.
const PAGE: u32 = 1000;

/// Runs it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let there = context.remote()?;
    let mut before = args.before;
    let limit = if args.all { PAGE } else { args.limit };
    loop {
        let page = match &there {
            Some(there) => {
                let call = Call::get(&["audit"])
                    .maybe("actor", args.user.as_deref())
                    .maybe("team", args.team.as_deref())
                    .maybe("action", args.action.as_deref())
                    .maybe("since", args.since.map(|at| at.0))
                    .maybe("until", args.until.map(|at| at.0))
                    .maybe("before", before)
                    .query("limit", limit);
                there.client.ask(call).await.map_err(remote::told)?
            }
            None => here(&args, before, limit, context).await?,
        };
        if args.json {
            for row in &page.rows {
                show::out(&json(row)?);
            }
        } else {
            let rows: Vec<Vec<String>> = page.rows.iter().map(cells).collect();
            let heading = ["number", "when (UTC)", "who", "from", "team", "action", "to what"];
            show::out(table(&heading, &rows, show::width()).trim_end());
        }
        match page.next {
            Some(_) if args.all => before = page.next,
            Some(next) => {
                show::err(&format!("there may be more: --before {next}"));
                return Ok(Exit::Done);
            }
            None => return Ok(Exit::Done),
        }
    }
}

async fn here(
    args: &Args,
    before: Option<u64>,
    limit: u32,
    context: &Context,
) -> anyhow::Result<AuditPage> {
    let store = open(context).await?;
    let actor = match &args.user {
        Some(name) => Some(user(&store, name).await?),
        None => None,
    };
    let teams = match &args.team {
        Some(name) => Some(vec![team(&store, name).await?]),
        None => None,
    };
    let (action, since, until) = (args.action.clone(), args.since, args.until);
    let filter = AuditFilter { actor, teams, action, since, until, before, limit };
    let found = store.audit(&filter).await?;
    let next = found.last().filter(|_| found.len() == limit as usize).map(|row| row.number);
    Ok(AuditPage { rows: found.into_iter().map(row).collect(), next })
}

/// A row as scripts know it, by names and not by ids.
fn json(row: &AuditRow) -> serde_json::Result<String> {
    serde_json::to_string(&serde_json::json!({
        "number": row.number, "at": row.at, "user": row.actor_name, "token": row.token,
        "team": row.team_name, "action": row.action, "subject": row.subject,
        "detail": row.detail, "address": row.address,
    }))
}

fn cells(row: &AuditRow) -> Vec<String> {
    let or_nobody = |name: &Option<String>| name.as_deref().unwrap_or("–").to_owned();
    vec![
        row.number.to_string(),
        when::shown(Timestamp(row.at)),
        or_nobody(&row.actor_name),
        plain(&row.address, false),
        or_nobody(&row.team_name),
        plain(&row.action, false),
        plain(&row.subject, false),
    ]
}

fn row(row: quire_store::AuditRow) -> AuditRow {
    AuditRow {
        number: row.number,
        at: row.at.0,
        actor: row.actor.map(|actor| actor.0),
        actor_name: row.actor_name,
        token: row.token.map(|token| token.0),
        team: row.team.map(|team| team.0),
        team_name: row.team_name,
        action: row.action,
        subject: row.subject,
        detail: row.detail,
        address: row.address,
    }
}
