//! A command that runs: its output is written down as it comes, whoever waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quire_domain::event::{CommandFinished, EndedBy, EventBody};
use quire_domain::ids::{CallId, ChunkId};
use quire_domain::journal::{ChunkSize, ChunkWriter, Journal, JournalError, Live};
use quire_domain::sandbox::{
    CommandControl, CommandEvent, CommandOutput, CommandSignal, ExitStatus, SandboxError,
    StartedCommand,
};
use quire_domain::time::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::observation::{Standing, header, observation};
use crate::screen::Screen;

/// How much of one piece of output is shown live.
const LIVE_BYTES: usize = 4_096;
/// How long a killed command may take to end before its output is closed without it.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// Takes locks whose holders cannot leave them half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The commands an attempt has started, and what is still to be recorded of those that ended.
pub struct Sessions {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    observation_bytes: usize,
    running: Mutex<Vec<Arc<Session>>>,
    /// What the pumps leave for the next append.
    ended: Arc<Mutex<Ended>>,
}

#[derive(Default)]
struct Ended {
    events: Vec<EventBody>,
    fault: Option<JournalError>,
}

/// What a session is of.
pub struct SessionOf {
    /// The call that started it.
    pub call: CallId,
    /// What `bash -c` was given.
    pub command: String,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// One command.
pub struct Session {
    /// Its output, and its name to the model.
    pub chunk: ChunkId,
    /// What it is.
    pub of: SessionOf,
    /// How to act on it.
    pub control: Arc<dyn CommandControl>,
    started: Timestamp,
    state: Mutex<State>,
    /// Cancelled when it has ended and its chunk is closed.
    over: CancellationToken,
    /// Asks the pump to close the chunk without waiting for the command.
    let_go: CancellationToken,
}

struct State {
    screen: Screen,
    size: ChunkSize,
    not_kept: Option<(u64, u64)>,
    exit: Option<ExitStatus>,
    ended_by: Option<EndedBy>,
    /// Why the sandbox ended under it.
    gone: Option<SandboxError>,
    ms: u64,
}

impl Sessions {
    /// None yet.
    pub fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, observation_bytes: usize) -> Self {
        Self { journal, clock, observation_bytes, running: Mutex::default(), ended: Arc::default() }
    }

    /// Takes over a command that was started, and its chunk.
    pub fn adopt(
        &self,
        of: SessionOf,
        started: StartedCommand,
        writer: Box<dyn ChunkWriter>,
    ) -> Arc<Session> {
        self.journal.runs(writer.id(), started.number);
        let session = Arc::new(Session {
            chunk: writer.id().clone(),
            of,
            control: started.control,
            started: self.clock.now(),
            state: Mutex::new(State {
                screen: Screen::new(self.observation_bytes, 1),
                size: ChunkSize::default(),
                not_kept: None,
                exit: None,
                ended_by: None,
                gone: None,
                ms: 0,
            }),
            over: CancellationToken::new(),
            let_go: CancellationToken::new(),
        });
        lock(&self.running).push(session.clone());
        let pump = Pump {
            session: session.clone(),
            journal: self.journal.clone(),
            clock: self.clock.clone(),
            ended: self.ended.clone(),
        };
        tokio::spawn(pump.run(started.output, writer));
        session
    }

    /// Closes the chunk of a command that could not be started.
    pub async fn never_started(&self, writer: Box<dyn ChunkWriter>) -> Result<(), JournalError> {
        let chunk = writer.finish().await?;
        let finished =
            CommandFinished { chunk, exit: ExitStatus::Code(127), ms: 0, ended_by: None };
        lock(&self.ended).events.push(EventBody::CommandFinished(finished));
        Ok(())
    }

    /// The running command of that name.
    pub fn find(&self, chunk: &str) -> Option<Arc<Session>> {
        lock(&self.running).iter().find(|session| session.chunk.as_str() == chunk).cloned()
    }

    /// Those that have not ended, oldest first.
    pub fn running(&self) -> Vec<Arc<Session>> {
        lock(&self.running).iter().filter(|session| !session.is_over()).cloned().collect()
    }

    /// What happened since it was last asked: to be recorded with the next append.
    pub fn take_events(&self) -> Result<Vec<EventBody>, JournalError> {
        let mut ended = lock(&self.ended);
        if let Some(fault) = ended.fault.take() {
            return Err(fault);
        }
        Ok(std::mem::take(&mut ended.events))
    }

    /// Forgets a command whose end the model has seen.
    pub fn forget(&self, session: &Session) {
        lock(&self.running).retain(|other| other.chunk != session.chunk);
    }

    /// Ends all that still runs, within seconds. Their ends are in [`Self::take_events`] then.
    pub async fn end_all(&self) {
        let running = self.running();
        let ends = running.iter().map(|session| session.end(EndedBy::AttemptEnd));
        futures::future::join_all(ends).await;
    }
}

impl Session {
    /// Whether it has ended and its chunk is closed.
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits until it is over.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Sends a signal for the model. What comes of it shows in how the command goes on.
    pub async fn signal(&self, signal: CommandSignal) {
        lock(&self.state).ended_by = Some(EndedBy::Model);
        let _ = self.control.signal(signal).await;
    }

    /// Kills it and waits until its chunk is closed, about a second at most.
    pub async fn end(&self, by: EndedBy) {
        if self.is_over() {
            return;
        }
        lock(&self.state).ended_by = Some(by);
        let killed = async {
            // Where the signal cannot be sent the sandbox is gone, and so is the command.
            let _ = self.control.signal(CommandSignal::Kill).await;
            self.over().await;
        };
        if tokio::time::timeout(KILL_WAIT, killed).await.is_err() {
            self.let_go.cancel();
            let _ = tokio::time::timeout(KILL_WAIT, self.over()).await;
        }
    }

    /// Why the sandbox ended under it, if it did. Gives it once.
    pub fn take_gone(&self) -> Option<SandboxError> {
        lock(&self.state).gone.take()
    }

    /// What the model is shown of it now: all it printed since it was last shown.
    pub fn observe(&self, now: Timestamp) -> String {
        let mut state = lock(&self.state);
        let (standing, ms) = match state.exit {
            Some(exit) => (Standing::Ended { exit, by: state.ended_by }, state.ms),
            None => (Standing::Running, now.millis_since(self.started)),
        };
        let first_line = header(&self.chunk, standing, ms, state.size, state.not_kept);
        let next = state.screen.following();
        let shown = std::mem::replace(&mut state.screen, next);
        drop(state);
        observation(first_line, &shown)
    }
}

/// Moves a command's output into its chunk.
struct Pump {
    session: Arc<Session>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    ended: Arc<Mutex<Ended>>,
}

impl Pump {
    async fn run(self, output: Box<dyn CommandOutput>, writer: Box<dyn ChunkWriter>) {
        if let Err(fault) = self.pump(output, writer).await {
            lock(&self.ended).fault = Some(fault);
            // Nothing it prints can be kept any more.
            let _ = self.session.control.signal(CommandSignal::Kill).await;
        }
        self.session.over.cancel();
    }

    async fn pump(
        &self,
        mut output: Box<dyn CommandOutput>,
        mut writer: Box<dyn ChunkWriter>,
    ) -> Result<(), JournalError> {
        let exit = loop {
            let next = tokio::select! {
                next = output.next() => next,
                () = self.session.let_go.cancelled() => break ExitStatus::Signal(9),
            };
            match next {
                Ok(CommandEvent::Output(bytes) | CommandEvent::Error(bytes)) => {
                    writer.write(&bytes).await?;
                    self.recorded(writer.recorded().unwrap_or(&bytes), writer.so_far());
                }
                Ok(CommandEvent::Exited(exit)) => break exit,
                Err(gone) => {
                    let mut state = lock(&self.session.state);
                    let idle = matches!(gone, SandboxError::Idle { .. });
                    let by = if idle { EndedBy::Idle } else { EndedBy::SandboxGone };
                    state.ended_by.get_or_insert(by);
                    state.gone = Some(gone);
                    break ExitStatus::Signal(9);
                }
            }
        };
        let ms = self.clock.now().millis_since(self.session.started);
        // A part of its record: the model, the person and a citation then see the same.
        for met in output.limits_met() {
            let line = met.line();
            writer.write(line.as_bytes()).await?;
            self.recorded(writer.recorded().unwrap_or(line.as_bytes()), writer.so_far());
        }
        writer.settle().await?;
        self.recorded(writer.recorded().unwrap_or_default(), writer.so_far());
        let chunk = writer.finish().await?;
        let mut state = lock(&self.session.state);
        state.exit = Some(exit);
        state.ms = ms;
        state.size = chunk.size;
        state.not_kept = chunk.not_kept;
        if exit.success() {
            // It took the signal and ended well by itself, or did not notice it.
            state.ended_by = None;
        }
        let ended_by = state.ended_by;
        drop(state);
        let finished = CommandFinished { chunk, exit, ms, ended_by };
        lock(&self.ended).events.push(EventBody::CommandFinished(finished));
        Ok(())
    }

    /// Shows the model and the person what was recorded, and nothing else.
    fn recorded(&self, bytes: &[u8], size: ChunkSize) {
        let mut state = lock(&self.session.state);
        state.screen.push(bytes);
        state.size = size;
        drop(state);
        if !bytes.is_empty() {
            self.show(bytes);
        }
    }

    fn show(&self, bytes: &[u8]) {
        self.journal.live(Live::Output {
            chunk: self.session.chunk.clone(),
            call_id: Some(self.session.of.call.clone()),
            text: String::from_utf8_lossy(&bytes[..bytes.len().min(LIVE_BYTES)]).into_owned(),
        });
    }
}
