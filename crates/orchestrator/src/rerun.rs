//! Repeats the commands that an answer cites, each twice in a fresh sandbox at the final commit,
//! and compares exit status and cited lines.

mod footing;

use std::collections::BTreeMap;
use std::time::Duration;

use quire_agent::ContractError;
use quire_domain::attempt::Attempt;
use quire_domain::citation::{
    CheckedCitation, Citation, CitationMark, CitationTarget, CitationVerdict,
};
use quire_domain::event::{CommandFinished, CommandStarted, Event, EventBody};
use quire_domain::ids::{ChunkId, CommitId};
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, CommandSignal, ExitStatus, SandboxUser, Upper,
};
use quire_domain::task::Task;
use quire_evidence::rerun::{Difference, RerunVerdict, Run, compare};

use self::footing::Footing;
use crate::bases::Bring;
use crate::check_out::{Stand, check_out};
use crate::finish::other;
use crate::prepare::causes;
use crate::readings;
use crate::way_out::WayOut;
use crate::worker::Worker;

/// How long one repetition may take.
const TIME: Duration = Duration::from_mins(30);

/// What is read of the output of a repetition.
const MOST_BYTES: usize = 64 << 20;

/// What repeating one cited command showed.
#[derive(Debug)]
pub struct Rerun {
    /// The citation.
    pub citation: Citation,
    /// The command.
    pub command: String,
    /// What it showed.
    pub verdict: RerunVerdict,
}

impl Rerun {
    /// Whether it showed what was cited.
    pub fn holds(&self) -> bool {
        matches!(self.verdict, RerunVerdict::Reproduced { .. } | RerunVerdict::Earlier)
    }

    /// A line for the person.
    pub fn text(&self) -> String {
        let command = &self.command;
        match &self.verdict {
            RerunVerdict::Reproduced { times_differ: false } => format!("reproduced: `{command}`"),
            RerunVerdict::Reproduced { times_differ: true } => {
                format!("reproduced, but for times and durations: `{command}`")
            }
            RerunVerdict::Differs { what: Difference::Exit { was, is } } => {
                let word = |exit: &Option<ExitStatus>| {
                    exit.map_or_else(|| "time limit".to_owned(), |exit| exit.code().to_string())
                };
                format!("differs: exit was {}, is {}: `{command}`", word(was), word(is))
            }
            RerunVerdict::Differs { what: Difference::Line { number, was, is } } => {
                let word = |line: &Option<String>| line.clone().unwrap_or_else(|| "absent".into());
                format!(
                    "differs: line {number} was “{}”, is “{}”: `{command}`",
                    word(was),
                    word(is)
                )
            }
            RerunVerdict::NotRepeatable { why } => format!("not repeatable, {why}: `{command}`"),
            RerunVerdict::Earlier => {
                format!("earlier: cited for a state before the last change: `{command}`")
            }
        }
    }
}

/// Whether repetitions reach the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// They do not: who checks sends nothing. What reached something is not repeated.
    #[default]
    Closed,
    /// By the rules that the agent had.
    AsItWas,
}

/// How commands are repeated.
#[derive(Clone, Copy)]
pub struct Rerunning<'a> {
    /// Who is told while a base comes in.
    pub bring: Bring<'a>,
    /// What they reach.
    pub network: Network,
    /// Is told what takes long; returns at once.
    pub told: &'a (dyn Fn(&str) + Send + Sync),
}

/// Repeats the commands that the last answer of `attempt` cites, over the base and the snapshot
/// that they ran on.
pub async fn rerun(
    worker: &Worker,
    task: &Task,
    attempt: &Attempt,
    rerunning: Rerunning<'_>,
) -> Result<Vec<Rerun>, ContractError> {
    let events = worker.record.events(attempt.id).await.map_err(other)?;
    let turns = worker.store.turns(task.id).await.map_err(other)?;
    let change = readings::change(worker, &turns, attempt, true).await.map_err(other)?;
    let commands = commands(&events);
    let mut reruns = Vec::new();
    let mut footing = None;
    for cited in cited(&events) {
        let CitationTarget::Chunk(chunk) = &cited.citation.target else { continue };
        let Some((started, Some(finished))) = commands.get(chunk) else { continue };
        let citation = cited.citation.clone();
        let command = started.command.clone();
        if is_stale(cited) {
            reruns.push(Rerun { citation, command, verdict: RerunVerdict::Earlier });
            continue;
        }
        if rerunning.network == Network::Closed
            && let Some(why) = needs_the_network(&events, chunk)
        {
            reruns.push(Rerun { citation, command, verdict: RerunVerdict::NotRepeatable { why } });
            continue;
        }
        let footing = match &mut footing {
            Some(footing) => footing,
            none => none.insert(Box::pin(Footing::of(worker, attempt, &events, rerunning)).await?),
        };
        let original =
            Run { exit: Some(finished.exit), lines: recorded(worker, attempt, &citation).await? };
        let verdict =
            twice(worker, attempt, footing, rerunning, change.as_ref(), started, &citation);
        let verdict = match verdict.await? {
            Ok((first, second)) => compare(&original, &first, &second),
            Err(why) => RerunVerdict::NotRepeatable { why },
        };
        reruns.push(Rerun { citation, command, verdict });
    }
    if let Some(footing) = footing {
        footing.clear();
    }
    Ok(reruns)
}

/// Why a command cannot be repeated where nothing is reached, if it reached something.
fn needs_the_network(events: &[Event], chunk: &ChunkId) -> Option<String> {
    let host = events.iter().find_map(|event| match &event.body {
        EventBody::EgressAllowed(egress) if egress.chunk.as_ref() == Some(chunk) => {
            Some(egress.host.as_str())
        }
        _ => None,
    })?;
    Some(format!(
        "it reached {host} and repetitions have no network (`--network` gives them the way out that \
         it had)"
    ))
}

/// Runs it in two fresh sandboxes; or says why that cannot be.
async fn twice(
    worker: &Worker,
    attempt: &Attempt,
    footing: &Footing,
    rerunning: Rerunning<'_>,
    change: Option<&readings::Change>,
    started: &CommandStarted,
    citation: &Citation,
) -> Result<Result<(Run, Run), String>, ContractError> {
    if let Some(why) = &footing.why_not {
        return Ok(Err(why.clone()));
    }
    let mut runs = Vec::new();
    for number in 1..=2 {
        let name = format!("r{}-{number}", attempt.id.0.simple());
        let way_out = footing.way_out(worker, rerunning.network)?;
        let repeated =
            repeat(worker, attempt, footing, way_out.as_ref(), change, name, started, citation)
                .await;
        if let Some(way_out) = way_out {
            way_out.close().await;
        }
        match repeated? {
            Ok(run) => runs.push(run),
            Err(why) => return Ok(Err(why)),
        }
    }
    match (runs.pop(), runs.pop()) {
        (Some(second), Some(first)) => Ok(Ok((first, second))),
        _ => Ok(Err("it did not run".to_owned())),
    }
}

type Commands<'a> = BTreeMap<&'a ChunkId, (&'a CommandStarted, Option<&'a CommandFinished>)>;

fn commands(events: &[Event]) -> Commands<'_> {
    let mut commands: Commands = BTreeMap::new();
    for event in events {
        match &event.body {
            EventBody::CommandStarted(started) => {
                commands.insert(&started.chunk, (started, None));
            }
            EventBody::CommandFinished(finished) => {
                if let Some(entry) = commands.get_mut(&finished.chunk.id) {
                    entry.1 = Some(finished);
                }
            }
            _ => {}
        }
    }
    commands
}

/// The citations of the last answer.
fn cited(events: &[Event]) -> Vec<&CheckedCitation> {
    let mut cited = Vec::new();
    for event in events {
        match &event.body {
            EventBody::ModelReplied(_) => cited.clear(),
            EventBody::Cited(citation) => cited.push(citation),
            _ => {}
        }
    }
    cited
}

fn is_stale(cited: &CheckedCitation) -> bool {
    match &cited.verdict {
        CitationVerdict::Resolved { marks, .. } => marks.contains(&CitationMark::Stale),
        CitationVerdict::Rejected { .. } => true,
    }
}

async fn recorded(
    worker: &Worker,
    attempt: &Attempt,
    citation: &Citation,
) -> Result<Vec<(u32, Option<String>)>, ContractError> {
    let CitationTarget::Chunk(chunk) = &citation.target else { return Ok(Vec::new()) };
    let continued = worker.store.continued(attempt.id).await.map_err(other)?;
    let reader = worker.record.chunks.of(attempt.id, continued).read(chunk).await.map_err(other)?;
    let (first, last) = (citation.lines.first.get(), citation.lines.last.get());
    let bytes = reader.lines(first.into(), last.into(), MOST_BYTES).await.map_err(other)?;
    let mut lines = bytes.split(|byte| *byte == b'\n');
    Ok((first..=last)
        .map(|number| (number, lines.next().map(|line| String::from_utf8_lossy(line).into_owned())))
        .collect())
}

#[expect(clippy::too_many_arguments, reason = "each says another part of where it runs")]
async fn repeat(
    worker: &Worker,
    attempt: &Attempt,
    footing: &Footing,
    way_out: Option<&WayOut>,
    change: Option<&readings::Change>,
    name: String,
    started: &CommandStarted,
    citation: &Citation,
) -> Result<Result<Run, String>, ContractError> {
    let Footing { layout, origin, start, .. } = footing;
    let spec = layout.untouched().spec(name, Upper::Memory, SandboxUser::Agent);
    let spec = match way_out {
        Some(way_out) => way_out.added_to(spec),
        None => spec,
    };
    let sandbox = worker.sandboxes.create(spec).await?;
    let services = footing.services(worker).await?.behind(way_out);
    let result = async {
        let head: &CommitId = change.map_or(&start.base, |change| &change.head);
        if head != &origin.layer {
            let store =
                worker.git.results(attempt.task, &layout.repository).await.map_err(other)?;
            let (from, to) = (&origin.layer, head);
            check_out(&worker.git, &store, sandbox.as_ref(), from, to, Stand::At).await?;
        }
        if let Err(error) = services.ensure(sandbox.as_ref()).await {
            return Ok(Err(causes(&error)));
        }
        let command = Command {
            argv: ["bash", "-c", &started.command].map(str::to_owned).to_vec(),
            env: as_it_ran(),
            workdir: Some(started.workdir.clone().into()),
            io: if started.terminal {
                CommandIo::Terminal { columns: 120, rows: 40 }
            } else {
                CommandIo::Output
            },
        };
        let running = sandbox.start(command).await?;
        let mut output = running.output;
        let mut bytes: Vec<u8> = Vec::new();
        let read = async {
            loop {
                match output.next().await? {
                    CommandEvent::Output(more) | CommandEvent::Error(more) => {
                        let room = MOST_BYTES.saturating_sub(bytes.len());
                        bytes.extend_from_slice(&more[..more.len().min(room)]);
                    }
                    CommandEvent::Exited(exit) => return Ok::<_, ContractError>(exit),
                }
            }
        };
        let exit = if let Ok(exit) = tokio::time::timeout(TIME, read).await {
            Some(exit?)
        } else {
            running.control.signal(CommandSignal::Kill).await?;
            None
        };
        let redaction = footing.redaction(worker);
        if redaction.finds(&bytes) {
            bytes = redaction.text(&String::from_utf8_lossy(&bytes)).into_owned().into_bytes();
        }
        Ok(Ok(Run { exit, lines: lines_of(&bytes, citation) }))
    }
    .await;
    services.end().await;
    sandbox.end().await?;
    result
}

/// What the agent's commands have beside the sandbox's own: no language, which an image may not know
/// and bash would then complain of.
fn as_it_ran() -> BTreeMap<String, String> {
    let mut env = crate::finish::quiet_git();
    env.remove("LC_ALL");
    env
}

fn lines_of(bytes: &[u8], citation: &Citation) -> Vec<(u32, Option<String>)> {
    let (first, last) = (citation.lines.first.get(), citation.lines.last.get());
    let mut lines = bytes.split(|byte| *byte == b'\n').skip(first as usize - 1);
    (first..=last)
        .map(|number| (number, lines.next().map(|line| String::from_utf8_lossy(line).into_owned())))
        .collect()
}
