//! `quire task new`: writes a task down for a server, and does not wait for it unless asked to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use quire_api::Task;
use quire_domain::task::Mode;
use uuid::Uuid;

use crate::commands::Context;
use crate::commands::go::{Asked, Common, FarTerms, offer, submit_there};
use crate::exit::{Exit, usage};
use crate::remote::Remote;
use crate::remote::follow::{Follow, follow};
use crate::show;

/// Its arguments.
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct Args {
    /// What is to be done; `-` reads it from standard input.
    #[arg(required_unless_present = "tasks")]
    pub(super) prompt: Option<String>,
    /// A file of tasks, one JSON object per line (`{"prompt": "…"}`), for a server (`--remote`);
    /// `-` reads standard input. The other flags are what a line does not say.
    #[arg(long = "from", value_name = "FILE.jsonl", conflicts_with = "prompt")]
    pub(super) tasks: Option<PathBuf>,
    /// Tasks of the file that are not over at once: the next one is submitted when one has ended.
    #[arg(long, value_name = "N", requires = "tasks",
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(super) parallel: Option<u16>,
    /// Only answer; change nothing.
    #[arg(long)]
    pub(super) ask: bool,
    /// Make a plan, which is carried out when it is approved.
    #[arg(long, conflicts_with = "ask")]
    pub(super) plan: bool,
    /// A command whose exit status is part of the result; may be given several times.
    #[arg(long, value_name = "COMMAND")]
    pub(super) check: Vec<String>,
    /// Wait for the end, print it, and end with the exit code of it.
    #[arg(long)]
    pub(super) wait: bool,
    /// With --wait: give up waiting after so many minutes, with the exit code 124.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) timeout: Option<u64>,
    /// Send this checkout, with what is not committed, also where --repo names the repository.
    #[arg(long)]
    pub(super) push: bool,
    /// Start with what `quire push` sent before, by the id that it printed.
    #[arg(long, value_name = "ID", conflicts_with = "push", requires = "repo")]
    pub(super) base_push: Option<Uuid>,
    /// The team, where you are in several.
    #[arg(long, value_name = "TEAM")]
    pub(super) team: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Runs it on this machine's own data.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    for (given, flag) in [
        (args.tasks.is_some(), "--from"),
        (args.push, "--push"),
        (args.base_push.is_some(), "--base-push"),
        (args.team.is_some(), "--team"),
        (args.wait, "--wait"),
    ] {
        if given {
            return Err(usage(format!(
                "{flag} belongs to a task on a server: add --remote (`quire login URL` first), or \
                 use `quire run` here"
            )));
        }
    }
    let asked = asked(&args);
    let json = args.common.json;
    let submission = Box::pin(offer(args.common, asked, context)).await?;
    let number = submission.task.number;
    if json {
        let line = serde_json::json!({ "task": number.0, "id": submission.task.id.to_string() });
        show::out(&line.to_string());
    } else {
        show::out(&format!("task {number}"));
        show::err(&format!(
            "it waits for `quire serve`; `quire task show {number}` says how it stands"
        ));
    }
    Ok(Exit::Done)
}

/// Runs it on a server.
pub async fn run_there(args: Args, context: Context, remote: &Remote) -> anyhow::Result<Exit> {
    let terms = FarTerms {
        team: args.team.clone(),
        pushed: args.base_push,
        push: args.push,
        detached: !args.wait,
        ..FarTerms::default()
    };
    let how = Follow {
        json: args.common.json,
        quiet: false,
        value: args.common.output_schema.is_some(),
        limit: args.timeout.map(|minutes| Duration::from_secs(minutes.saturating_mul(60))),
        from_start: true,
    };
    if let Some(file) = &args.tasks {
        return super::new_batch::run(file, &args, terms, how, &context, remote).await;
    }
    let task = submit_there(args.common.clone(), asked(&args), terms, &context, remote).await?;
    if args.wait {
        return follow(remote, task, how).await;
    }
    tell(&task, remote, args.common.json);
    Ok(Exit::Done)
}

/// What is asked for, as `quire run` has it.
pub(super) fn asked(args: &Args) -> Asked {
    let mode = match (args.ask, args.plan) {
        (true, _) => Mode::Ask,
        (_, true) => Mode::Plan,
        _ => Mode::Code,
    };
    Asked {
        mode,
        prompt: args.prompt.clone(),
        prompt_file: None,
        checks: args.check.clone(),
        skip_checks: false,
        allow_rewrite: false,
        review: None,
    }
}

fn tell(task: &Task, remote: &Remote, json: bool) {
    let number = task.summary.task;
    if json {
        let line = serde_json::json!({ "task": number, "id": task.summary.id.to_string() });
        show::out(&line.to_string());
        return;
    }
    show::out(&format!("task {number}"));
    show::err(&format!(
        "it is taken in by {}; `quire task watch {number}{}` follows it",
        remote.name, remote.flag
    ));
}
