//! `quire user`: who may sign in to the server of this installation.

use clap::Subcommand;
use quire_domain::access::{Role, UserName};
use quire_domain::secret::Secret;
use quire_domain::time::Clock;
use quire_server::access::local::sign_in_link;
use quire_server::access::password::Passwords;
use quire_store::{NewUser, Store, User, UserChange};

use crate::administration::{open, settings, team, told, user};
use crate::commands::Context;
use crate::commands::env::secret::prompt;
use crate::exit::{Exit, usage};
use crate::installation::WallClock;
use crate::show::{self, table::table};

/// What to do with people.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add somebody. Without a password they sign in with a link (`quire user link`).
    Add(Add),
    /// Who there is.
    List {
        /// As JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Give somebody another password: from a prompt, else from standard input.
    Password {
        /// Their name.
        name: String,
    },
    /// Print an address that signs somebody in, once and within an hour.
    Link {
        /// Their name.
        name: String,
        /// The server's address, as people reach it; by default where `serve.listen` is.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Let somebody sign in no more; their sessions and tokens end at once.
    Disable {
        /// Their name.
        name: String,
    },
    /// Let somebody sign in again.
    Enable {
        /// Their name.
        name: String,
    },
}

/// Whom to add.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// What they type to sign in.
    name: String,
    /// Give them a password: from a prompt, else from standard input.
    #[arg(long)]
    password: bool,
    /// They administer the whole installation.
    #[arg(long)]
    admin: bool,
    /// Where mail reaches them.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// A team they are in from the start.
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// What they are in it: viewer, member or admin.
    #[arg(long, value_name = "ROLE", default_value = "member", requires = "team")]
    role: Role,
}

/// Runs it.
pub async fn run(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let store = open(context).await?;
    let now = WallClock.now();
    match command {
        Command::Add(args) => add(&store, args, context).await?,
        Command::List { json } => list(&store, json).await?,
        Command::Password { name } => {
            let id = user(&store, &name).await?;
            let hash = password(&name, context).await?;
            store.set_password(id, Some(hash), now).await.map_err(told)?;
            show::err(&format!("{name} has another password; their sessions have ended"));
        }
        Command::Link { name, url } => {
            let id = user(&store, &name).await?;
            if store.user(id).await?.disabled_at.is_some() {
                return Err(usage(format!(
                    "{name} may not sign in: let them with `quire user enable {name}` first"
                )));
            }
            let url = match url {
                Some(url) => url,
                None => format!("http://{}", settings(context)?.serve.listen()),
            };
            show::out(sign_in_link(&store, id, &url, now).await.map_err(told)?.reveal());
        }
        Command::Disable { name } => change(&store, &name, true).await?,
        Command::Enable { name } => change(&store, &name, false).await?,
    }
    Ok(Exit::Done)
}

async fn add(store: &Store, args: Add, context: &Context) -> anyhow::Result<()> {
    let now = WallClock.now();
    let name = UserName::parse(&args.name).map_err(|error| usage(error.to_string()))?;
    // Whatever is wrong with the team is found before anybody is added.
    let team = match &args.team {
        Some(name) => Some(team(store, name).await?),
        None => None,
    };
    let password = if args.password { Some(password(&args.name, context).await?) } else { None };
    let has_password = password.is_some();
    let new = NewUser { name, email: args.email, admin: args.admin, password, identity: None, now };
    let added = store.add_user(new).await.map_err(told)?;
    if let Some(team) = team {
        store.set_member(team, added.id, args.role, now).await.map_err(told)?;
    }
    show::out(&format!("added {}", added.name));
    if !has_password {
        show::err(&format!("they sign in with what `quire user link {}` prints", added.name));
    }
    if team.is_none() && !args.admin {
        show::err(&format!("they are in no team: `quire team join TEAM {}`", added.name));
    }
    Ok(())
}

async fn list(store: &Store, json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for one in store.users().await? {
        let teams = store.memberships(one.id).await?;
        let teams: Vec<String> =
            teams.iter().map(|(team, role)| format!("{} ({})", team.name, role.as_str())).collect();
        if json {
            show::out(&serde_json::to_string(&serde_json::json!({
                "id": one.id, "name": one.name.as_str(), "email": one.email, "admin": one.admin,
                "disabled": one.disabled_at.is_some(), "teams": teams,
            }))?);
        }
        rows.push(vec![one.name.to_string(), standing(&one).to_owned(), teams.join(", ")]);
    }
    if !json {
        show::out(table(&["user", "standing", "teams"], &rows, show::width()).trim_end());
    }
    Ok(())
}

fn standing(user: &User) -> &'static str {
    match (user.disabled_at.is_some(), user.admin, user.has_password) {
        (true, ..) => "disabled",
        (_, true, _) => "administrator",
        (_, _, true) => "password",
        _ => "link",
    }
}

async fn change(store: &Store, name: &str, disabled: bool) -> anyhow::Result<()> {
    let id = user(store, name).await?;
    let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
    store.change_user(id, change, WallClock.now()).await.map_err(told)?;
    let word = if disabled { "may sign in no more" } else { "may sign in again" };
    show::out(&format!("{name} {word}"));
    Ok(())
}

/// The hash of a password that is typed, or comes on standard input; never an argument, which other
/// people on the machine could read.
async fn password(name: &str, context: &Context) -> anyhow::Result<Secret<String>> {
    let typed = if context.surroundings.stdin_terminal {
        let asked = prompt::ask(&format!("password for {name}: ")).await?;
        asked.ok_or_else(|| usage("no password was given"))?
    } else {
        tokio::task::spawn_blocking(prompt::read_line).await??
    };
    let text = String::from_utf8(typed.reveal().clone())
        .map_err(|_| usage("the password is not UTF-8"))?;
    let hash = Passwords::default().hash(Secret::new(text)).await;
    hash.map_err(|error| usage(error.to_string()))
}
