//! `quire task pause`: lets a task stand still, whoever works on it.

use std::time::Duration;

use quire_domain::attempt::AttemptState;
use quire_domain::ids::AttemptRef;
use quire_orchestrator::say::{is_free, named, say};
use quire_store::InputKind;

use crate::commands::task::{told, told_of};
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    pub(super) task: AttemptRef,
    /// Cut off what runs, instead of letting the step end. The model is told when it goes on.
    #[arg(long)]
    pub(super) now: bool,
    /// Print where each attempt stands, as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// How long a process that works on it has to let go, where nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(6);

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let mut spoken =
        say(worker, args.task, InputKind::Pause { now: args.now }).await.map_err(told)?;
    for attempt in &spoken.attempts {
        let works = matches!(attempt.state, AttemptState::Preparing | AttemptState::Working);
        if works && is_free(worker, attempt).await.map_err(told)? {
            // Nobody works on it any more: it is taken up and stands still before anything is made.
            let cancel = tokio_util::sync::CancellationToken::new();
            let _ = Box::pin(quire_orchestrator::life::run(worker, attempt.id, None, cancel)).await;
        }
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        spoken = named(worker, args.task).await.map_err(told)?;
        let stands = |state: &AttemptState| {
            matches!(state, AttemptState::Suspended { .. } | AttemptState::Done { .. })
        };
        let all = spoken.attempts.iter().all(|attempt| stands(&attempt.state));
        if all || !args.now || tokio::time::Instant::now() > deadline {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let number = spoken.task.number;
    if args.json {
        show::out(&told_of(&spoken).to_string());
        return Ok(Exit::Done);
    }
    for attempt in &spoken.attempts {
        let what = match &attempt.state {
            AttemptState::Suspended { .. } => {
                format!("stands still: `quire task resume {number}` goes on with it")
            }
            AttemptState::Done { outcome } => format!("had ended already ({})", outcome.word()),
            _ => "stands still when its step is done (`--now` cuts that off)".to_owned(),
        };
        show::err(&format!("attempt {number}.{} {what}", attempt.ordinal));
    }
    Ok(Exit::Done)
}
