//! `quire env shell`: a terminal, or one command, in what the agent would get.

mod captured;
mod input;
mod pipes;
mod session;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use quire_domain::attempt::Outcome;
use quire_domain::sandbox::{Command, CommandIo, ExitStatus, LimitMet, Sandbox, SandboxError};
use quire_environment::snapshot::build::script_env;
use quire_orchestrator::way_out;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::captured::Captured;
use super::Here;
use super::trial::{At, Begun, Follow, Signals};
use crate::exit::{Exit, usage};
use crate::show::style::{Style, plain};
use crate::show::trial::{Log, Report, Told};
use crate::show::{self};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quire env shell                      a terminal in what a run in this checkout would have
  quire env shell web -- npm test      one command, with its own exit code
  quire env shell -- sh -c 'env | sort'
  echo 'make && make test' | quire env shell
  quire env shell --fresh              on a snapshot that is made anew
  quire env shell --setup              as setup has it, to try the commands of a script

Network rules, services, limits and layers are the agent's. Nothing that is written inside is kept,
but for a snapshot that setup had to make first. Without a terminal on both ends, input and output
are passed through as they are.")]
pub struct Args {
    #[command(flatten)]
    pub at: At,
    /// What setup has when it begins, in place of the agent's: root inside, setup's network rules,
    /// nothing installed yet; secrets are left out.
    #[arg(long, conflicts_with = "fresh")]
    setup: bool,
    /// Run it, and print what it prints as JSON: its output and its exit code.
    #[arg(long, requires = "command")]
    json: bool,
    /// The command and its arguments; if not given, bash.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// How the command ended.
struct Ended {
    status: ExitStatus,
    limits: Vec<LimitMet>,
    captured: Option<Captured>,
}

/// Runs it, and ends the process with the command's own code.
pub async fn run(args: Args, here: Here) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let cancel = CancellationToken::new();
    let begun = tokio::select! {
        begun = Box::pin(args.at.begin(&here, true, cancel.clone())) => begun?,
        _ = signals.next() => return Ok(Exit::Cancelled),
    };
    let surroundings = &here.installation.surroundings;
    let style = Style::new(surroundings.colour());
    let terminal = surroundings.stderr_terminal && surroundings.colour();
    let log = Log::new(style, terminal, show::width()).brief();
    let mut follow = Follow::new(&begun.trial, log, cancel);
    let code = tried(&args, &here, &begun, &mut follow, &mut signals).await;
    begun.trial.remove().await;
    let code = code?;
    // With it goes the process that sandboxes are made from, which takes its control groups along.
    drop(here);
    std::process::exit(code);
}

/// Opens it, runs the command in it, and tells how that went; gives the exit code.
async fn tried(
    args: &Args,
    here: &Here,
    begun: &Begun,
    follow: &mut Follow,
    signals: &mut Signals,
) -> anyhow::Result<i32> {
    let opened = if args.setup {
        follow.until(signals, begun.trial.open_setup()).await
    } else {
        follow.until(signals, begun.trial.open()).await
    };
    follow.end();
    match opened? {
        Ok(sandbox) => {
            let ended = session(args, here, begun, &sandbox, signals).await;
            drop(sandbox);
            begun.trial.end().await?;
            refused(begun, Style::new(here.installation.surroundings.colour())).await;
            say(args, begun, ended?)
        }
        Err(outcome) => {
            begun.trial.end().await?;
            not_opened(args, here, begun, &outcome).await
        }
    }
}

/// One command in the sandbox, to its end.
async fn session(
    args: &Args,
    here: &Here,
    begun: &Begun,
    sandbox: &Arc<dyn Sandbox>,
    signals: &mut Signals,
) -> anyhow::Result<Ended> {
    let surroundings = &here.installation.surroundings;
    let at_terminal = surroundings.stdin_terminal && surroundings.stdout_terminal && !args.json;
    let argv = if args.command.is_empty() { vec!["bash".to_owned()] } else { args.command.clone() };
    let mut command = Command {
        argv,
        env: if args.setup { script_env() } else { BTreeMap::new() },
        workdir: Some(begun.trial.workspace()),
        io: CommandIo::InputSeparate,
    };
    if !at_terminal {
        let started = match sandbox.start(command).await {
            Ok(started) => started,
            Err(error) => return not_started(error),
        };
        let captured = args.json.then(Captured::default);
        return pipes::run(started, signals, captured).await;
    }
    let style = Style::new(surroundings.colour());
    let environment = &begun.resolved.environment;
    let (who, network) = if args.setup {
        ("setup", &environment.network.setup)
    } else {
        ("the agent", &environment.network.agent)
    };
    show::err(&style.dim(&format!(
        "{}@{} as {who} has it · network {} · nothing that you write is kept",
        plain(&environment.name, false),
        environment.version,
        plain(&way_out::words(network), false),
    )));
    for name in ["TERM", "COLORTERM", "NO_COLOR"] {
        let value = surroundings.variable(name).filter(|value| is_plain(value));
        command.env.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
    if let Some(term) = command.env.get("TERM").cloned() {
        command.env.insert("TERM".to_owned(), known_terminal(sandbox.as_ref(), term).await);
    }
    match session::run(sandbox.as_ref(), command, signals).await {
        Err(error) => not_started(error.downcast::<SandboxError>()?),
        ended => ended,
    }
}

/// A command that cannot be started ends as a shell would have it.
fn not_started(error: SandboxError) -> anyhow::Result<Ended> {
    let SandboxError::Spawn { source, .. } = &error else { return Err(error.into()) };
    let code = if source.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
    show::err(&plain(&format!("error: {error}: {source}"), false));
    Ok(Ended { status: ExitStatus::Code(code), limits: Vec::new(), captured: None })
}

/// Whether a variable of the person's may be passed on.
fn is_plain(value: &str) -> bool {
    value.len() <= 64 && value.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

/// A kind of terminal that the base knows: the person's own, else the one that most are like.
async fn known_terminal(sandbox: &dyn Sandbox, term: String) -> String {
    const PLACES: [&str; 3] = ["/usr/share/terminfo", "/lib/terminfo", "/etc/terminfo"];
    const MOST_BYTES: u64 = 64 << 10;
    let knows = async |term: &str| {
        let Some(first) = term.chars().next() else { return false };
        for place in PLACES {
            let path = format!("{place}/{first}/{term}");
            if sandbox.read_file(Path::new(&path), MOST_BYTES).await.is_ok() {
                return true;
            }
        }
        false
    };
    if knows(&term).await || !knows("xterm-256color").await {
        return term;
    }
    "xterm-256color".to_owned()
}

/// Tells why there is no sandbox, as `quire env test` does; gives the exit code.
async fn not_opened(
    args: &Args,
    here: &Here,
    begun: &Begun,
    outcome: &Outcome,
) -> anyhow::Result<i32> {
    let events = begun.trial.events().await?;
    let report = Report::of(Told {
        resolved: &begun.resolved,
        repository: &begun.repository,
        events: &events,
        looked: begun.trial.looked(),
        layers: &[],
        ended: Some(outcome),
    });
    if args.json {
        show::out(&serde_json::to_string_pretty(&report.json())?);
    } else {
        let style = Style::new(here.installation.surroundings.colour());
        show::err(&report.end_text(style, show::width()));
    }
    Ok(report.exit() as i32)
}

/// Tells what was refused on the way out, with the line that would allow it.
async fn refused(begun: &Begun, style: Style) {
    let Ok(events) = begun.trial.events().await else { return };
    let environment = &begun.resolved.environment;
    for line in show::trial::refused_lines(environment, &events) {
        show::err(&style.warn(&plain(&line, false)));
    }
}

/// Tells what is left to tell; gives the command's own code.
fn say(args: &Args, begun: &Begun, ended: Ended) -> anyhow::Result<i32> {
    for met in &ended.limits {
        show::err(&met.to_string());
    }
    let code = ended.status.code();
    let Some(captured) = ended.captured else { return Ok(code) };
    let environment = &begun.resolved.environment;
    let limits: Vec<String> = ended.limits.iter().map(ToString::to_string).collect();
    let value = json!({
        "environment": environment.name,
        "version": environment.version,
        "command": args.command,
        "exit": code,
        "stdout": captured.out(),
        "stderr": captured.err(),
        "cut": captured.is_cut(),
        "limits": limits,
    });
    show::out(&serde_json::to_string_pretty(&value)?);
    if show::not_written().is_some() {
        return Err(usage("cannot write to standard output"));
    }
    Ok(code)
}
