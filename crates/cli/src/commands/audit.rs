//! `quire audit`: what people and tokens did, newest first.

use quire_domain::quota::Day;
use quire_domain::time::Timestamp;
use quire_store::{AuditFilter, AuditRow};

use crate::administration::{open, team, user};
use crate::commands::Context;
use crate::exit::Exit;
use crate::show::{self, style::plain, table::table};

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
    /// Only rows before this number: where the page before ended.
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// As JSON, a line each.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = open(context).await?;
    let actor = match &args.user {
        Some(name) => Some(user(&store, name).await?),
        None => None,
    };
    let teams = match &args.team {
        Some(name) => Some(vec![team(&store, name).await?]),
        None => None,
    };
    let (action, before, limit) = (args.action, args.before, args.limit);
    let filter = AuditFilter { actor, teams, action, before, limit, ..AuditFilter::default() };
    let found = store.audit(&filter).await?;
    if args.json {
        for row in &found {
            show::out(&serde_json::to_string(&serde_json::json!({
                "number": row.number, "at": row.at, "user": row.actor_name, "token": row.token,
                "team": row.team_name, "action": row.action, "subject": row.subject,
                "detail": row.detail, "address": row.address,
            }))?);
        }
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = found.iter().map(cells).collect();
    let heading = ["number", "when (UTC)", "who", "from", "team", "action", "to what"];
    show::out(table(&heading, &rows, show::width()).trim_end());
    if let Some(last) = found.last().filter(|_| found.len() == limit as usize) {
        show::err(&format!("there may be more: --before {}", last.number));
    }
    Ok(Exit::Done)
}

fn cells(row: &AuditRow) -> Vec<String> {
    let or_nobody = |name: &Option<String>| name.as_deref().unwrap_or("–").to_owned();
    vec![
        row.number.to_string(),
        when(row.at),
        or_nobody(&row.actor_name),
        plain(&row.address, false),
        or_nobody(&row.team_name),
        row.action.clone(),
        plain(&row.subject, false),
    ]
}

/// As people and spreadsheets read it, to the second.
fn when(at: Timestamp) -> String {
    let (year, month, day) = Day::of(at).date();
    let second = at.0 / 1_000 % 86_400;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}
