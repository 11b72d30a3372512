//! `quire run --from FILE`: many tasks in one process, some at once. One that fails never stops
//! the others.

mod one;
mod plan;
mod starts;

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use futures::stream::{FuturesUnordered, StreamExt};
use quire_domain::budget::MicroDollars;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::one::one;
use self::plan::{Plan, plan};
use super::attempts::{BACKLOG, TICK, sweep_meanwhile};
use super::interrupts::Interrupts;
use super::{Asked, Common};
use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show::batch::{Batch, Place};
use crate::show::style::Style;
use crate::show::tally::{self, Row};
use crate::show::{self, json};
use crate::task_file::{self, TaskLine};

/// What `--from` brings with it.
pub struct Many {
    /// The file; `-` is standard input.
    pub file: PathBuf,
    /// Tasks at once.
    pub parallel: Option<u8>,
    /// Whether every line of every task is shown.
    pub verbose: bool,
}

/// At most so many bad lines are told one by one.
const MOST_TOLD: usize = 20;

/// Works on the tasks of a file; prints how each ended.
pub async fn go_many(
    many: Many,
    common: Common,
    asked: Asked,
    context: Context,
) -> anyhow::Result<Exit> {
    let name = shown_name(&many.file);
    let lines = read(&many.file, &name)?;
    let installation = Installation::open(context, None).await?;
    installation.needs_sandbox()?;
    let cancel = CancellationToken::new();
    let mut interrupts = Interrupts::listen(cancel.clone());
    let planned = tokio::select! {
        planned = plan(&installation, lines, &common, &asked, &name) => Some(planned?),
        () = cancel.cancelled() => None,
    };
    let Some(plan) = planned else {
        show::err(&format!("cancelled: no task of {name} was started"));
        return Ok(Exit::Cancelled);
    };
    let parallel = many.parallel.map_or_else(default_parallel, usize::from);
    let rows = run_all(&installation, &plan, &many, parallel, &common, &cancel, &mut interrupts);
    let rows = rows.await;
    if !common.json {
        let colour = installation.surroundings.colour();
        let style = Style::new(colour && installation.surroundings.stdout_terminal);
        show::out(tally::text(&rows, style).trim_end());
    }
    Ok(exit_of(&rows, cancel.is_cancelled()))
}

/// Attempts wait for the model most of the time; their checks and tests do not.
fn default_parallel() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| (cores.get() * 2).clamp(2, 16))
}

fn shown_name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

/// Reads the file whole.
fn read(file: &Path, name: &str) -> anyhow::Result<Vec<TaskLine>> {
    let unread = |error| usage(format!("cannot read the tasks of {name}: {error}"));
    let mut bytes = Vec::new();
    let limit = task_file::MOST_BYTES as u64 + 1;
    if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(unread)?;
    } else {
        let opened = std::fs::File::open(file).map_err(unread)?;
        opened.take(limit).read_to_end(&mut bytes).map_err(unread)?;
    }
    if bytes.len() > task_file::MOST_BYTES {
        return Err(usage(format!("{name} is longer than 64 MiB: split it")));
    }
    let lines = task_file::parse(&bytes).map_err(|bad| {
        refuse(name, bad.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice())
    })?;
    if lines.is_empty() {
        return Err(usage(format!(
            "{name} holds no task: one JSON object per line, as in {{\"prompt\": \"…\"}}"
        )));
    }
    Ok(lines)
}

/// Lines that cannot be used, as one error.
fn refuse(name: &str, bad: &[String]) -> anyhow::Error {
    let mut text = format!("{name} cannot be used, and nothing was started");
    for line in bad.iter().take(MOST_TOLD) {
        text.push_str("\n  ");
        text.push_str(line);
    }
    if bad.len() > MOST_TOLD {
        let _ = write!(text, "\n  and {} more", bad.len() - MOST_TOLD);
    }
    usage(text)
}

async fn run_all(
    installation: &Installation,
    plan: &Plan,
    many: &Many,
    parallel: usize,
    common: &Common,
    cancel: &CancellationToken,
    interrupts: &mut Interrupts,
) -> Vec<Row> {
    let surroundings = &installation.surroundings;
    let colour = surroundings.colour();
    let style = Style::new(colour);
    let terminal = surroundings.stderr_terminal && colour && !common.json;
    let places = plan.tasks.iter().map(|task| Place { line: task.line, id: task.id.clone() });
    let mut view = Batch::new(places.collect(), style, terminal, many.verbose, common.json);
    if !common.json {
        view.print(&heading(plan, parallel, style));
    }
    let sweeping = sweep_meanwhile(installation);
    let (tell, mut told) = mpsc::channel(BACKLOG);
    let mut waiting = plan.tasks.iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut rows: Vec<Option<Row>> = plan.tasks.iter().map(|_| None).collect();
    let mut tick = tokio::time::interval(TICK);
    loop {
        while running.len() < parallel && !cancel.is_cancelled() {
            let Some((index, task)) = waiting.next() else { break };
            view.began();
            let (cancel, tell) = (cancel.clone(), tell.clone());
            running.push(async move {
                (index, one(installation, &plan.starts, index, task, cancel, tell).await)
            });
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = interrupts.next() => {
                view.notice("cancelling; no further task starts; press Ctrl-C again to stop at once");
            }
            Some(news) = told.recv() => view.show(news),
            Some((index, row)) = running.next() => {
                while let Ok(news) = told.try_recv() {
                    view.show(news);
                }
                ended(&mut view, index, &row, common.json);
                rows[index] = Some(row);
            }
            _ = tick.tick() => view.tick(),
        }
    }
    for (index, task) in waiting {
        let row = Row::not_started(
            task.what(),
            "cancelled",
            "it was cancelled before its turn",
            Exit::Cancelled,
        );
        if common.json {
            ended(&mut view, index, &row, true);
        }
        rows[index] = Some(row);
    }
    view.end();
    sweeping.abort();
    rows.into_iter().flatten().collect()
}

fn ended(view: &mut Batch, index: usize, row: &Row, json_lines: bool) {
    if let (true, Some((why, detail))) = (json_lines, &row.never) {
        show::out(&json::not_started(view.place(index), why, detail));
    }
    view.ended(index, row);
}

/// What is said before the first one starts.
fn heading(plan: &Plan, parallel: usize, style: Style) -> Vec<String> {
    let count = plan.tasks.len();
    let noun = if count == 1 { "task" } else { "tasks" };
    let models: std::collections::BTreeSet<&str> =
        plan.tasks.iter().map(|task| task.request.model.as_str()).collect();
    let models: Vec<&str> = models.into_iter().take(4).collect();
    let scripted = plan.tasks.iter().any(|task| task.scripted);
    let note = if scripted { " (a script plays the model)" } else { "" };
    let at_once = parallel.min(count);
    let first = format!("{count} {noun}, {at_once} at once · {}{note}", models.join(", "));
    let costs: Option<Vec<u64>> =
        plan.tasks.iter().map(|task| task.request.budget.cost.map(|cost| cost.0)).collect();
    let all = costs.map(|costs| costs.iter().fold(0, |sum: u64, cost| sum.saturating_add(*cost)));
    let limited = plan.tasks.iter().filter(|task| {
        let budget = &task.request.budget;
        budget.cost.is_some() || budget.tokens.is_some() || budget.model_calls.is_some()
    });
    let budget = match (all, limited.count()) {
        (Some(all), _) => format!("budgets of the tasks together: at most {}", MicroDollars(all)),
        (None, 0) => "no budget is set (--budget, for each task)".to_owned(),
        (None, limited) if limited == count => "each task has a budget of its own".to_owned(),
        (None, limited) => format!("{limited} of {count} tasks have a budget (--budget, for each)"),
    };
    vec![style.bold(&first), budget]
}

/// 0 if all ended well; 130 after Ctrl-C; else the code of the first in the file that did not.
fn exit_of(rows: &[Row], cancelled: bool) -> Exit {
    let mut bad = rows.iter().map(|row| row.exit).filter(|exit| *exit != Exit::Done);
    if cancelled && bad.clone().any(|exit| exit == Exit::Cancelled) {
        return Exit::Cancelled;
    }
    bad.next().unwrap_or(Exit::Done)
}
