//! `quire task new`: writes a task down for a server that works on this data directory, and does not
//! wait for it.

use clap::Args as ClapArgs;

use crate::commands::Context;
use crate::commands::go::{Asked, Common, offer};
use crate::exit::Exit;
use crate::show;
use quire_domain::task::Mode;

/// Its arguments.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// What is to be done; `-` reads it from standard input.
    prompt: String,
    /// Only answer; change nothing.
    #[arg(long)]
    ask: bool,
    /// A command whose exit status is part of the result; may be given several times.
    #[arg(long, value_name = "COMMAND")]
    check: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Runs it.
pub async fn run(args: Args, context: Context) -> anyhow::Result<Exit> {
    let asked = Asked {
        mode: if args.ask { Mode::Ask } else { Mode::Code },
        prompt: Some(args.prompt),
        prompt_file: None,
        checks: args.check,
        skip_checks: false,
        allow_rewrite: false,
        review: None,
    };
    let json = args.common.json;
    let submission = offer(args.common, asked, context).await?;
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
