//! What a task on a server did: `show`, `logs`, `diff`.

use std::time::Duration;

use quire_client::Call;
use quire_domain::ids::TaskNumber;
use tokio::time::Instant;

use super::super::{diff, logs, show as showing};
use crate::exit::{Exit, usage};
use crate::remote::news::{AWAY, Followed, Source};
use crate::remote::{Remote, tasks, told};
use crate::show::answer::Report;
use crate::show::lines::Lines;
use crate::show::style::{Style, plain};
use crate::show::task::About;
use crate::show::{self, compare};

/// A diff that is coloured is at most this long, in bytes.
const MOST_DIFF: usize = 64 << 20;
/// How often a server is asked whose stream does not come through.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// `quire task show`.
pub async fn show(args: showing::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let task = tasks::task(remote, args.task.task.0).await?;
    let style = Style::new(remote.surroundings.colour());
    let Some(turn) = task.history.last() else { return Ok(Exit::Failed) };
    let scripted = turn.model.starts_with("scripted/");
    let attempts = &task.summary.attempts;
    if args.task.ordinal.is_none() && attempts.len() > 1 && turn.chosen.is_none() {
        let mut ended = Vec::new();
        for attempt in attempts {
            let events = tasks::known(&tasks::events(remote, attempt, 1).await?);
            ended.push((attempt.attempt, attempt.state.clone(), events));
        }
        let number = TaskNumber(task.summary.task);
        let text = compare::text_there(number, &ended, style, &remote.flag);
        show::out(text.trim_end());
        return Ok(Exit::Done);
    }
    let attempt = tasks::meant(&task, args.task)?;
    let events = if attempt.epoch == 0 {
        Vec::new()
    } else {
        tasks::known(&tasks::events(remote, attempt, 1).await?)
    };
    let report = Report::of(&events);
    let about = About {
        task: task.summary.task,
        title: &task.summary.title,
        repository: &task.summary.repository,
        turn: turn.turn,
        attempt: attempt.attempt,
        mode: turn.mode.to_string(),
        model: &turn.model,
        prompt: &turn.prompt,
        images: turn.images.into(),
        pictures: match turn.images {
            0 => String::new(),
            1 => "with 1 picture".to_owned(),
            images => format!("with {images} pictures"),
        },
        state: &attempt.state,
        queue_place: attempt.queue_place,
    };
    if args.json {
        show::out(&serde_json::to_string_pretty(&about.json(&report))?);
        return Ok(Exit::Done);
    }
    show::out(&about.heading(style));
    show::out(report.text(style, &format!("{}{}", args.task, remote.flag), scripted).trim_end());
    Ok(Exit::Done)
}

/// `quire task logs`.
pub async fn logs(args: logs::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let named = tasks::find(remote, args.task).await?;
    if let Some(chunk) = &args.chunk {
        let id = named.attempt.id.to_string();
        let call = Call::get(&["attempts", &id, "outputs", chunk.as_str(), "raw"]);
        let mut download =
            remote.client.download(call).await.map_err(|error| match error.kind() {
                Some(quire_api::ProblemKind::NotFound) => {
                    usage(format!("{error}: `quire task logs {}` shows what there is", args.task))
                }
                _ => told(error),
            })?;
        while let Some(piece) = download.next().await.map_err(told)? {
            let written = if remote.surroundings.stdout_terminal {
                show::out_bytes(plain(&String::from_utf8_lossy(&piece), true).as_bytes())
            } else {
                show::out_bytes(&piece)
            };
            if !written {
                break;
            }
        }
        return Ok(Exit::Done);
    }
    let style = Style::new(remote.surroundings.colour());
    let mut lines = Lines::of_log(style, show::width());
    if args.follow {
        return follow_log(args, named, lines, remote).await;
    }
    if named.attempt.epoch == 0 {
        show::err("no worker has begun with it yet");
        return Ok(Exit::Done);
    }
    for event in tasks::events(remote, &named.attempt, 1).await? {
        if args.json {
            show::out(&tasks::line(named.task.summary.task, named.attempt.attempt, &event));
        } else if let Some(event) = tasks::event(&event) {
            for line in lines.of(&event) {
                show::out(&line);
            }
        }
    }
    Ok(Exit::Done)
}

/// `quire task logs --follow`: to where the attempt ends or stands still.
async fn follow_log(
    args: logs::Args,
    named: tasks::Named,
    mut lines: Lines,
    remote: &Remote,
) -> anyhow::Result<Exit> {
    let (number, ordinal) = (named.task.summary.task, named.attempt.attempt);
    let mut source = Source::open(remote, number);
    let mut followed = [Followed::new(named.attempt)];
    let mut whole = false;
    let mut away: Option<Instant> = None;
    loop {
        let news = match source.news(remote, &mut followed).await {
            Ok(news) => news,
            Err(error) if error.is_for_now() => {
                let since = *away.get_or_insert_with(|| {
                    show::err(&format!("{error}; the task goes on, and this tries again"));
                    Instant::now()
                });
                if since.elapsed() > AWAY {
                    return Err(told(error));
                }
                tokio::time::sleep(ASK_EVERY).await;
                continue;
            }
            Err(error) => return Err(told(error)),
        };
        if away.take().is_some() {
            show::err("the server is there again");
        }
        for notice in &news.notices {
            show::err(notice);
        }
        for (_, event) in &news.events {
            if args.json {
                show::out(&tasks::line(number, ordinal, event));
            } else if let Some(event) = tasks::event(event) {
                for line in lines.of(&event) {
                    show::out(&line);
                }
            }
        }
        whole |= news.whole;
        if whole && followed[0].is_over() {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(source.pause().unwrap_or(ASK_EVERY)).await;
    }
}

/// `quire task diff`.
pub async fn diff(args: diff::Args, remote: &Remote) -> anyhow::Result<Exit> {
    let against = match args.other {
        None => None,
        Some(other) if other.task != args.task.task => {
            return Err(usage("the two attempts are not of the same task"));
        }
        Some(other) => Some(tasks::find(remote, other).await?.attempt.id),
    };
    let named = tasks::find(remote, args.task).await?;
    let id = named.attempt.id.to_string();
    let turn = args.turn.then_some(true);
    if args.stat {
        let call = Call::get(&["attempts", &id, "change"]);
        let call = call.maybe("turn", turn).maybe("against", against);
        let change: quire_api::Change = remote.client.ask(call).await.map_err(told)?;
        for file in &change.files {
            let (added, removed) = (format!("+{}", file.added), format!("−{}", file.removed));
            show::out(&format!("{added:>6} {removed:>6}  {}", plain(&file.path, false)));
        }
        show::out(&change.stat.to_string());
        return Ok(Exit::Done);
    }
    let call = Call::get(&["attempts", &id, "diff"]).maybe("turn", turn).maybe("against", against);
    let mut download = remote.client.download(call).await.map_err(told)?;
    if remote.surroundings.stdout_terminal {
        let bytes = download.whole(MOST_DIFF + 1).await.map_err(told)?;
        let style = Style::new(remote.surroundings.colour());
        show::out(diff::coloured(&String::from_utf8_lossy(&bytes), style).trim_end());
        return Ok(Exit::Done);
    }
    let mut any = false;
    while let Some(piece) = download.next().await.map_err(told)? {
        any |= !piece.is_empty();
        if !show::out_bytes(&piece) {
            break;
        }
    }
    if !any {
        return Err(usage(format!("task {} has no change", args.task)));
    }
    Ok(Exit::Done)
}
