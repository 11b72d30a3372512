//! The calls of a reply: run in order, answered, and what they touched.

use std::time::{Duration, Instant};

use quire_domain::event::{EventBody, InstructionsAt, ToolAnswered};
use quire_domain::ids::CallId;
use quire_domain::transcript::{Part, ToolCall};

use super::{Driver, Halt, Ready};
use crate::instructions::touched;
use crate::run::End;
use crate::tools::{Answer, Desk, ToolError};

/// Answers of one reply wait this long for the next request before they are written down.
const WRITE_AFTER: Duration = Duration::from_secs(1);

impl Driver {
    /// Runs the open calls in order.
    pub(super) async fn run_calls(&mut self, calls: Vec<ToolCall>) -> Result<(), Halt> {
        let mut ready = std::mem::take(&mut self.ready).into_iter();
        let mut written = Instant::now();
        for call in calls {
            // A long batch is shown, and would survive a death, as it goes.
            if written.elapsed() > WRITE_AFTER {
                self.flush().await?;
                written = Instant::now();
            }
            let Some(next) = ready.next() else { break };
            if let Some(question) = next.question() {
                self.ask_person(question.clone());
                continue;
            }
            let acts = next.chunk.is_some() || call.name == "write_stdin";
            if acts && self.resumed {
                self.know_what_is_there().await?;
            }
            let mut answer = match self.run_call(next).await {
                Ok(answer) => answer,
                Err(halt) => {
                    // Those that were not begun are closed with the attempt.
                    self.ready = ready.collect();
                    return Err(halt);
                }
            };
            if acts {
                let news = self.attempt.sandbox.news().await.into_iter();
                answer.parts.extend(news.map(Part::text));
            }
            self.answered(&call, answer)?;
            if !self.instructions.is_empty() {
                let paths = touched::paths(&call, &self.place);
                self.show_instructions(&call.id, paths).await?;
            }
            if acts {
                self.note_changes(&call.id).await?;
            }
            if self.transcript.circles().found().is_some() {
                self.ready = ready.collect();
                return Ok(());
            }
        }
        Ok(())
    }

    async fn run_call(&mut self, ready: Ready) -> Result<Answer, Halt> {
        let desk = Desk {
            sandbox: self.attempt.sandbox.as_ref(),
            sessions: &self.sessions,
            journal: &self.attempt.journal,
            clock: &self.attempt.clock,
            place: &self.place,
            cancel: &self.attempt.cancel,
        };
        let answer = match ready.prepared {
            Ok(prepared) => prepared.run(&desk, ready.chunk).await,
            Err(declined) => Err(declined.into()),
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(ToolError::Declined(declined)) => Ok(declined.into()),
            Err(ToolError::Sandbox(error)) => Err(error.into()),
            Err(ToolError::Journal(error)) => Err(error.into()),
            Err(ToolError::Cancelled) => Err(Halt::End(End::Cancelled)),
        }
    }

    /// Notes an answer, with a word of warning where the loop goes round in circles.
    fn answered(&mut self, call: &ToolCall, answer: Answer) -> Result<(), Halt> {
        self.drain_sessions()?;
        let Answer { mut parts, ok, events } = answer;
        for event in events {
            if let EventBody::PatchApplied(applied) = &event {
                for file in &applied.files {
                    self.watch.patched(&file.path);
                    file.from.iter().for_each(|from| self.watch.patched(from));
                }
            }
            self.record(event);
        }
        if let Some(note) = self.transcript.note_for(call, &parts, ok) {
            parts.push(Part::text(note));
        }
        let call_id = call.id.clone();
        self.record(EventBody::ToolAnswered(ToolAnswered { call_id, parts, ok }));
        Ok(())
    }

    /// Shows the instructions of what was touched for the first time, with this call's result.
    async fn show_instructions(&mut self, call: &CallId, paths: Vec<String>) -> Result<(), Halt> {
        let paths = paths.iter().map(String::as_str);
        let unseen = self.instructions.unseen(&self.transcript, paths);
        if !unseen.is_empty() {
            let at = InstructionsAt::Call(call.clone());
            let loaded = self.instructions.load(&unseen, at).await?;
            self.record(EventBody::InstructionsLoaded(loaded));
        }
        Ok(())
    }

    /// Notes which files a command changed: asked after each, so that it is known which one did.
    async fn note_changes(&mut self, call: &CallId) -> Result<(), Halt> {
        let sandbox = self.sandbox().await?;
        let workspace = &self.place.workspace;
        let Some(changed) = self.watch.changed(sandbox.as_ref(), workspace, call).await? else {
            return Ok(());
        };
        let paths = changed.paths.clone();
        self.record(EventBody::FilesChanged(changed));
        self.show_instructions(call, paths).await
    }

    /// Before the first command of a run that goes on: what is there is no change of its own.
    async fn know_what_is_there(&mut self) -> Result<(), Halt> {
        let sandbox = self.sandbox().await?;
        self.watch.start_here(sandbox.as_ref()).await?;
        self.resumed = false;
        Ok(())
    }

    async fn sandbox(
        &mut self,
    ) -> Result<std::sync::Arc<dyn quire_domain::sandbox::Sandbox>, Halt> {
        let sandbox = tokio::select! {
            biased;
            () = self.attempt.cancel.cancelled() => return Err(Halt::End(End::Cancelled)),
            sandbox = self.attempt.sandbox.sandbox() => sandbox?,
        };
        self.used_sandbox = Some(sandbox.clone());
        Ok(sandbox)
    }
}
