//! `quire token`: tokens for scripts, other machines and services, here or on a server.

mod place;

use std::collections::HashMap;

use clap::Subcommand;
use quire_api::{NewToken, TokenInfo};
use quire_domain::access::Right;
use quire_domain::time::{Clock, Timestamp};
use uuid::Uuid;

use self::place::{Place, Whose};
use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::installation::WallClock;
use crate::show::{self, style::plain, table::table};
use crate::when;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token. It is printed this once; what is kept of it is a hash.
    Create(Create),
    /// The tokens: on this machine all of them, on a server your own, or a team's services'.
    List {
        /// Only those of a team's services.
        #[arg(long, value_name = "TEAM")]
        service: Option<String>,
        /// Only this person's own (on this machine).
        #[arg(long, value_name = "NAME", conflicts_with = "service")]
        user: Option<String>,
        /// As JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Make tokens void, at once and for good.
    Revoke {
        /// Their ids, as the list has them.
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
}

/// What to make.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// What it is for, e.g. `laptop` or `nightly build`.
    name: String,
    /// What it may be used for; may be given several times or with commas. Everything that its owner
    /// may if left out.
    #[arg(long, value_name = "RIGHT", value_delimiter = ',')]
    scope: Vec<Right>,
    /// The team it is for; all of its owner's if left out.
    #[arg(long, value_name = "TEAM", conflicts_with = "service")]
    team: Option<String>,
    /// Make it for a service of this team, instead of for a person: it has the rights that it names
    /// with `--scope`, whoever comes and goes.
    #[arg(long, value_name = "TEAM", requires = "scope")]
    service: Option<String>,
    /// Whose it is (on this machine; on a server it is yours).
    #[arg(long, value_name = "NAME", conflicts_with = "service")]
    user: Option<String>,
    /// After how many days it ends, at most 3,650; 0 is never.
    #[arg(long, value_name = "DAYS", default_value_t = 90,
          value_parser = clap::value_parser!(u32).range(..=3650))]
    days: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let place = Place::of(context).await?;
    match command {
        Command::Create(args) => create(&place, args).await?,
        Command::List { service, user, json } => {
            let tokens = place.list(Whose::read(service, user)).await?;
            list(&place, &tokens, json).await?;
        }
        Command::Revoke { ids } => {
            for id in ids {
                place.revoke(id).await?;
                show::err(&format!("{id} is void"));
            }
        }
    }
    Ok(Exit::Done)
}

async fn create(place: &Place, args: Create) -> anyhow::Result<()> {
    if args.name.trim().is_empty() {
        return Err(usage("a token has a name that says what it is for"));
    }
    let scopes = (!args.scope.is_empty()).then_some(args.scope);
    let new = NewToken { name: args.name, scopes, team: args.team, days: Some(args.days) };
    let made = place.create(new, Whose::read(args.service, args.user)).await?;
    if args.json {
        show::out(&serde_json::to_string(&made)?);
        return Ok(());
    }
    show::out(&made.token);
    show::err(&format!("token {} {}; it is not shown again", made.info.id, until(&made.info)));
    Ok(())
}

async fn list(place: &Place, tokens: &[TokenInfo], json: bool) -> anyhow::Result<()> {
    if json {
        for token in tokens {
            show::out(&serde_json::to_string(token)?);
        }
        return Ok(());
    }
    if tokens.is_empty() {
        show::err("there are no tokens: `quire token create NAME` makes one");
        return Ok(());
    }
    let names = place.names().await?;
    let now = WallClock.now();
    let rows: Vec<_> = tokens.iter().map(|token| cells(token, &names, now)).collect();
    let heading = ["id", "name", "whose", "for", "standing", "used"];
    show::out(table(&heading, &rows, show::width()).trim_end());
    Ok(())
}

fn cells(token: &TokenInfo, names: &HashMap<Uuid, String>, now: Timestamp) -> Vec<String> {
    let named = |id: Uuid| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
    let team = token.team.map(named);
    let whose = match (&team, token.service) {
        (Some(team), true) => format!("service of {team}"),
        (Some(team), false) => format!("{} in {team}", named(token.owner)),
        (None, _) => named(token.owner),
    };
    let scopes = match &token.scopes {
        None => "everything".to_owned(),
        Some(rights) => rights.iter().map(|right| right.as_str()).collect::<Vec<_>>().join(" "),
    };
    let standing = if token.revoked_at.is_some() {
        "void".to_owned()
    } else if token.expires_at.is_some_and(|at| at <= now.0) {
        "ended".to_owned()
    } else {
        until(token)
    };
    let used = token.used_at.map_or_else(|| "never".to_owned(), |at| when::shown(Timestamp(at)));
    vec![token.id.to_string(), plain(&token.name, false), whose, scopes, standing, used]
}

fn until(token: &TokenInfo) -> String {
    match token.expires_at {
        Some(at) => format!("holds until {}", when::shown(Timestamp(at))),
        None => "holds without end".to_owned(),
    }
}
