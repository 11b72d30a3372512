//! The driver: asks what is next, performs it, records it, and asks again.
//!
//! What happened is noted at once in the transcript and in an outbox; the outbox goes to the
//! journal in one append before the next thing begins that cannot be taken back. That is twice
//! per model turn: the reply with the commands it starts, and their results with the next
//! request.

mod answer;
mod ask;
mod calls;
mod compact;
mod resume;
mod wait;

use std::sync::Arc;

use quire_domain::attempt::{FailureKind, SuspendReason};
use quire_domain::budget::Spent;
use quire_domain::event::{
    EventBody, Interrupted, InterruptedWhat, QuestionAsked, Suspended, Waiting,
};
use quire_domain::ids::Sha256;
use quire_domain::journal::{ChunkWriter, JournalError};
use quire_domain::model::ToolSpec;
use quire_domain::sandbox::{Sandbox, SandboxError};
use quire_domain::time::Timestamp;
use sha2::Digest;

use crate::changes::ChangeWatch;
use crate::contracts::ContractError;
use crate::instructions::Instructions;
use crate::next_step::{Limits, Step, next_step};
use crate::output::Form;
use crate::prompts;
use crate::run::{AgentError, AttemptRun, End};
use crate::session::Sessions;
use crate::tools::{Declined, Place, PreparedCall, Toolbox};
use crate::transcript::Transcript;

/// Why a step was not carried through.
enum Halt {
    /// The attempt ends this way.
    End(End),
    /// Nothing more can be recorded.
    Agent(AgentError),
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Self {
        Self::Agent(error.into())
    }
}

impl From<SandboxError> for Halt {
    fn from(error: SandboxError) -> Self {
        if error.is_host_disk_full() {
            return JournalError::DiskFull.into();
        }
        let kind = match error {
            SandboxError::DiskFull => FailureKind::DiskFull,
            _ => FailureKind::SandboxFailed,
        };
        Self::End(End::Failed { kind, detail: in_words(&error) })
    }
}

impl From<ContractError> for Halt {
    fn from(error: ContractError) -> Self {
        match error {
            ContractError::Sandbox(error) => error.into(),
            ContractError::DiskFull => JournalError::DiskFull.into(),
            error @ ContractError::Other(_) => Self::End(End::Failed {
                kind: FailureKind::Infrastructure,
                detail: in_words(&error),
            }),
        }
    }
}

/// An error and its causes.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = error.source();
    }
    words
}

/// A call that was read, and the chunk of the command it starts.
struct Ready {
    prepared: Result<Box<dyn PreparedCall>, Declined>,
    chunk: Option<Box<dyn ChunkWriter>>,
}

impl Ready {
    /// What it asks the person.
    fn question(&self) -> Option<&QuestionAsked> {
        self.prepared.as_ref().ok().and_then(|prepared| prepared.question())
    }
}

/// One run of the loop.
pub struct Driver {
    attempt: AttemptRun,
    transcript: Transcript,
    outbox: Vec<EventBody>,
    sessions: Sessions,
    toolbox: Toolbox,
    instructions: Instructions,
    watch: ChangeWatch,
    /// Whether an earlier run of the loop may have left changes behind.
    resumed: bool,
    /// The calls of the last reply, in order.
    ready: Vec<Ready>,
    place: Place,
    system: String,
    specs: Vec<ToolSpec>,
    preamble: Sha256,
    /// The sandbox, once it was used.
    used_sandbox: Option<Arc<dyn Sandbox>>,
    started: Timestamp,
    /// Time at work in earlier runs.
    worked_ms: u64,
    /// Why it stands still, in full, where a reason alone does not say it all.
    stands: Option<Suspended>,
    /// What the answer has to be, where that was said.
    form: Option<Form>,
    /// When an earlier run asked the question that is open.
    asked_at: Option<Timestamp>,
}

impl Driver {
    /// Reads the log and drives the attempt to its end.
    pub async fn drive(mut attempt: AttemptRun) -> Result<End, AgentError> {
        let own = attempt.journal.events().await?;
        // The logs are not kept: what matters of them is in the transcript.
        let mut transcript = Transcript::of(&std::mem::take(&mut attempt.earlier));
        for event in &own {
            transcript.push(&event.body);
        }
        if !own.iter().any(|event| matches!(event.body, EventBody::Submitted(_))) {
            return Err(AgentError::NoRequest);
        }
        let survey = Instructions::survey(
            attempt.instructions.clone(),
            &attempt.settings.instruction_fallbacks,
        );
        let instructions = match survey.await.map_err(Halt::from) {
            Ok(instructions) => instructions,
            Err(Halt::End(end)) => return Ok(end),
            Err(Halt::Agent(error)) => return Err(error),
        };
        let toolbox = Toolbox::new(&attempt.request, attempt.model.info(), &attempt.settings);
        let (system, specs) = (prompts::system(&attempt.request), toolbox.specs());
        let form = match attempt.request.output_schema.as_deref().map(Form::read).transpose() {
            Ok(form) => form,
            Err(why) => {
                // It was read before it was written down.
                let detail = format!("the schema of the answer cannot be used: {why}");
                return Ok(End::Failed { kind: FailureKind::Infrastructure, detail });
            }
        };
        let workdir = match &attempt.start_dir {
            Some(dir) => attempt.workspace.join(dir.as_str()),
            None => attempt.workspace.clone(),
        };
        let mut driver = Self {
            sessions: Sessions::new(
                attempt.journal.clone(),
                attempt.clock.clone(),
                attempt.settings.observation_bytes,
            ),
            toolbox,
            instructions,
            watch: ChangeWatch::new(&attempt.settings.overlay),
            resumed: own.iter().any(|event| matches!(event.body, EventBody::ModelReplied(_))),
            ready: Vec::new(),
            place: Place { workspace: attempt.workspace.clone(), workdir },
            preamble: preamble(&system, &specs),
            system,
            specs,
            used_sandbox: None,
            started: attempt.clock.now(),
            worked_ms: transcript.spent().wall_ms,
            asked_at: wait::asked_at(&own),
            form,
            transcript,
            outbox: Vec::new(),
            stands: None,
            attempt,
        };
        driver.take_up(&own);
        drop(own);
        let end = driver.work().await;
        driver.close(end).await
    }

    /// Step by step, until one is the end.
    async fn work(&mut self) -> Halt {
        loop {
            if self.attempt.cancel.is_cancelled() {
                return Halt::End(End::Cancelled);
            }
            let step = next_step(&self.transcript, &self.limits());
            let done = match step {
                Step::Start => self.tell_start().await,
                Step::AskModel => self.ask_model().await,
                Step::RunTools(calls) => self.run_calls(calls).await,
                Step::Compact => self.compact().await,
                Step::Gate(answer) => self.look_at(answer).await,
                Step::Wait(awaits) => self.wait(awaits).await,
                Step::Approved => Err(Halt::End(End::Approved)),
                Step::Suspend(reason) => Err(Halt::End(End::Suspended(reason))),
                Step::Refuse(words) => Err(Halt::End(End::Refused(words))),
                Step::Fail { kind, detail } => Err(Halt::End(End::Failed { kind, detail })),
            };
            if let Err(halt) = done {
                return halt;
            }
        }
    }

    /// Ends what runs, records what is left to record.
    async fn close(mut self, halt: Halt) -> Result<End, AgentError> {
        for ready in std::mem::take(&mut self.ready) {
            if let Some(chunk) = ready.chunk {
                // The first error is the one to report.
                let _ = self.sessions.never_started(chunk).await;
            }
        }
        self.sessions.end_all().await;
        let end = match halt {
            Halt::End(End::Cancelled) => match self.attempt.inputs.stand_still() {
                Some(reason) => End::Suspended(reason),
                None => End::Cancelled,
            },
            Halt::End(end) => end,
            Halt::Agent(error) => return Err(error),
        };
        match &end {
            // Another worker goes on with it: nothing happened that a person should see.
            End::Suspended(SuspendReason::WorkerLost) => self.drain_sessions()?,
            End::Suspended(reason) => {
                self.drain_sessions()?;
                let stands = self.stands.take().filter(|stands| stands.reason == *reason);
                let stands = stands.unwrap_or_else(|| Suspended::of(*reason));
                self.record(EventBody::Suspended(stands));
            }
            End::Cancelled => {
                self.drain_sessions()?;
                let what = InterruptedWhat::ByPerson;
                self.record(EventBody::Interrupted(Interrupted { what }));
            }
            End::Waiting(awaits) => {
                self.drain_sessions()?;
                let after = self.attempt.inputs.newest();
                self.record(EventBody::Waiting(Waiting { awaits: *awaits, after }));
            }
            End::Finished { .. } | End::Approved | End::Refused(_) | End::Failed { .. } => {}
        }
        self.flush().await?;
        Ok(end)
    }

    /// Before the first request: the instructions that hold where the work starts.
    async fn tell_start(&mut self) -> Result<(), Halt> {
        let facts = prompts::facts(
            &self.attempt.workspace,
            self.attempt.start_dir.as_ref(),
            self.attempt.branch.as_deref(),
            &self.attempt.settings.facts,
        );
        let loaded = self.instructions.start(facts, self.attempt.start_dir.as_ref()).await?;
        self.record(EventBody::InstructionsLoaded(loaded));
        Ok(())
    }

    /// Notes what happened: on disk with the next append.
    fn record(&mut self, body: EventBody) {
        let body = self.attempt.journal.recordable(body);
        self.transcript.push(&body);
        self.outbox.push(body);
    }

    /// Notes what the running commands left.
    fn drain_sessions(&mut self) -> Result<(), JournalError> {
        for body in self.sessions.take_events()? {
            self.record(body);
        }
        Ok(())
    }

    /// Everything noted so far is on disk when it returns.
    async fn flush(&mut self) -> Result<(), JournalError> {
        self.drain_sessions()?;
        if !self.outbox.is_empty() {
            self.attempt.journal.append(std::mem::take(&mut self.outbox)).await?;
        }
        Ok(())
    }

    /// What the attempt has spent, over all its runs, time at work included.
    fn spent(&self) -> Spent {
        let now = self.attempt.clock.now().millis_since(self.started);
        Spent { wall_ms: self.worked_ms + now, ..self.transcript.spent() }
    }

    fn limits(&self) -> Limits {
        let info = self.attempt.model.info();
        Limits {
            budget: self.attempt.purse.reached(&self.spent()),
            stand_still: self.attempt.inputs.stand_still(),
            model_calls: self.attempt.settings.model_calls,
            window_tokens: info.window_tokens,
            max_output_tokens: info.max_output_tokens,
        }
    }
}

/// The digest of instructions and tools.
fn preamble(system: &str, specs: &[ToolSpec]) -> Sha256 {
    let mut hasher = sha2::Sha256::new();
    hasher.update(system.as_bytes());
    for spec in specs {
        // Strings and maps with string keys cannot fail to serialise.
        hasher.update(serde_json::to_vec(spec).unwrap_or_default());
    }
    Sha256::from_bytes(&hasher.finalize().into())
}
