//! `quire audit`: what people and tokens did, newest first.

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
    let heading = ["number", "who", "from", "team", "action", "to what"];
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
        or_nobody(&row.actor_name),
        plain(&row.address, false),
        or_nobody(&row.team_name),
        row.action.clone(),
        plain(&row.subject, false),
    ]
}
