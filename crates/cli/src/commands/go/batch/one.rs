//! One task of a file: written down when its turn comes, run to its end, summed up in a row.

use quire_domain::attempt::{Attempt, AttemptState, Outcome};
use quire_orchestrator::error::RunError;
use quire_orchestrator::submit::write_down;
use quire_store::Submission;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::attempts::run_attempts;
use super::super::refused;
use super::plan::Planned;
use super::starts::Starts;
use crate::exit::{Exit, Stop};
use crate::installation::Installation;
use crate::show::answer::{Report, suspended};
use crate::show::batch::News;
use crate::show::tally::{Row, Try};

/// Runs one task; gives its row.
pub async fn one(
    installation: &Installation,
    starts: &Starts,
    index: usize,
    task: &Planned,
    cancel: CancellationToken,
    tell: mpsc::Sender<News>,
) -> Row {
    let found = tokio::select! {
        found = starts.found(installation, task.start) => found,
        () = cancel.cancelled() => {
            let why = "it was cancelled before its turn";
            return Row::not_started(task.what(), "cancelled", why, Exit::Cancelled);
        }
    };
    let found = match found {
        Ok(found) => found,
        Err(why) => return Row::not_started(task.what(), "repository", &why, Exit::Usage),
    };
    let written = write_down(&installation.worker, &found, &task.environment, task.request.clone());
    let submission = match written.await {
        Ok(submission) => submission,
        Err(error) => {
            let error = refused(error);
            let exit = error.downcast_ref::<Stop>().map_or(Exit::Failed, |stop| stop.exit);
            return Row::not_started(task.what(), "not_written", &format!("{error:#}"), exit);
        }
    };
    let number = submission.task.number.0;
    let attempts = submission.attempts.len();
    // Whoever shows it is gone only when the process ends.
    let _ = tell.send(News::Submitted { task: index, number, attempts }).await;
    let (shown, mut heard) = mpsc::channel(64);
    let running =
        run_attempts(installation, index, &submission.attempts, found.seen(), cancel, shown);
    let pass_on = async {
        while let Some(shown) = heard.recv().await {
            let _ = tell.send(News::Shown(shown)).await;
        }
    };
    let (states, ()) = tokio::join!(running, pass_on);
    sum_up(installation, task, &submission, states).await
}

async fn sum_up(
    installation: &Installation,
    task: &Planned,
    submission: &Submission,
    states: Vec<Result<AttemptState, RunError>>,
) -> Row {
    let mut tries = Vec::new();
    for (attempt, state) in submission.attempts.iter().zip(states) {
        tries.push(try_of(installation, attempt, state).await);
    }
    // Best of several: it did what was asked if one of them did.
    let mut exits = tries.iter().map(|(_, exit)| *exit);
    let first = exits.clone().next().unwrap_or(Exit::Failed);
    let exit = if exits.any(|exit| exit == Exit::Done) { Exit::Done } else { first };
    Row {
        number: Some(submission.task.number.0),
        what: task.what(),
        tries: tries.into_iter().map(|(one, _)| one).collect(),
        never: None,
        exit,
    }
}

async fn try_of(
    installation: &Installation,
    attempt: &Attempt,
    state: Result<AttemptState, RunError>,
) -> (Try, Exit) {
    let broke_off = |why: String| {
        let end = Try {
            ordinal: attempt.ordinal,
            end: "broke off".to_owned(),
            why: Some(why),
            ..Try::default()
        };
        (end, Exit::Failed)
    };
    let state = match state {
        Ok(state) => state,
        Err(error) => return broke_off(format!("{:#}", anyhow::Error::from(error))),
    };
    let events = match installation.worker.record.events(attempt.id).await {
        Ok(events) => events,
        Err(error) => return broke_off(error.to_string()),
    };
    let report = Report::of(&events);
    let checks = report.checks_passed();
    let exit = match Exit::of(&state) {
        Exit::Done if checks.0 < checks.1 => Exit::ChecksFailed,
        exit => exit,
    };
    let why = match &state {
        AttemptState::Done { outcome: Outcome::Failed { kind, detail } } => {
            Some(format!("{detail}; {}", kind.advice()))
        }
        AttemptState::Done { outcome: Outcome::Refused { words } } => Some(words.clone()),
        AttemptState::Suspended { reason } => Some(suspended(*reason)),
        _ => None,
    };
    let spent = report.finished.map_or(attempt.spent, |finished| finished.spent);
    let end = Try {
        ordinal: attempt.ordinal,
        end: state.word().to_owned(),
        checks,
        citations: report.citations_resolved(),
        change: report.diff_stat(),
        spent,
        why,
    };
    (end, exit)
}
