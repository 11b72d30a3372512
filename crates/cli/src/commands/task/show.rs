//! `quire task show`: one task: its request, its end, its evidence.

use quire_domain::ids::AttemptRef;
use quire_domain::task::Image;

use crate::commands::task::{find, told};
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show::answer::Report;
use crate::show::style::Style;
use crate::show::task::About;
use crate::show::{self, compare};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task (`42`), or one attempt (`42.3`).
    pub(super) task: AttemptRef,
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it.
pub async fn run(args: Args, installation: &Installation) -> anyhow::Result<Exit> {
    let worker = &installation.worker;
    let task = worker.store.task(args.task.task).await.map_err(told)?;
    let turns = worker.store.turns(task.id).await.map_err(told)?;
    let Some(turn) = turns.last() else { return Ok(Exit::Failed) };
    let attempts = worker.store.attempts(turn.id).await.map_err(told)?;
    let style = Style::new(installation.surroundings.colour());
    let scripted = installation
        .models
        .resolve(Some(&turn.request.model))
        .await
        .map_or_else(|_| turn.request.model.starts_with("scripted/"), |model| model.info.scripted);
    if args.task.ordinal.is_none() && attempts.len() > 1 && turn.chosen.is_none() {
        let mut ended = Vec::new();
        for attempt in attempts {
            let events = worker.record.events(attempt.id).await?;
            ended.push((attempt.ordinal, attempt.state, events));
        }
        show::out(compare::text(task.number, &ended, style).trim_end());
        return Ok(Exit::Done);
    }
    let named = find(installation, args.task).await?;
    let events = worker.record.events(named.attempt.id).await?;
    let report = Report::of(&events);
    let pictures: Vec<String> = turn.request.images.iter().map(picture).collect();
    let about = About {
        task: task.number.0,
        title: &task.title,
        repository: &task.repository,
        turn: turn.ordinal,
        attempt: named.attempt.ordinal,
        mode: turn.request.mode.to_string(),
        model: &turn.request.model,
        prompt: &turn.request.prompt,
        images: serde_json::to_value(&turn.request.images)?,
        pictures: match pictures.as_slice() {
            [] => String::new(),
            some => format!("with {}", some.join(", ")),
        },
        state: &named.attempt.state,
        queue_place: None,
    };
    if args.json {
        show::out(&serde_json::to_string_pretty(&about.json(&report))?);
        return Ok(Exit::Done);
    }
    show::out(&about.heading(style));
    show::out(report.text(style, &args.task.to_string(), scripted).trim_end());
    Ok(Exit::Done)
}

/// A picture of the prompt: its kind and its size.
fn picture(image: &Image) -> String {
    let kind = match image.media_type.as_str() {
        "image/png" => "PNG",
        "image/jpeg" => "JPEG",
        "image/gif" => "GIF",
        "image/webp" => "WebP",
        other => other,
    };
    match image.bytes {
        bytes @ 0..10_240 => format!("a {kind} picture of {bytes} bytes"),
        bytes => format!("a {kind} picture of {} KiB", bytes >> 10),
    }
}
