//! The commands: a file each, listed here and in [`crate::args::Command`].

pub mod ask;
pub mod audit;
pub mod backup;
pub mod checkout;
pub mod config;
pub mod doctor;
pub mod env;
pub mod go;
pub mod login;
pub mod logout;
pub mod model;
pub mod notice;
pub mod plan;
pub mod push;
pub mod quota;
pub mod repo;
pub mod restore;
pub mod review;
pub mod run;
pub mod sandbox;
pub mod serve;
pub mod task;
pub mod team;
pub mod token;
pub mod unpack_layer;
pub mod usage;
pub mod user;
pub mod verify;

use quire_sandbox::Zygote;

use crate::args::{Args, Command};
use crate::exit::{Exit, usage};
use crate::no_room;
use crate::remote::{self, Remote};
use crate::settings::{Setting, Settings};
use crate::surroundings::Surroundings;

/// What every command is handed.
pub struct Context {
    /// The environment, home and terminal.
    pub surroundings: Surroundings,
    /// The process sandboxes are forked from, or why there is none.
    pub zygote: std::io::Result<Zygote>,
    /// `--data-dir`, absolute.
    pub data_dir: Option<Setting<std::path::PathBuf>>,
    /// `--remote`, with the name that it was given.
    pub remote: Option<String>,
}

impl Context {
    /// The server that is meant, if one is: by flag, variable or setting.
    pub fn remote(&self) -> anyhow::Result<Option<Remote>> {
        let settings = Settings::read(&self.surroundings, None)?;
        let found = remote::chosen(self.remote.as_deref(), &settings, &self.surroundings)?;
        Ok(found.map(|remote| Remote { data_dir: self.data_dir.clone(), ..remote }))
    }

    /// As [`Context::remote`], of what makes sense with a server alone: the default one is meant
    /// where none is named.
    pub fn remote_or_default(&self) -> anyhow::Result<Option<Remote>> {
        match self.remote()? {
            Some(remote) => Ok(Some(remote)),
            None if self.remote.as_deref() == Some("none") => Ok(None),
            None => {
                let settings = Settings::read(&self.surroundings, None)?;
                let found = remote::chosen(Some(""), &settings, &self.surroundings)?;
                Ok(found.map(|remote| Remote { data_dir: self.data_dir.clone(), ..remote }))
            }
        }
    }
}

/// Runs the command that was asked for.
pub async fn run(
    args: Args,
    surroundings: Surroundings,
    zygote: std::io::Result<Zygote>,
) -> anyhow::Result<Exit> {
    let data_dir = args.data_dir.map(|dir| Setting {
        value: surroundings.current_dir.join(dir),
        origin: "--data-dir".to_owned(),
    });
    let known = (data_dir.as_ref().map(|dir| dir.value.clone()), surroundings.clone());
    let context = Context { surroundings, zygote, data_dir, remote: args.remote };
    let ended = Box::pin(dispatch(args.command, context)).await;
    ended.map_err(|error| no_room::told(error, no_room::data_dir(known.0, &known.1).as_deref()))
}

/// Whether a command can be about a server. One that cannot refuses `--remote`, instead of doing
/// something to this machine that was meant for another.
fn knows_servers(command: &Command) -> bool {
    matches!(
        command,
        Command::Run(_)
            | Command::Ask(_)
            | Command::Review(_)
            | Command::Plan(_)
            | Command::Task(_)
            | Command::Env(_)
            | Command::Verify(_)
            | Command::Checkout(_)
            | Command::Push(_)
            | Command::Repo(_)
            | Command::Notice(_)
            | Command::Token(_)
            | Command::Audit(_)
    )
}

async fn dispatch(command: Command, context: Context) -> anyhow::Result<Exit> {
    if context.remote.as_deref().is_some_and(|name| name != "none") && !knows_servers(&command) {
        return Err(usage("that is about this machine: leave --remote out"));
    }
    match command {
        Command::Run(args) => Box::pin(run::run(args, context)).await,
        Command::Checkout(args) => Box::pin(checkout::run(args, context)).await,
        Command::Ask(args) => Box::pin(ask::run(args, context)).await,
        Command::Plan(args) => Box::pin(plan::run(args, context)).await,
        Command::Review(args) => Box::pin(review::run(args, context)).await,
        Command::Task(command) => Box::pin(task::run(command, context)).await,
        Command::Login(args) => Box::pin(login::run(args, &context)).await,
        Command::Push(args) => Box::pin(push::run(args, context)).await,
        Command::Repo(command) => Box::pin(repo::run(command, &context)).await,
        Command::Logout(args) => logout::run(&args, &context),
        Command::Env(command) => Box::pin(env::run(command, context)).await,
        Command::Serve(args) => Box::pin(serve::run(args, context)).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Sandbox(args) => sandbox::run(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Model(command) => model::run(command, context).await,
        Command::User(command) => user::run(command, &context).await,
        Command::Team(command) => team::run(command, &context).await,
        Command::Token(command) => token::run(command, &context).await,
        Command::Audit(args) => audit::run(args, &context).await,
        Command::Notice(command) => notice::run(command, &context).await,
        Command::Quota(command) => quota::run(command, &context).await,
        Command::Usage(args) => usage::run(args, &context).await,
        Command::Config(command) => config::run(&command, &context),
        Command::Backup(args) => backup::run(args, context).await,
        Command::Restore(args) => restore::run(args, context).await,
    }
}
