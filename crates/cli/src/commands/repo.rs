//! `quire repo`: the repositories that a team may name on a server.

use clap::Subcommand;
use quire_api::{NewRepository, Repository, RepositoryList};
use quire_client::Call;

use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::remote::{Remote, told};
use crate::show::{self, style::plain, table::table};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a repository by its address, for the tasks of a team.
    Add {
        /// What people will type, e.g. `shop`.
        name: String,
        /// Its address, or a path on the server; without one people push to it.
        place: Option<String>,
        /// What `list` shares.
        #[command(flatten)]
        of: Of,
    },
    /// The repositories, by name.
    List(Of),
    /// One of them.
    Show {
        /// Its name.
        name: String,
        /// What `list` shares.
        #[command(flatten)]
        of: Of,
    },
    /// Take one away: nobody can name it any more, and what ran on it stays.
    Remove {
        /// Its name.
        name: String,
        /// What `list` shares.
        #[command(flatten)]
        of: Of,
    },
}

/// Whose, and how it is shown.
#[derive(Debug, clap::Args)]
pub struct Of {
    /// The team, where you are in several.
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    /// As JSON, a line each.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub async fn run(command: Command, context: &Context) -> anyhow::Result<Exit> {
    let Some(remote) = context.remote_or_default()? else {
        return Err(usage(
            "repositories are registered on a server: sign in with `quire login URL`",
        ));
    };
    match command {
        Command::Add { name, place, of } => {
            let new = NewRepository { name, place, team: of.team };
            let call = Call::post(&["repositories"]).json(&new);
            let made: Repository = remote.client.ask(call).await.map_err(told)?;
            shown(&[made], of.json);
        }
        Command::List(of) => shown(&list(&remote, of.team.as_deref()).await?, of.json),
        Command::Show { name, of } => {
            let mut found = list(&remote, of.team.as_deref()).await?;
            found.retain(|one| one.name == name);
            if found.is_empty() {
                return Err(usage(format!("there is no repository `{name}` (`quire repo list`)")));
            }
            shown(&found, of.json);
        }
        Command::Remove { name, of } => {
            let call = Call::delete(&["repositories", &name]).maybe("team", of.team);
            remote.client.tell(call).await.map_err(told)?;
            show::err(&format!("`{name}` can no longer be named; its tasks stay"));
        }
    }
    Ok(Exit::Done)
}

async fn list(remote: &Remote, team: Option<&str>) -> anyhow::Result<Vec<Repository>> {
    let call = Call::get(&["repositories"]).maybe("team", team);
    let list: RepositoryList = remote.client.ask(call).await.map_err(told)?;
    Ok(list.repositories)
}

fn shown(list: &[Repository], json: bool) {
    if json {
        for one in list {
            show::out(&serde_json::to_string(one).unwrap_or_default());
        }
        return;
    }
    if list.is_empty() {
        show::err(
            "no repositories yet: `quire repo add NAME ADDRESS`, or `quire push` from a checkout",
        );
        return;
    }
    let rows: Vec<Vec<String>> = list
        .iter()
        .map(|one| {
            let place = match (&one.place, one.pushed) {
                (_, true) => "pushed by people".to_owned(),
                (Some(place), _) => plain(place, false),
                (None, _) => "on the server".to_owned(),
            };
            vec![plain(&one.name, false), place]
        })
        .collect();
    show::out(table(&["repository", "home"], &rows, show::width()).trim_end());
}
