//! `quire task approve`: approves the plan that a task waits with, as it is or edited, and carries
//! it out.

use std::path::PathBuf;

use quire_domain::attempt::AttemptState;
use quire_domain::event::{Event, EventBody};
use quire_domain::ids::AttemptRef;
use quire_orchestrator::plan::carry_out;
use quire_store::InputKind;
use tokio_util::sync::CancellationToken;

use super::speak::{self, Spoken};
use crate::commands::env::editor::{Edited, Editor};
use crate::commands::go::work;
use crate::commands::task::told;
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`).
    pub(super) task: AttemptRef,
    /// Edit the plan first, in the editor of `VISUAL` or `EDITOR`.
    #[arg(long, conflicts_with = "plan_file")]
    pub(super) edit: bool,
    /// A file that holds the plan to carry out in place of the one that was made.
    #[arg(long, value_name = "FILE")]
    pub(super) plan_file: Option<PathBuf>,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// A plan is at most this long, in bytes: what comes of it is a prompt.
const MOST_BYTES: u64 = 512 << 10;

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let spoken = speak::to(installation, args.task, &AttemptState::WaitingForApproval).await?;
    let events = worker.record.events(spoken.attempt.id).await?;
    // A process may have died between the approval and what comes of it.
    let before = events.iter().any(|event| matches!(event.body, EventBody::PlanApproved(_)));
    if !before {
        let text = edited(&args, installation, plan(&events)).await?;
        spoken.put(installation, InputKind::Approve { text }).await?;
    }
    if spoken.is_of_server(installation).await? {
        return Ok(Exit::Done);
    }
    installation.needs_sandbox()?;
    let resolved = installation.models.resolve(Some(&spoken.turn.request.model)).await?;
    if !matches!(spoken.attempt.state, AttemptState::Done { .. }) {
        let run = quire_orchestrator::life::run(
            worker,
            spoken.attempt.id,
            None,
            CancellationToken::new(),
        );
        Box::pin(run).await?;
    }
    let Spoken { turn, attempt, .. } = spoken;
    let events = worker.record.events(attempt.id).await?;
    let submission = carry_out(worker, &turn, attempt.id, &events).await.map_err(told)?;
    let Some(submission) = submission else {
        return Err(usage("the plan was not approved: somebody else was quicker"));
    };
    if !args.json {
        show::err("the plan is approved and is carried out now");
    }
    work(installation, &submission, None, args.json, resolved.info.scripted).await
}

fn plan(events: &[Event]) -> &str {
    let answered = events.iter().rev().find_map(|event| match &event.body {
        EventBody::Answered(answered) => Some(answered.text.as_str()),
        _ => None,
    });
    answered.unwrap_or_default()
}

/// The plan as the person edited it; `None` if they left it as it was.
async fn edited(
    args: &Args,
    installation: &Installation,
    plan: &str,
) -> anyhow::Result<Option<String>> {
    let text = if let Some(path) = &args.plan_file {
        let path = installation.surroundings.current_dir.join(path);
        let shown = path.display();
        let unread = |error| usage(format!("cannot read the plan {shown}: {error}"));
        let found = std::fs::metadata(&path).map_err(unread)?;
        if !found.is_file() || found.len() > MOST_BYTES {
            return Err(usage(format!("the plan {shown} is no file of 512 KiB at most")));
        }
        std::fs::read_to_string(&path).map_err(unread)?
    } else if args.edit {
        let instead = "give the plan with --plan-file FILE";
        let editor = Editor::of(installation, "md", instead)?;
        let name = format!("plan-{}", args.task.task);
        let filled = |text: &str| {
            if text.trim().is_empty() { Err("the plan is empty".to_owned()) } else { Ok(()) }
        };
        match editor.edit(&name, plan, filled).await? {
            Edited::Text(draft) => draft.keep(),
            Edited::Unchanged => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    if text.trim().is_empty() {
        return Err(usage("the plan is empty: `quire task cancel` ends the task without one"));
    }
    Ok((text.trim() != plan.trim()).then_some(text))
}
