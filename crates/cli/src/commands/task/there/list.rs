//! `quire task list` on a server.

use quire_api::TaskPage;
use quire_client::Call;
use quire_domain::time::Clock;

use super::super::list::Args;
use crate::exit::Exit;
use crate::installation::WallClock;
use crate::remote::{Remote, pushing, told};
use crate::show::{self, style::duration, style::plain, table::table};

/// Runs it.
pub async fn run(args: Args, remote: &Remote) -> anyhow::Result<Exit> {
    let here = if args.here { Some(here(remote).await?) } else { None };
    let call = Call::get(&["tasks"])
        .maybe("state", (!args.state.is_empty()).then(|| args.state.join(",")))
        .maybe("text", args.text)
        .maybe("repository", here)
        .maybe("archived", args.archived.then_some(true))
        .query("limit", args.limit);
    let page: TaskPage = remote.client.ask(call).await.map_err(told)?;
    if args.json {
        for one in &page.tasks {
            let line = serde_json::json!({
                "task": one.task,
                "title": one.title,
                "repository": one.repository,
                "mode": one.mode,
                "state": one.state,
                "turns": one.turns,
                "attempts": one.attempts.len(),
                "created_at": one.created_at,
                "updated_at": one.updated_at,
            });
            show::out(&line.to_string());
        }
        return Ok(Exit::Done);
    }
    if page.tasks.is_empty() {
        show::err(&format!("no tasks on {}: `quire run --remote \"…\"` starts one", remote.name));
        return Ok(Exit::Done);
    }
    let now = WallClock.now();
    let rows: Vec<Vec<String>> = page
        .tasks
        .iter()
        .map(|one| {
            let since = now.millis_since(quire_domain::time::Timestamp(one.updated_at)) / 1000;
            vec![
                one.task.to_string(),
                one.state.word().to_owned(),
                one.mode.to_string(),
                match since {
                    0 => "just now".to_owned(),
                    seconds => format!("{} ago", duration(seconds * 1000)),
                },
                plain(&one.repository, false),
                plain(&one.title, false),
            ]
        })
        .collect();
    let heading = ["task", "state", "mode", "changed", "repository", "title"];
    show::out(table(&heading, &rows, show::width()).trim_end());
    if let Some(next) = page.next {
        show::err(&format!("there are more, before task {next} (--limit)"));
    }
    Ok(Exit::Done)
}

/// The repository on the server that this checkout belongs to.
async fn here(remote: &Remote) -> anyhow::Result<String> {
    let current = &remote.surroundings.current_dir;
    let root = crate::surroundings::checkout_of(current).ok_or_else(pushing::no_checkout)?;
    pushing::repository_of(remote, root).await
}
