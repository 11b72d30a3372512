//! Saying something to an attempt that waits for it, and going on with it here.

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::AttemptRef;
use quire_domain::task::{Task, Turn};
use quire_store::{InputKind, NewInput, Submission};

use crate::commands::go::work;
use crate::commands::task::told;
use crate::exit::Exit;
use crate::installation::Installation;
use crate::show;

/// Whom something is said to.
pub struct Spoken {
    /// Its task.
    pub task: Task,
    /// The newest turn of it.
    pub turn: Turn,
    /// The attempt.
    pub attempt: Attempt,
}

/// The attempt that is meant: the one that is named, else the one of the newest turn that stands
/// there, else the first.
pub async fn to(
    installation: &Installation,
    name: AttemptRef,
    there: &AttemptState,
) -> anyhow::Result<Spoken> {
    let store = &installation.worker.store;
    let task = store.task(name.task).await.map_err(told)?;
    let turn = store.turns(task.id).await.map_err(told)?.pop();
    let turn = turn.ok_or_else(|| anyhow::anyhow!("task {} has no turn", task.number))?;
    let attempts = store.attempts(turn.id).await.map_err(told)?;
    let meant = |attempt: &&Attempt| match name.ordinal {
        Some(ordinal) => attempt.ordinal == ordinal,
        None => attempt.state == *there,
    };
    let attempt = match (attempts.iter().find(meant), attempts.first(), name.ordinal) {
        (Some(attempt), _, _) | (None, Some(attempt), None) => attempt.clone(),
        _ => store.attempt(name).await.map_err(told)?,
    };
    Ok(Spoken { task, turn, attempt })
}

impl Spoken {
    /// Writes down what is said.
    ///
    /// # Errors
    ///
    /// The attempt does not stand where that can be said; the words say what is possible instead.
    pub async fn put(&self, installation: &Installation, kind: InputKind) -> anyhow::Result<()> {
        let worker = &installation.worker;
        let attempt = Some(self.attempt.id);
        let input = NewInput { task: self.task.id, attempt, kind, now: worker.clock.now() };
        worker.store.put_input(input).await.map(|_| ()).map_err(told)
    }

    /// Whether a server works on it, which then goes on with it by itself.
    pub async fn is_of_server(&self, installation: &Installation) -> anyhow::Result<bool> {
        let is = installation.worker.store.is_of_server(self.attempt.id).await.map_err(told)?;
        if is {
            let number = self.task.number;
            show::err(&format!("task {number} goes on when `quire serve` has room for it"));
        }
        Ok(is)
    }
}

/// Goes on with an attempt that was spoken to.
pub async fn go_on(
    installation: &Installation,
    spoken: Spoken,
    json: bool,
) -> anyhow::Result<Exit> {
    if spoken.is_of_server(installation).await? {
        return Ok(Exit::Done);
    }
    installation.needs_sandbox()?;
    let resolved = installation.models.resolve(Some(&spoken.turn.request.model)).await?;
    let Spoken { task, turn, attempt } = spoken;
    let submission =
        Submission { task, turn, attempts: vec![attempt], continues: None, repeated: false };
    work(installation, &submission, None, json, resolved.info.scripted).await
}
