//! `quire task new --from FILE.jsonl`: many tasks for a server, each submitted once.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use quire_domain::attempt::AttemptState;
use tokio::time::Instant;
use uuid::Uuid;

use super::new::{Args, asked};
use crate::commands::Context;
use crate::commands::go::{Asked, Common, FarTerms, submit_there};
use crate::exit::{Exit, Stop, usage};
use crate::remote::follow::Follow;
use crate::remote::{Remote, tasks};
use crate::show;
use crate::task_file::{self, TaskLine};

/// Submits that are on their way at once.
const AT_ONCE: usize = 8;
/// How often it is asked whether a task has ended.
const PAUSE: Duration = Duration::from_secs(1);

/// Submits the tasks of a file; with a limit, the next one when one has ended.
pub async fn run(
    file: &Path,
    args: &Args,
    terms: FarTerms,
    how: Follow,
    context: &Context,
    remote: &Remote,
) -> anyhow::Result<Exit> {
    let lines = read(file, context)?;
    for line in &lines {
        if line.bare == Some(true) || line.allow_rewrite == Some(true) {
            return Err(usage(format!(
                "line {}: `bare` and `allow_rewrite` are for runs on this machine",
                line.line
            )));
        }
    }
    let at_once = args.parallel.map_or(AT_ONCE, usize::from);
    let waits = args.wait || args.parallel.is_some();
    let until = how.limit.map(|limit| Instant::now() + limit);
    // A file of a checkout is pushed once, and all its tasks start with it.
    let mut waiting = lines.into_iter();
    let mut running = FuturesUnordered::new();
    let mut worst = Exit::Done;
    loop {
        while running.len() < at_once {
            let Some(line) = waiting.next() else { break };
            let (common, asked, terms) = of_line(&line, args, &terms);
            running.push(async move {
                let number = line.line;
                let ended = one(common, asked, terms, waits, until, context, remote).await;
                (number, line.id, ended)
            });
        }
        let Some((line, id, ended)) = running.next().await else { break };
        let exit = tell(line, id.as_deref(), ended, args.common.json);
        if worst == Exit::Done {
            worst = exit;
        }
    }
    Ok(worst)
}

/// Submits one and waits for it, if that is wanted: its number, and its state then.
async fn one(
    common: Common,
    asked: Asked,
    terms: FarTerms,
    waits: bool,
    until: Option<Instant>,
    context: &Context,
    remote: &Remote,
) -> anyhow::Result<(u64, Option<AttemptState>)> {
    let task = submit_there(common, asked, terms, context, remote).await?;
    let number = task.summary.task;
    if !waits {
        return Ok((number, None));
    }
    loop {
        let task = tasks::task(remote, number).await;
        if let Ok(task) = &task {
            let open = task.summary.attempts.iter().any(|one| {
                matches!(
                    one.state,
                    AttemptState::Queued | AttemptState::Preparing | AttemptState::Working
                )
            });
            if !open {
                return Ok((number, Some(task.summary.state.clone())));
            }
        }
        if until.is_some_and(|until| Instant::now() > until) {
            return Ok((number, Some(AttemptState::Working)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn tell(
    line: usize,
    id: Option<&str>,
    ended: anyhow::Result<(u64, Option<AttemptState>)>,
    json: bool,
) -> Exit {
    let name = id.map_or_else(|| format!("line {line}"), |id| format!("line {line} ({id})"));
    match ended {
        Ok((number, state)) => {
            let word = state.as_ref().map_or("taken in", AttemptState::word);
            if json {
                let value = serde_json::json!({
                    "line": line, "id": id, "task": number, "state": state,
                });
                show::out(&value.to_string());
            } else {
                show::out(&format!("task {number}  {word}  {name}"));
            }
            match state {
                Some(AttemptState::Working) => Exit::TimedOut,
                Some(state) => Exit::of(&state),
                None => Exit::Done,
            }
        }
        Err(error) => {
            if json {
                let value = serde_json::json!({
                    "line": line, "id": id, "kind": "not_started",
                    "body": { "detail": format!("{error:#}") },
                });
                show::out(&value.to_string());
            } else {
                show::err(&format!("{name}: {error:#}"));
            }
            error.downcast_ref::<Stop>().map_or(Exit::Failed, |stop| stop.exit)
        }
    }
}

/// What a line says over what the flags say.
fn of_line(line: &TaskLine, args: &Args, terms: &FarTerms) -> (Common, Asked, FarTerms) {
    let mut common = args.common.clone();
    common.json = true;
    if let Some(repo) = &line.repo {
        common.repo = Some(repo.clone());
    }
    if let Some(from) = &line.from {
        common.from = Some(from.clone());
    }
    if let Some(env) = &line.env {
        common.env = Some(env.clone());
    }
    if let Some(model) = &line.model {
        common.model = Some(model.clone());
    }
    if let Some(attempts) = line.attempts {
        common.attempts = attempts;
    }
    if let Some(images) = &line.images {
        common.image_file.clone_from(images);
    }
    let mut asked = asked(args);
    asked.prompt = Some(line.prompt.clone());
    if let Some(checks) = &line.checks {
        asked.checks.clone_from(checks);
    }
    asked.skip_checks = line.skip_checks.unwrap_or(false);
    let terms = FarTerms { key: Some(Uuid::now_v7()), budget: line.budget, ..terms.clone() };
    (common, asked, terms)
}

fn read(file: &Path, context: &Context) -> anyhow::Result<Vec<TaskLine>> {
    let name = file.display().to_string();
    let unread = |error| usage(format!("cannot read the tasks of {name}: {error}"));
    let limit = task_file::MOST_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(unread)?;
    } else {
        let path = context.surroundings.current_dir.join(file);
        let opened = std::fs::File::open(path).map_err(unread)?;
        opened.take(limit).read_to_end(&mut bytes).map_err(unread)?;
    }
    if bytes.len() > task_file::MOST_BYTES {
        return Err(usage(format!("{name} is longer than 64 MiB: split it")));
    }
    let lines = task_file::parse(&bytes).map_err(|bad| {
        let told: Vec<String> = bad.iter().take(20).map(ToString::to_string).collect();
        usage(format!("{name} cannot be used, and nothing was submitted\n  {}", told.join("\n  ")))
    })?;
    if lines.is_empty() {
        return Err(usage(format!("{name} holds no task: one JSON object per line")));
    }
    Ok(lines)
}
