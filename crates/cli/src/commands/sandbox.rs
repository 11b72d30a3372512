//! `quire sandbox -- CMD`: runs a command in the sandbox that the agent would get.

use std::collections::BTreeMap;
use std::io::Write;

use quire_domain::sandbox::{Command, CommandEvent, CommandIo, CommandSignal};
use quire_images::ImageError;
use quire_orchestrator::bases::Bring;
use quire_orchestrator::scratch::{Asked, ScratchError, scratch};
use tokio_util::sync::CancellationToken;

use crate::commands::Context;
use crate::commands::go::{not_resolved, refused};
use crate::defaults::defaults_of;
use crate::exit::{Exit, no_sandbox, stop};
use crate::installation::Installation;
use crate::show::{self, bringing::Bringing};
use crate::surroundings::checkout_of;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show nothing of this machine but its system directories.
    #[arg(long)]
    bare: bool,
    /// The environment, by its name (`quire env list`); if not given, the checkout's recipe, else
    /// the repository's default.
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Keep running this long at most, in seconds.
    #[arg(long, default_value_t = 3_600)]
    timeout: u64,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs it: in a copy of this checkout, or where there is none in an empty directory. Nothing
/// written leaves it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let current = context.surroundings.current_dir.clone();
    let installation = Installation::open(context, None).await?;
    installation.needs_sandbox()?;
    let worker = &installation.worker;
    let inside_checkout = checkout_of(&current).is_some();
    let name = format!("quire-sandbox-{}", std::process::id());
    let checkout = inside_checkout.then_some(current.as_path());
    let surroundings = &installation.surroundings;
    let bringing = Bringing::new(surroundings.stderr_terminal);
    let told = |progress| bringing.tell(&progress);
    let asked = Asked {
        checkout,
        environment: args.env.as_deref(),
        bare: args.bare,
        defaults: defaults_of(&installation.settings)?,
        name,
    };
    let cancel = CancellationToken::new();
    let bring = Bring { before: None, told: &told, cancel: &cancel };
    let making = Box::pin(scratch(worker, asked, bring));
    let made = tokio::select! {
        made = making => made,
        // What came of an image is kept for the next time.
        _ = tokio::signal::ctrl_c() => Err(ImageError::Cancelled.into()),
    };
    bringing.end();
    let scratch = made.map_err(not_made)?;
    let spec = scratch.spec.clone();
    let sandbox = worker.sandboxes.create(spec).await.map_err(|error| {
        if error.is_host_disk_full() {
            return error.into();
        }
        no_sandbox(quire_orchestrator::prepare::causes(&error))
    })?;
    let command = Command {
        argv: args.command,
        env: BTreeMap::new(),
        workdir: None,
        io: CommandIo::Separate,
    };
    let started = sandbox.start(command).await?;
    let mut output = started.output;
    let deadline = tokio::time::sleep(std::time::Duration::from_secs(args.timeout));
    tokio::pin!(deadline);
    let mut killed = false;
    let status = loop {
        tokio::select! {
            event = output.next() => match event? {
                CommandEvent::Output(bytes) => {
                    if !show::out_bytes(&bytes) {
                        started.control.signal(CommandSignal::Kill).await?;
                    }
                }
                CommandEvent::Error(bytes) => { let _ = std::io::stderr().write_all(&bytes); }
                CommandEvent::Exited(status) => break status,
            },
            () = &mut deadline, if !killed => {
                killed = true;
                show::err(&format!("ended after {} s (--timeout)", args.timeout));
                started.control.signal(CommandSignal::Kill).await?;
            }
            _ = tokio::signal::ctrl_c() => {
                started.control.signal(CommandSignal::Interrupt).await?;
            }
        }
    };
    let _ = std::io::stdout().flush();
    for met in output.limits_met() {
        show::err(&met.to_string());
    }
    sandbox.end().await?;
    drop(scratch);
    drop(sandbox);
    // With it goes the process that sandboxes are made from, which takes its control groups along.
    drop(installation);
    // The command's own code, as a shell gives it.
    std::process::exit(status.code());
}

/// Why there is none, for the person.
fn not_made(error: ScratchError) -> anyhow::Error {
    match error {
        ScratchError::Submit(error) => refused(error),
        ScratchError::Environment(error) => not_resolved(error),
        ScratchError::Base(error @ ImageError::Cancelled) => {
            stop(Exit::Cancelled, error.to_string())
        }
        ScratchError::Base(error) => {
            stop(Exit::Failed, quire_orchestrator::prepare::causes(&error))
        }
    }
}
