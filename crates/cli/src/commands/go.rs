//! What `run`, `ask` and `review` share: reading the request, submitting it, showing it at work,
//! cancelling it, and printing its end.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures::stream::{FuturesUnordered, StreamExt};
use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::budget::{Budget, MicroDollars};
use quire_domain::environment::CheckSpec;
use quire_domain::event::Event;
use quire_domain::ids::{AttemptId, Seq};
use quire_domain::journal::Live;
use quire_domain::task::{Image, Mode, Request, ReviewTarget};
use quire_engine::{Heard, Watch};
use quire_orchestrator::error::RunError;
use quire_orchestrator::keep::{Keep, sweep};
use quire_orchestrator::prepare::Seen;
use quire_orchestrator::submit::{NewRun, Source, SubmitError, submit};
use quire_store::Submission;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::commands::Context;
use crate::exit::{Exit, usage};
use crate::installation::Installation;
use crate::show::answer::Report;
use crate::show::progress::Progress;
use crate::show::style::Style;
use crate::show::{self, compare, json};

/// Flags that `run`, `ask` and `review` share.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The repository: a path or an address; this checkout if not given.
    #[arg(long, value_name = "PATH|URL")]
    pub repo: Option<String>,
    /// The branch, tag or commit to start from, instead of what is checked out.
    #[arg(long = "ref", value_name = "REF")]
    pub from: Option<String>,
    /// The model, e.g. `openai/gpt-5`; `quire model list` shows all.
    #[arg(long, short)]
    pub model: Option<String>,
    /// Attempts at once, of which one is chosen.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub attempts: u8,
    /// A picture that belongs to the prompt; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub image_file: Vec<PathBuf>,
    /// What it may cost: dollars (`2.50`), tokens (`500000t`) or model calls (`40c`).
    #[arg(long, value_name = "AMOUNT")]
    pub budget: Option<String>,
    /// Show nothing of this machine but its system directories.
    #[arg(long)]
    pub bare: bool,
    /// Print one event per line as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What the mode adds.
pub struct Asked {
    /// The mode.
    pub mode: Mode,
    /// The prompt, if it was given as an argument.
    pub prompt: Option<String>,
    /// A file that holds it; `-` is standard input.
    pub prompt_file: Option<PathBuf>,
    /// Declared checks.
    pub checks: Vec<String>,
    /// Whether checks are skipped.
    pub skip_checks: bool,
    /// Whether history may be rewritten.
    pub allow_rewrite: bool,
    /// What a review is about.
    pub review: Option<ReviewTarget>,
}

/// A prompt is at most this long, in bytes.
const MOST_PROMPT: usize = 1 << 20;

/// A picture is at most this long, in bytes.
const MOST_IMAGE: u64 = 20 << 20;

/// Submits what was asked for, runs it here, and prints its end.
pub async fn go(common: Common, asked: Asked, context: Context) -> anyhow::Result<Exit> {
    let prompt = read_prompt(&asked, &context)?;
    let current = context.surroundings.current_dir.clone();
    let source = source_of(common.repo.as_deref(), &current);
    let root = match &source {
        Source::Checkout(path) => path.ancestors().find(|dir| dir.join(".git").exists()),
        Source::Url(_) => None,
    };
    let budget_flag =
        common.budget.as_deref().map(|text| parse_budget(text, "--budget")).transpose()?;
    let installation = Installation::open(context, root).await?;
    let resolved = installation.models.resolve(common.model.as_deref()).await?;
    let budget = budget_of(budget_flag, &installation)?;
    let request = Request {
        mode: asked.mode,
        prompt,
        images: read_images(&installation, &common.image_file).await?,
        model: resolved.info.name.clone(),
        attempts: common.attempts,
        budget,
        checks: asked.checks.iter().map(|command| check(command)).collect(),
        skip_checks: asked.skip_checks,
        allow_rewrite: asked.allow_rewrite,
        review: asked.review,
        start: None,
        environment: None,
    };
    let run = NewRun {
        source,
        from: common.from,
        bare: common.bare,
        limits: installation.limits,
        request,
    };
    let (submission, seen) = submit(&installation.worker, run).await.map_err(refused)?;
    if let Some(because) = &resolved.chosen_because
        && !common.json
    {
        show::err(&format!("model {} ({because})", resolved.info.name));
    }
    work(&installation, &submission, seen, common.json, resolved.info.scripted).await
}

/// What was wrong with what the person asked for ends as that, and not as a failure of ours.
pub fn refused(error: SubmitError) -> anyhow::Error {
    match error {
        SubmitError::Store(_) => error.into(),
        SubmitError::Git(_) | SubmitError::Recipe(_) | SubmitError::NotPossible(_) => {
            usage(error.to_string())
        }
    }
}

/// Runs all attempts of a submission here and prints their end.
pub async fn work(
    installation: &Installation,
    submission: &Submission,
    seen: Option<Arc<Seen>>,
    json_lines: bool,
    scripted: bool,
) -> anyhow::Result<Exit> {
    let colour = installation.surroundings.colour();
    let style = Style::new(colour);
    let number = submission.task.number;
    let labels: Vec<String> =
        submission.attempts.iter().map(|attempt| format!("{number}.{}", attempt.ordinal)).collect();
    if !json_lines {
        let place =
            installation.surroundings.short(std::path::Path::new(&submission.task.repository));
        let model = &submission.turn.request.model;
        let note = if scripted { " (a script plays the model)" } else { "" };
        show::err(&style.bold(&format!("task {number} · {model}{note} · {place}")));
        if submission.attempts.len() > 1 {
            show::err(&estimate(submission));
        }
    }
    let terminal = installation.surroundings.stderr_terminal && colour;
    let mut view = View {
        progress: Progress::new(&labels, style, terminal, show::width()),
        json: json_lines,
        task: number.0,
        ordinals: submission.attempts.iter().map(|attempt| attempt.ordinal).collect(),
    };
    let worker = installation.worker.clone();
    let keep = Keep {
        hours: installation.settings.keep_hours.value,
        layer_bytes: installation.settings.layers_gib.value << 30,
    };
    let sweeping = tokio::spawn(async move {
        // The first request goes first.
        tokio::time::sleep(Duration::from_secs(1)).await;
        sweep(&worker, keep).await;
    });
    let states = run_all(installation, &submission.attempts, seen, &mut view).await;
    view.progress.end();
    sweeping.abort();
    let mut exit = Exit::Done;
    let mut ended = Vec::new();
    for (attempt, state) in submission.attempts.iter().zip(states) {
        let state = state?;
        let events = installation.worker.record.events(attempt.id).await?;
        ended.push((attempt.ordinal, state, events));
    }
    if let [(_, state, events)] = ended.as_slice() {
        let report = Report::of(events);
        if !json_lines {
            show::out(
                report
                    .text(
                        Style::new(colour && installation.surroundings.stdout_terminal),
                        &number.to_string(),
                        scripted,
                    )
                    .trim_end(),
            );
        }
        let (passed, all) = report.checks_passed();
        exit = match Exit::of(state) {
            Exit::Done if passed < all => Exit::ChecksFailed,
            exit => exit,
        };
    } else {
        if !json_lines {
            show::out(compare::text(number, &ended, style).trim_end());
        }
        // Best of several: it did what was asked if one of them did.
        let exits: Vec<Exit> = ended.iter().map(|(_, state, _)| Exit::of(state)).collect();
        if !exits.contains(&Exit::Done) {
            exit = exits.first().copied().unwrap_or(Exit::Failed);
        }
    }
    Ok(exit)
}

/// How what happens is shown.
pub struct View {
    progress: Progress,
    json: bool,
    task: u64,
    ordinals: Vec<u8>,
}

impl View {
    fn event(&mut self, index: usize, event: &Event) {
        if self.json {
            let ordinal = self.ordinals.get(index).copied().unwrap_or(1);
            show::out(&json::line(self.task, ordinal, event));
        } else {
            self.progress.event(index, event);
        }
    }

    fn live(&mut self, index: usize, live: &Live) {
        if !self.json {
            self.progress.live(index, live);
        }
    }
}

enum Shown {
    Event(usize, Box<Event>),
    Live(usize, Live),
}

/// What is shown may be this far behind before the watchers wait.
const BACKLOG: usize = 1_024;

async fn run_all(
    installation: &Installation,
    attempts: &[Attempt],
    seen: Option<Arc<Seen>>,
    view: &mut View,
) -> Vec<Result<AttemptState, RunError>> {
    let cancel = CancellationToken::new();
    let (tell, mut shown) = mpsc::channel(BACKLOG);
    let mut running = FuturesUnordered::new();
    for (index, attempt) in attempts.iter().enumerate() {
        // Of an attempt that goes on, what is new: the rest was shown before.
        let head = installation.worker.record.log.head(attempt.id).await;
        let from = Seq(head.map_or(0, |head| head.seq.0) + 1);
        watch(installation, attempt.id, from, index, tell.clone());
        let worker = installation.worker.clone();
        let (id, seen, cancel) = (attempt.id, seen.clone(), cancel.clone());
        let task = tokio::spawn(async move {
            Box::pin(quire_orchestrator::life::run(&worker, id, seen, cancel)).await
        });
        running.push(async move { (index, task.await) });
    }
    drop(tell);
    let mut states: Vec<Option<Result<AttemptState, RunError>>> =
        attempts.iter().map(|_| None).collect();
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut interrupt = Interrupts::listen(cancel.clone());
    loop {
        tokio::select! {
            biased;
            () = interrupt.next() => {
                view.progress.notice("cancelling; press Ctrl-C again to stop at once");
            }
            Some(shown) = shown.recv() => match shown {
                Shown::Event(index, event) => view.event(index, &event),
                Shown::Live(index, live) => view.live(index, &live),
            },
            Some((index, ended)) = running.next(), if !running.is_empty() => {
                states[index] = Some(ended.unwrap_or_else(|error| {
                    Err(RunError::Origin(format!("the attempt's task broke off: {error}")))
                }));
                if running.is_empty() {
                    break;
                }
            }
            _ = tick.tick() => if !view.json { view.progress.tick() },
        }
    }
    // What was written last is shown too; the watchers end with the log.
    let last = async {
        while let Some(shown) = shown.recv().await {
            match shown {
                Shown::Event(index, event) => view.event(index, &event),
                Shown::Live(index, live) => view.live(index, &live),
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), last).await;
    states.into_iter().flatten().collect()
}

/// Shows an attempt's events from the number `from` on, and what is not kept, until its end.
fn watch(
    installation: &Installation,
    attempt: AttemptId,
    from: Seq,
    index: usize,
    tell: mpsc::Sender<Shown>,
) {
    let record = installation.worker.record.clone();
    let mut feed = record.bus.subscribe(attempt);
    tokio::spawn(async move {
        let mut watch = Watch::new(Arc::clone(&record.log), attempt, from);
        loop {
            tokio::select! {
                stored = watch.next() => {
                    let Ok(batch) = stored else { return };
                    for stored in batch {
                        let last = matches!(stored.kind.as_str(), "finished" | "suspended");
                        let Ok(event) = record.open_event(stored).await else { return };
                        if tell.send(Shown::Event(index, Box::new(event))).await.is_err() || last {
                            return;
                        }
                    }
                }
                heard = feed.next() => match heard {
                    // Live pieces never hold up events.
                    Some(Heard::Live(live)) => { let _ = tell.try_send(Shown::Live(index, live)); }
                    Some(Heard::Missed(_)) => {}
                    None => return,
                }
            }
        }
    });
}

/// Ctrl-C and SIGTERM: the first cancels, the second stops the process at once.
struct Interrupts {
    heard: mpsc::Receiver<()>,
}

impl Interrupts {
    fn listen(cancel: CancellationToken) -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let (tell, heard) = mpsc::channel(1);
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            let mut before = false;
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => {}
                    Some(()) = terminate.recv() => {}
                    else => return,
                }
                if before {
                    // The log has everything; `quire task resume` goes on from it.
                    std::process::exit(i32::from(Exit::Cancelled as u8));
                }
                before = true;
                cancel.cancel();
                let _ = tell.try_send(());
            }
        });
        Self { heard }
    }

    async fn next(&mut self) {
        if self.heard.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

fn read_prompt(asked: &Asked, context: &Context) -> anyhow::Result<String> {
    let from_stdin = asked.prompt.as_deref() == Some("-")
        || asked.prompt_file.as_deref() == Some(std::path::Path::new("-"));
    let text = if from_stdin {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(MOST_PROMPT as u64 + 1).read_to_end(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| usage("the prompt on standard input is not UTF-8"))?
    } else if let Some(path) = &asked.prompt_file {
        let bytes = std::fs::read(path).map_err(|error| {
            usage(format!("cannot read the prompt {}: {error}", path.display()))
        })?;
        String::from_utf8(bytes)
            .map_err(|_| usage(format!("the prompt {} is not UTF-8", path.display())))?
    } else {
        asked.prompt.clone().unwrap_or_default()
    };
    if text.len() > MOST_PROMPT {
        return Err(usage("the prompt is longer than 1 MiB: name files of the repository instead"));
    }
    if let (true, Some(target)) = (text.trim().is_empty(), &asked.review) {
        return Ok(match target {
            ReviewTarget::Base(base) => format!("Review what is new since {base}."),
            ReviewTarget::Commit(commit) => format!("Review the commit {commit}."),
            ReviewTarget::Uncommitted => "Review what is not committed.".to_owned(),
        });
    }
    if text.trim().is_empty() {
        let hint = if context.surroundings.stdin_terminal {
            ""
        } else {
            " (`-` reads it from standard input)"
        };
        return Err(usage(format!("the prompt is empty: say what is to be done{hint}")));
    }
    Ok(text)
}

fn source_of(repo: Option<&str>, current: &std::path::Path) -> Source {
    match repo {
        None => Source::Checkout(current.to_owned()),
        Some(text) if text.contains("://") || looks_like_scp(text) => Source::Url(text.to_owned()),
        Some(path) => Source::Checkout(current.join(path)),
    }
}

/// `git@host:path`, as ssh addresses are often written.
fn looks_like_scp(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(host, path)| host.contains('@') && !host.contains('/') && !path.is_empty())
}

/// `2.50` dollars, `500000t` tokens, `40c` model calls.
pub fn parse_budget(text: &str, origin: &str) -> anyhow::Result<Budget> {
    let bad = || {
        usage(format!(
            "{origin}: `{text}` is no budget: give dollars (`2.50`), tokens (`500000t`) or model calls (`40c`)"
        ))
    };
    let text = text.trim().trim_start_matches('$');
    if let Some(tokens) = text.strip_suffix('t') {
        let tokens: u64 = tokens.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
        return Ok(Budget { tokens: Some(tokens), ..Budget::default() });
    }
    if let Some(calls) = text.strip_suffix('c') {
        let calls: u32 = calls.parse().ok().filter(|n| *n > 0).ok_or_else(bad)?;
        return Ok(Budget { model_calls: Some(calls), ..Budget::default() });
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 6 || !digits(whole) || !digits(decimals) {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let decimals: u64 = format!("{decimals:0<6}").parse().map_err(|_| bad())?;
    let micros = whole.checked_mul(1_000_000).and_then(|w| w.checked_add(decimals));
    let micros = micros.filter(|micros| *micros > 0).ok_or_else(bad)?;
    Ok(Budget { cost: Some(MicroDollars(micros)), ..Budget::default() })
}

fn budget_of(flag: Option<Budget>, installation: &Installation) -> anyhow::Result<Budget> {
    let settings = &installation.settings;
    let mut budget = match (flag, &settings.budget) {
        (Some(budget), _) => budget,
        (None, Some(setting)) => parse_budget(&setting.value, &setting.origin)?,
        (None, None) => Budget::default(),
    };
    budget.wall_ms = Some(settings.minutes.value.saturating_mul(60_000));
    Ok(budget)
}

async fn read_images(installation: &Installation, files: &[PathBuf]) -> anyhow::Result<Vec<Image>> {
    let mut images = Vec::new();
    for path in files {
        let shown = path.display();
        let found = std::fs::metadata(path)
            .map_err(|error| usage(format!("cannot read the picture {shown}: {error}")))?;
        if !found.is_file() || found.len() > MOST_IMAGE {
            return Err(usage(format!("{shown} is no picture of at most 20 MiB")));
        }
        let bytes = Bytes::from(std::fs::read(path)?);
        let media_type = media_type(&bytes)
            .ok_or_else(|| usage(format!("{shown} is neither PNG, JPEG, GIF nor WebP")))?;
        let size = bytes.len() as u64;
        let blob = installation.worker.record.blobs.put(bytes).await?;
        images.push(Image { blob, media_type: media_type.to_owned(), bytes: size });
    }
    Ok(images)
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn check(command: &str) -> CheckSpec {
    CheckSpec {
        name: command.to_owned(),
        command: command.to_owned(),
        clean: false,
        timeout_s: None,
    }
}

/// What several attempts may cost, said before they start.
fn estimate(submission: &Submission) -> String {
    let attempts = submission.attempts.len();
    let budget = &submission.turn.request.budget;
    let limit = match (budget.cost, budget.tokens, budget.model_calls) {
        (Some(cost), _, _) => format!("at most {cost} together"),
        (_, Some(tokens), _) => format!("at most {tokens} tokens together"),
        (_, _, Some(calls)) => format!("at most {calls} model calls together"),
        _ => "no budget is set (--budget)".to_owned(),
    };
    format!("{attempts} attempts at once, about {attempts} times the cost of one; {limit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_dollars_tokens_or_calls() {
        let read = |text: &str| parse_budget(text, "--budget").ok();
        assert_eq!(read("2.50").unwrap().cost, Some(MicroDollars(2_500_000)));
        assert_eq!(read("$0.000001").unwrap().cost, Some(MicroDollars(1)));
        assert_eq!(read("500000t").unwrap().tokens, Some(500_000));
        assert_eq!(read("40c").unwrap().model_calls, Some(40));
        for bad in ["", "0", "-1", "1e3", "0.0000001", "x", "t", "99999999999999999999"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_told_from_a_path() {
        let here = std::path::Path::new("/here");
        assert_eq!(source_of(None, here), Source::Checkout("/here".into()));
        assert_eq!(source_of(Some("x/y"), here), Source::Checkout("/here/x/y".into()));
        for url in ["https://example.com/a", "git@example.com:a/b.git", "file:///x"] {
            assert_eq!(source_of(Some(url), here), Source::Url(url.to_owned()), "{url}");
        }
    }
}
