//! `quire team`: who works together on the server of this installation, and sees the same tasks.

use clap::Subcommand;
use quire_domain::access::{Role, TeamName};
use quire_domain::time::Clock;

use crate::administration::{open, team, told, user};
use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::installation::WallClock;
use crate::show::{self, table::table};

/// What to do with teams.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a team.
    Add {
        /// Its name.
        name: String,
    },
    /// What teams there are, and who is in them.
    List {
        /// As JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Make somebody a member, or give them another role.
    Join {
        /// The team.
        team: String,
        /// Who.
        user: String,
        /// What they are in it: viewer, member or admin.
        #[arg(long, value_name = "ROLE", default_value = "member")]
        role: Role,
    },
    /// Take somebody out of a team.
    Leave {
        /// The team.
        team: String,
        /// Who.
        user: String,
    },
}

/// Runs it.
pub async fn run(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let store = open(context).await?;
    let now = WallClock.now();
    match command {
        Command::Add { name } => {
            let parsed = TeamName::parse(&name).map_err(|error| usage(error.to_string()))?;
            store.add_team(&parsed, now).await.map_err(told)?;
            show::out(&format!("made the team {name}"));
        }
        Command::List { json } => {
            let mut rows = Vec::new();
            for one in store.teams().await? {
                let members: Vec<String> = store
                    .members(one.id)
                    .await?
                    .iter()
                    .map(|member| format!("{} ({})", member.name, member.role.as_str()))
                    .collect();
                if json {
                    show::out(&serde_json::to_string(&serde_json::json!({
                        "id": one.id, "name": one.name.as_str(), "members": members,
                    }))?);
                }
                rows.push(vec![one.name.to_string(), members.join(", ")]);
            }
            if !json {
                show::out(table(&["team", "members"], &rows, show::width()).trim_end());
            }
        }
        Command::Join { team: name, user: who, role } => {
            let (team, member) = (team(&store, &name).await?, user(&store, &who).await?);
            store.set_member(team, member, role, now).await.map_err(told)?;
            show::out(&format!("{who} is {} of {name}", role.as_str()));
        }
        Command::Leave { team: name, user: who } => {
            let (team, member) = (team(&store, &name).await?, user(&store, &who).await?);
            store.remove_member(team, member, now).await.map_err(told)?;
            show::out(&format!("{who} is no longer in {name}"));
        }
    }
    Ok(Exit::Done)
}
