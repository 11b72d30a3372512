//! `quire task logs`: what an attempt did, event by event; or the whole output of one command.

use std::time::Duration;

use quire_domain::attempt::AttemptState;
use quire_domain::ids::{AttemptRef, ChunkId};

use crate::commands::task::{find, told};
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show::lines::Lines;
use crate::show::style::Style;
use crate::show::{self, json};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    pub(super) task: AttemptRef,
    /// The whole output of this command, by the six digits in brackets. Control characters are
    /// made visible on a terminal and left as they are elsewhere.
    #[arg(long, value_name = "ID")]
    pub(super) chunk: Option<ChunkId>,
    /// Every event, as JSON lines.
    #[arg(long)]
    pub(super) json: bool,
    /// Go on with what happens, until it ends or waits for you.
    #[arg(long, short, conflicts_with = "chunk")]
    pub(super) follow: bool,
}

/// How often the log is looked at.
const PAUSE: Duration = Duration::from_millis(300);

/// Bytes of a chunk that are read at once.
const PIECE: usize = 1 << 20;

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let named = find(installation, args.task).await?;
    if let Some(chunk) = &args.chunk {
        let continued = worker.store.continued(named.attempt.id).await.map_err(told)?;
        let chunks = worker.record.chunks.of(named.attempt.id, continued);
        let mut offset = 0;
        loop {
            let piece = chunks.piece(chunk, offset, PIECE).await.map_err(|error| {
                usage(format!("{error}: `quire task logs {}` shows what there is", args.task))
            })?;
            if piece.bytes.is_empty() {
                return Ok(Exit::Done);
            }
            offset = piece.offset + piece.bytes.len() as u64;
            let written = if installation.surroundings.stdout_terminal {
                let text = String::from_utf8_lossy(&piece.bytes);
                show::out_bytes(show::style::plain(&text, true).as_bytes())
            } else {
                show::out_bytes(&piece.bytes)
            };
            if !written {
                return Ok(Exit::Done);
            }
        }
    }
    let style = Style::new(installation.surroundings.colour());
    let mut lines = Lines::of_log(style, show::width());
    let mut seen = 0;
    loop {
        // Where it stands first: the log then holds all of one that is over.
        let state = worker.store.attempt_by_id(named.attempt.id).await.map_err(told)?.state;
        let events = worker.record.events(named.attempt.id).await?;
        for event in events.iter().skip(seen) {
            if args.json {
                show::out(&json::line(named.task.number.0, named.attempt.ordinal, event));
            } else {
                for line in lines.of(event) {
                    show::out(&line);
                }
            }
        }
        seen = events.len();
        let open =
            matches!(state, AttemptState::Queued | AttemptState::Preparing | AttemptState::Working);
        if !(args.follow && open) {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
