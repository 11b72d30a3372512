//! `quire env test`: sets an environment up and runs its checks, as a task would.

use quire_domain::attempt::Outcome;
use tokio_util::sync::CancellationToken;

use super::Here;
use super::trial::{At, Begun, Follow, Signals};
use crate::exit::Exit;
use crate::show::style::Style;
use crate::show::trial::{Log, Report, Told};
use crate::show::{self};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quire env test                    what a run in this checkout would have
  quire env test web --fresh        run setup again, though there is a snapshot
  quire env test --ref main --json  at another commit, the result as JSON
  quire env test --repo ~/src/api --skip-checks

The log goes to standard error, the result to standard output. Exit codes: 0 it stands and its
checks passed, 3 setup, a service or the sandbox failed, 6 a check failed, 130 cancelled.")]
pub struct Args {
    #[command(flatten)]
    pub at: At,
    /// Do not run declared checks.
    #[arg(long)]
    skip_checks: bool,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs it. The snapshot is kept, as a task would keep it, and nothing else.
pub async fn run(args: &Args, here: &Here) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let cancel = CancellationToken::new();
    let begun = tokio::select! {
        begun = Box::pin(args.at.begin(here, args.skip_checks, cancel.clone())) => begun?,
        _ = signals.next() => return Ok(Exit::Cancelled),
    };
    let Begun { trial, resolved, repository, sweeping: _sweeping } = begun;
    let surroundings = &here.installation.surroundings;
    let style = Style::new(surroundings.colour());
    let terminal = surroundings.stderr_terminal && surroundings.colour();
    let mut follow = Follow::new(&trial, Log::new(style, terminal, show::width()), cancel);
    let tried = async {
        match trial.open().await? {
            Ok(_sandbox) => trial.check().await,
            Err(outcome) => Ok(Err(outcome)),
        }
    };
    let tried = follow.until(&mut signals, tried).await;
    let ended = follow.until(&mut signals, trial.end()).await;
    follow.end();
    let told = async {
        let tried: Result<(), Outcome> = tried?;
        ended?;
        let events = trial.events().await?;
        let layers = trial.layers().await;
        let report = Report::of(Told {
            resolved: &resolved,
            repository: &repository,
            events: &events,
            looked: trial.looked(),
            layers: &layers,
            ended: tried.as_ref().err(),
        });
        if args.json {
            show::out(&serde_json::to_string_pretty(&report.json())?);
        } else {
            let style = Style::new(surroundings.colour() && surroundings.stdout_terminal);
            show::out(&report.text(style, show::width()));
        }
        anyhow::Ok(report.exit())
    };
    let told = told.await;
    trial.remove().await;
    told
}
