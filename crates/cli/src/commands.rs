//! The commands: a file each, listed here and in [`crate::args::Command`].

pub mod ask;
pub mod config;
pub mod doctor;
pub mod env;
pub mod go;
pub mod model;
pub mod review;
pub mod run;
pub mod sandbox;
pub mod serve;
pub mod task;
pub mod unpack_layer;
pub mod verify;

use quire_sandbox::Zygote;

use crate::args::{Args, Command};
use crate::exit::Exit;
use crate::no_room;
use crate::settings::Setting;
use crate::surroundings::Surroundings;

/// What every command is handed.
pub struct Context {
    /// The environment, home and terminal.
    pub surroundings: Surroundings,
    /// The process sandboxes are forked from, or why there is none.
    pub zygote: std::io::Result<Zygote>,
    /// `--data-dir`, absolute.
    pub data_dir: Option<Setting<std::path::PathBuf>>,
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
    let context = Context { surroundings, zygote, data_dir };
    let ended = dispatch(args.command, context).await;
    ended.map_err(|error| no_room::told(error, no_room::data_dir(known.0, &known.1).as_deref()))
}

async fn dispatch(command: Command, context: Context) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => run::run(args, context).await,
        Command::Ask(args) => ask::run(args, context).await,
        Command::Review(args) => review::run(args, context).await,
        Command::Task(command) => Box::pin(task::run(command, context)).await,
        Command::Env(command) => Box::pin(env::run(command, context)).await,
        Command::Serve(args) => Box::pin(serve::run(args, context)).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Sandbox(args) => sandbox::run(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Model(command) => model::run(command, context).await,
        Command::Config(command) => config::run(&command, &context),
    }
}
