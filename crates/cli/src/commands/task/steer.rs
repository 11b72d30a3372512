//! `quire task steer`: says something to a task at work, before its model is asked the next time.

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::AttemptRef;
use quire_orchestrator::say::{is_free, say};
use quire_store::InputKind;

use crate::commands::task::{go_on, told, told_of};
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    pub(super) task: AttemptRef,
    /// The words.
    pub(super) text: String,
    /// Print where each attempt stands, as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    go_on::words(&args.text)?;
    let worker = &installation.worker;
    let spoken =
        say(worker, args.task, InputKind::Steer { text: args.text }).await.map_err(told)?;
    if args.json {
        show::out(&told_of(&spoken).to_string());
        return Ok(Exit::Done);
    }
    let number = spoken.task.number;
    let open = |attempt: &&Attempt| !matches!(attempt.state, AttemptState::Done { .. });
    for attempt in spoken.attempts.iter().filter(open) {
        let when = match attempt.state {
            AttemptState::Suspended { .. } => "when it goes on (`quire task resume`)",
            AttemptState::Queued => "at its first model call",
            _ if is_free(worker, attempt).await.map_err(told)? => {
                "when it goes on (`quire task resume`): nothing works on it now"
            }
            _ => "at its next model call",
        };
        show::err(&format!("attempt {number}.{} is told {when}", attempt.ordinal));
    }
    Ok(Exit::Done)
}
