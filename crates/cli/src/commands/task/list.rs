//! `quire task list`: tasks, newest first.

use quire_domain::attempt::AttemptState;
use quire_orchestrator::keep::is_cut_off;
use quire_store::{ListFilter, Listed, Page};

use crate::commands::task::told;
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show::{self, style::duration, style::plain, table::table};
use crate::surroundings::checkout_of;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only tasks in this state, e.g. `working`, `done`, `suspended`; may be given several times.
    #[arg(long)]
    pub(super) state: Vec<String>,
    /// Only tasks of this checkout.
    #[arg(long)]
    pub(super) here: bool,
    /// Only tasks whose title holds this text.
    #[arg(long)]
    pub(super) text: Option<String>,
    /// Archived ones instead.
    #[arg(long)]
    pub(super) archived: bool,
    /// At most this many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) limit: u32,
    /// As JSON, a line each.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let current = &installation.surroundings.current_dir;
    let here = checkout_of(current);
    let filter = ListFilter {
        states: args.state,
        repository: args.here.then(|| here.unwrap_or(current).display().to_string()),
        archived: Some(args.archived),
        text: args.text,
        limit: args.limit,
        before: None,
        ..ListFilter::default()
    };
    let page = needing_you_first(installation, &filter).await?;
    if args.json {
        for listed in &page.tasks {
            let line = serde_json::json!({
                "task": listed.task.number,
                "title": listed.task.title,
                "repository": listed.task.repository,
                "mode": listed.mode,
                "state": listed.state,
                "turns": listed.turns,
                "attempts": listed.attempts.len(),
                "created_at": listed.task.created_at,
                "updated_at": listed.updated_at,
            });
            show::out(&line.to_string());
        }
        return Ok(Exit::Done);
    }
    if page.tasks.is_empty() {
        show::err("no tasks yet: `quire run \"…\"` starts one");
        return Ok(Exit::Done);
    }
    let now = installation.worker.clock.now();
    let mut cut_off = Vec::new();
    for listed in &page.tasks {
        if any_cut_off(installation, listed).await {
            cut_off.push(listed.task.number);
        }
    }
    let rows: Vec<Vec<String>> = page
        .tasks
        .iter()
        .map(|listed| {
            let state =
                if cut_off.contains(&listed.task.number) { "cut off" } else { listed.state.word() };
            vec![
                listed.task.number.to_string(),
                state.to_owned(),
                listed.mode.to_string(),
                match now.millis_since(listed.updated_at) / 1000 {
                    0 => "just now".to_owned(),
                    seconds => format!("{} ago", duration(seconds * 1000)),
                },
                plain(
                    &installation.surroundings.short(std::path::Path::new(&listed.task.repository)),
                    false,
                ),
                listed.task.title.clone(),
            ]
        })
        .collect();
    let heading = ["task", "state", "mode", "changed", "repository", "title"];
    show::out(table(&heading, &rows, show::width()).trim_end());
    if let Some(task) = cut_off.first() {
        show::err(&format!("a task that was cut off goes on with `quire task resume {task}`"));
    }
    if let Some(next) = page.next {
        show::err(&format!("there are more, before task {next} (--limit)"));
    }
    Ok(Exit::Done)
}

/// The page that a filter gives, with those tasks before all others that wait for a person.
async fn needing_you_first(
    installation: &Installation,
    filter: &ListFilter,
) -> anyhow::Result<Page> {
    let store = &installation.worker.store;
    let mut page = store.list(filter).await.map_err(told)?;
    if !filter.states.is_empty() {
        return Ok(page);
    }
    let waiting = [AttemptState::WaitingForUser, AttemptState::WaitingForApproval];
    let states = waiting.iter().map(|state| state.word().to_owned()).collect();
    let waiting = ListFilter { states, ..filter.clone() };
    let mut first = store.list(&waiting).await.map_err(told)?.tasks;
    let is_first = |listed: &Listed| first.iter().any(|one| one.task.id == listed.task.id);
    page.tasks.retain(|listed| !is_first(listed));
    let room = (filter.limit as usize).saturating_sub(first.len());
    if page.tasks.len() > room {
        page.tasks.truncate(room);
        page.next = page.tasks.last().map(|listed| listed.task.number).or(page.next);
    }
    first.append(&mut page.tasks);
    page.tasks = first;
    Ok(page)
}

/// Whether a task is said to be at work though the process that worked on it is gone.
async fn any_cut_off(installation: &Installation, listed: &Listed) -> bool {
    let worker = &installation.worker;
    for attempt in &listed.attempts {
        if matches!(attempt.state, AttemptState::Preparing | AttemptState::Working)
            && is_cut_off(worker, attempt.id).await
        {
            return true;
        }
    }
    false
}
