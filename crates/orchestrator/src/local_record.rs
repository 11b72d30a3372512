//! Whether what this installation keeps of an attempt is still what was signed: people read the
//! log and the chunks, not the bundle.

use quire_domain::attempt::Attempt;
use quire_domain::event::{CommandFinished, EventBody};
use quire_domain::task::Task;
use quire_evidence::about::RecordAbout;
use quire_evidence::bundle::Bundle;

use crate::seal::{SealError, entries};
use crate::worker::Worker;

/// Compares log and chunks with the bundle: what is compared, and what is wrong, if anything.
/// `task` is what the store has under the number that was asked for.
pub async fn compare(
    worker: &Worker,
    task: &Task,
    attempt: &Attempt,
    bundle: &Bundle,
) -> Result<Vec<(&'static str, Result<(), String>)>, SealError> {
    let kept = entries(worker, attempt.id).await?;
    let differs = kept.iter().zip(&bundle.entries).find(|(kept, signed)| kept != signed);
    let log = match differs {
        Some((kept, _)) => Err(format!("event {} is not what was signed", kept.seq.0)),
        None if kept.len() != bundle.entries.len() => {
            Err(format!("it has {} events, {} were signed", kept.len(), bundle.entries.len()))
        }
        None => Ok(()),
    };
    let chunks = chunks(worker, attempt, bundle).await?;
    Ok(vec![
        ("the evidence is that of this attempt", of_this(task, attempt, bundle)),
        ("the log kept here is the one that was signed", log),
        ("the outputs kept here are those that were recorded", chunks),
    ])
}

/// The record names its attempt, its task and its number, so that the record of one cannot stand
/// for another's, nor one number for another.
fn of_this(task: &Task, attempt: &Attempt, bundle: &Bundle) -> Result<(), String> {
    let about = RecordAbout::of(bundle).map_err(|error| error.to_string())?;
    if about.attempt != attempt.id {
        return Err(format!("it is that of attempt {}, not of {}", about.attempt, attempt.id));
    }
    if about.task != attempt.task || about.task != task.id {
        return Err(format!("it is that of another task, {}", about.task));
    }
    if let Some(number) = about.number.filter(|number| *number != task.number) {
        return Err(format!("it is that of task {number}, not of {}", task.number));
    }
    if let Some(ordinal) = about.ordinal.filter(|ordinal| *ordinal != attempt.ordinal) {
        return Err(format!(
            "it is that of attempt {ordinal} of its turn, not {}",
            attempt.ordinal
        ));
    }
    Ok(())
}

async fn chunks(
    worker: &Worker,
    attempt: &Attempt,
    bundle: &Bundle,
) -> Result<Result<(), String>, SealError> {
    let chunks = worker.record.chunks.of(attempt.id, Vec::new());
    for entry in &bundle.entries {
        let EventBody::CommandFinished(CommandFinished { chunk, .. }) =
            entry.event_with(&bundle.contents).body
        else {
            continue;
        };
        let digest = match chunks.read(&chunk.id).await {
            Ok(reader) => reader.sha256().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match digest {
            Ok(digest) if digest == chunk.sha256 => {}
            Ok(_) => return Ok(Err(format!("output {} was changed", chunk.id))),
            Err(why) => return Ok(Err(format!("output {}: {why}", chunk.id))),
        }
    }
    Ok(Ok(()))
}
