//! A question that is answered where it is asked: at the terminal that the attempt was started from.

use std::io::Write;
use std::time::Duration;

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::event::{EventBody, QuestionAsked};
use quire_store::{InputKind, NewInput};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::commands::task::told;
use crate::installation::Installation;
use crate::show::asked;
use crate::show::style::Style;

/// How often it is looked whether somebody answered elsewhere.
const LOOK: Duration = Duration::from_secs(1);

/// Asks the person at this terminal what an attempt waits to be told, and writes their answer down.
/// Whether there is one; else it goes on waiting, or was answered elsewhere.
pub async fn answered(
    installation: &Installation,
    attempt: &Attempt,
    style: Style,
) -> anyhow::Result<bool> {
    let surroundings = &installation.surroundings;
    if !surroundings.stdin_terminal || !surroundings.stderr_terminal {
        return Ok(false);
    }
    let worker = &installation.worker;
    let events = worker.record.events(attempt.id).await?;
    let question = events.iter().rev().find_map(|event| match &event.body {
        EventBody::QuestionAsked(question) => Some(question),
        _ => None,
    });
    let Some(question) = question else { return Ok(false) };
    crate::show::err(&format!("\n{}", asked::question(question, style)));
    let mut elsewhere = tokio::time::interval(LOOK);
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return Ok(false);
    };
    let mut line = read_line(prompt(question));
    let answer = loop {
        tokio::select! {
            read = &mut line => match read.ok().flatten() {
                Some(text) if text.trim().is_empty() => line = read_line(prompt(question)),
                Some(text) => break text,
                None => return Ok(false),
            },
            _ = interrupt.recv() => return Ok(false),
            _ = terminate.recv() => return Ok(false),
            _ = elsewhere.tick() => {
                let now = worker.store.attempt_by_id(attempt.id).await.map_err(told)?;
                if now.state != AttemptState::WaitingForUser {
                    crate::show::err("\nit was answered elsewhere");
                    return Ok(false);
                }
            }
        }
    };
    let kind = InputKind::Answer { text: chosen(question, &answer) };
    let now = worker.clock.now();
    let input = NewInput { task: attempt.task, attempt: Some(attempt.id), kind, now };
    worker.store.put_input(input).await.map_err(told)?;
    Ok(true)
}

/// The words of an answer: those of the choice, where its number was given.
pub fn chosen(question: &QuestionAsked, answer: &str) -> String {
    let answer = answer.trim();
    let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match number.and_then(|at| question.choices.get(at)) {
        Some(choice) => choice.label.clone(),
        None => answer.to_owned(),
    }
}

fn prompt(question: &QuestionAsked) -> &'static str {
    if question.choices.is_empty() {
        "Your answer (Ctrl-C answers later): "
    } else {
        "Your answer, a number or words (Ctrl-C answers later): "
    }
}

/// A line that is typed; `None` at the end of the input. A thread of its own, which nobody waits
/// for: a read of a terminal cannot be called off.
fn read_line(prompt: &'static str) -> oneshot::Receiver<Option<String>> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut err = std::io::stderr();
        let _ = err.write_all(prompt.as_bytes()).and_then(|()| err.flush());
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = tell.send(matches!(read, Ok(1..)).then_some(line));
    });
    told
}
