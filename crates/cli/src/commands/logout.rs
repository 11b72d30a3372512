//! `quire logout`: forgets a server and one's token there.

use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::remote::Servers;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server, by name or address; the only or default one if not given.
    server: Option<String>,
}

/// Runs it.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let mut servers = Servers::read(&context.surroundings)?;
    let name = match (&args.server, servers.meant()) {
        (Some(name), _) => name.clone(),
        (None, Some(known)) => known.name.clone(),
        (None, None) => return Err(usage("name the server (`quire login --list`)")),
    };
    let Some(known) = servers.remove(&name) else {
        return Err(usage(format!("you have not signed in to `{name}` (`quire login --list`)")));
    };
    servers.write()?;
    show::err(&format!(
        "{} is forgotten here; the token itself ends when it is taken back on the server",
        known.name
    ));
    Ok(Exit::Done)
}
