//! Services of an environment: processes that are started before the agent and end with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quire_domain::environment::ServiceSpec;
use quire_domain::event::{CommandFinished, CommandPurpose, CommandStarted, EndedBy, EventBody};
use quire_domain::ids::ChunkId;
use quire_domain::journal::{ChunkWriter, Journal, JournalError};
use quire_domain::sandbox::{
    Command, CommandControl, CommandEvent, CommandIo, CommandOutput, CommandSignal, ExitStatus,
    Sandbox, SandboxError,
};
use quire_domain::time::Clock;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::recorder::Recorder;
use crate::way_out::WayOut;
use crate::way_out::behind::Behind;

/// How long is waited between two looks at whether a service is ready.
const LOOK: Duration = Duration::from_millis(100);

/// How long one look may take.
const LOOK_TIME: Duration = Duration::from_secs(10);

/// How long a service has to end after it was asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// Lines of a service's output that are shown where it fails.
const LINES: u64 = 12;

/// Bytes of them.
const LINES_BYTES: usize = 4 << 10;

/// Bytes of what a look printed that are shown.
const LOOK_BYTES: usize = 500;

/// Characters of a service's command that a model is told.
const COMMAND_CHARACTERS: usize = 2_000;

/// Why a service does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It ended before it was ready.
    #[error(
        "the service `{name}` ended with {} before it was ready{} [{chunk}]{last}",
        words(*exit),
        foreground(*exit)
    )]
    Ended {
        /// Which.
        name: String,
        /// How.
        exit: ExitStatus,
        /// Its output.
        chunk: ChunkId,
        /// Its last lines.
        last: String,
    },
    /// It was not ready in time.
    #[error("the service `{name}` was not ready within {seconds} s [{chunk}]{last}{looked}")]
    NotReady {
        /// Which.
        name: String,
        /// How long it was given.
        seconds: u32,
        /// Its output.
        chunk: ChunkId,
        /// Its last lines.
        last: String,
        /// What its `ready` said last.
        looked: String,
    },
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The record.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The services of one sandbox.
pub struct Services {
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    workdir: String,
    specs: Vec<ServiceSpec>,
    running: Mutex<Vec<Running>>,
    /// Told of each that is started, where the sandbox has a way out.
    behind: Option<Arc<Behind>>,
}

struct Running {
    name: String,
    state: Arc<State>,
    control: Arc<dyn CommandControl>,
    pump: JoinHandle<()>,
}

struct State {
    chunk: ChunkId,
    exit: Mutex<Option<ExitStatus>>,
    /// Whether it is we who end it, or its end was told.
    ending: AtomicBool,
}

impl State {
    fn exit(&self) -> Option<ExitStatus> {
        *self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Services {
    /// Those of an environment; none of them runs yet.
    pub fn new(
        recorder: Arc<Recorder>,
        clock: Arc<dyn Clock>,
        workdir: String,
        specs: Vec<ServiceSpec>,
    ) -> Self {
        Self { recorder, clock, workdir, specs, running: Mutex::default(), behind: None }
    }

    /// The same, in a sandbox with this way out: what they ask for is told as theirs.
    #[must_use]
    pub fn behind(mut self, way_out: Option<&WayOut>) -> Self {
        self.behind = way_out.map(|way_out| Arc::clone(way_out.behind()));
        self
    }

    /// Starts those that do not run, one after the other, each when the one before it is ready.
    pub async fn ensure(&self, sandbox: &dyn Sandbox) -> Result<(), ServiceError> {
        for spec in &self.specs {
            if !self.runs(&spec.name) {
                self.start(sandbox, spec).await?;
            }
        }
        Ok(())
    }

    /// Ends them all, and waits until that is recorded.
    pub async fn end(&self) {
        let running =
            std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        // The last that was started goes first.
        for Running { state, control, mut pump, .. } in running.into_iter().rev() {
            state.ending.store(true, Ordering::Relaxed);
            for signal in [CommandSignal::Terminate, CommandSignal::Kill] {
                let _ = control.signal(signal).await;
                if tokio::time::timeout(GRACE, &mut pump).await.is_ok() {
                    break;
                }
            }
            pump.abort();
        }
    }

    fn runs(&self, name: &str) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().any(|one| one.name == name && one.state.exit().is_none())
    }

    async fn start(&self, sandbox: &dyn Sandbox, spec: &ServiceSpec) -> Result<(), ServiceError> {
        let chunk = self.recorder.open_chunk().await?;
        let id = chunk.id().clone();
        let begun = EventBody::CommandStarted(CommandStarted {
            chunk: id.clone(),
            purpose: CommandPurpose::Service(spec.name.clone()),
            command: spec.command.clone(),
            workdir: self.workdir.clone(),
            terminal: false,
        });
        self.recorder.append(vec![begun]).await?;
        let started = sandbox.start(command(&spec.command)).await;
        let state = Arc::new(State {
            chunk: id.clone(),
            exit: Mutex::new(None),
            ending: AtomicBool::new(false),
        });
        let started = match started {
            Ok(started) => started,
            Err(error) => {
                let exit = ExitStatus::Signal(9);
                finish(&self.recorder, chunk, exit, 0, Some(EndedBy::SandboxGone)).await?;
                return Err(error.into());
            }
        };
        if let Some(behind) = &self.behind {
            behind.runs(started.number, &id);
        }
        let pump = Pump {
            recorder: Arc::clone(&self.recorder),
            clock: Arc::clone(&self.clock),
            state: Arc::clone(&state),
        };
        let running = Running {
            name: spec.name.clone(),
            state: Arc::clone(&state),
            control: started.control,
            pump: tokio::spawn(pump.run(started.output, chunk)),
        };
        {
            let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|one| one.name != spec.name);
            all.push(running);
        }
        self.until_ready(sandbox, spec, &state).await
    }

    async fn until_ready(
        &self,
        sandbox: &dyn Sandbox,
        spec: &ServiceSpec,
        state: &State,
    ) -> Result<(), ServiceError> {
        let name = spec.name.clone();
        let chunk = state.chunk.clone();
        let deadline = Instant::now() + Duration::from_secs(spec.ready_within_s.into());
        let mut looked = String::new();
        loop {
            if let Some(exit) = state.exit() {
                // It is said here, and to nobody else.
                state.ending.store(true, Ordering::Relaxed);
                let last = last_lines(&self.recorder, &chunk).await;
                return Err(ServiceError::Ended { name, exit, chunk, last });
            }
            let Some(ready) = &spec.ready else { return Ok(()) };
            match tokio::time::timeout_at(deadline, look(sandbox, ready)).await {
                Ok(Ok(Look::Ready)) => return Ok(()),
                Ok(Ok(Look::NotYet(words))) => looked = words,
                Ok(Err(error)) => return Err(error.into()),
                Err(_) if looked.is_empty() => looked.push_str("it did not end"),
                // What it said before tells more.
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                let last = last_lines(&self.recorder, &chunk).await;
                let seconds = spec.ready_within_s;
                let looked = format!("\n  its `ready` said last: {looked}");
                return Err(ServiceError::NotReady { name, seconds, chunk, last, looked });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What a model should know: which of them ended by themselves, each told once.
    pub async fn news(&self) -> Vec<String> {
        let ended: Vec<(String, ExitStatus, ChunkId)> = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = running.iter().filter_map(|one| {
                let exit = one.state.exit()?;
                // Whoever ended it knows, and nothing is told twice.
                let told = one.state.ending.swap(true, Ordering::Relaxed);
                (!told).then(|| (one.name.clone(), exit, one.state.chunk.clone()))
            });
            ended.collect()
        };
        let mut news = Vec::new();
        for (name, exit, chunk) in ended {
            let last = last_lines(&self.recorder, &chunk).await;
            let specs = self.specs.iter().filter(|spec| spec.name == name);
            let command: String = specs.flat_map(|spec| spec.command.trim().chars()).collect();
            let command: String = command.chars().take(COMMAND_CHARACTERS).collect();
            news.push(format!(
                "The service `{name}` has ended with {} [{chunk}]{last}\nNothing starts it again \
                 but you; it was started by:\n{command}",
                words(exit),
            ));
        }
        news
    }
}

/// The last lines of a service's output, for a sentence that ends before them.
async fn last_lines(recorder: &Recorder, chunk: &ChunkId) -> String {
    let Ok(reader) = recorder.chunk(chunk).await else { return String::new() };
    let lines = reader.size().lines;
    let first = lines.saturating_sub(LINES - 1).max(1);
    let Ok(bytes) = reader.lines(first, lines.max(1), LINES_BYTES).await else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let text: Vec<String> = text.lines().map(|line| line.replace(char::is_control, " ")).collect();
    if text.is_empty() {
        "; it printed nothing".to_owned()
    } else {
        format!(":\n  {}", text.join("\n  "))
    }
}

fn words(exit: ExitStatus) -> String {
    match exit {
        ExitStatus::Code(code) => format!("exit status {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal}"),
    }
}

/// What one who starts a daemon has to know.
fn foreground(exit: ExitStatus) -> &'static str {
    if exit.success() {
        "; it has to stay in the foreground: no `&`, no option that makes it a daemon"
    } else {
        ""
    }
}

/// Takes down what a service prints until it ends.
struct Pump {
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
}

impl Pump {
    async fn run(self, mut output: Box<dyn CommandOutput>, mut chunk: Box<dyn ChunkWriter>) {
        let started = self.clock.now();
        let (exit, gone) = loop {
            match output.next().await {
                Ok(CommandEvent::Output(bytes) | CommandEvent::Error(bytes)) => {
                    // A broken record shows at the attempt's own next write.
                    if chunk.write(&bytes).await.is_err() {
                        break (ExitStatus::Signal(9), true);
                    }
                }
                Ok(CommandEvent::Exited(exit)) => break (exit, false),
                Err(error) => {
                    if error.limit_key().is_some() {
                        let _ = chunk.write(format!("\n[{error}]\n").as_bytes()).await;
                    }
                    break (ExitStatus::Signal(9), true);
                }
            }
        };
        for met in output.limits_met() {
            let _ = chunk.write(met.line().as_bytes()).await;
        }
        let ms = self.clock.now().millis_since(started);
        let ended_by = match (self.state.ending.load(Ordering::Relaxed), gone) {
            (true, _) => Some(EndedBy::AttemptEnd),
            (false, true) => Some(EndedBy::SandboxGone),
            (false, false) => None,
        };
        let _ = finish(&self.recorder, chunk, exit, ms, ended_by).await;
        *self.state.exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit);
    }
}

async fn finish(
    recorder: &Recorder,
    chunk: Box<dyn ChunkWriter>,
    exit: ExitStatus,
    ms: u64,
    ended_by: Option<EndedBy>,
) -> Result<(), JournalError> {
    let chunk = chunk.finish().await?;
    let finished = CommandFinished { chunk, exit, ms, ended_by };
    recorder.append(vec![EventBody::CommandFinished(finished)]).await?;
    Ok(())
}

/// What a look said.
enum Look {
    Ready,
    /// Its last words.
    NotYet(String),
}

/// Runs the command that says whether a service is ready.
async fn look(sandbox: &dyn Sandbox, ready: &str) -> Result<Look, SandboxError> {
    let mut started = sandbox.start(command(ready)).await?;
    let mut said = Vec::new();
    let ended = async {
        loop {
            match started.output.next().await? {
                CommandEvent::Exited(exit) => return Ok::<_, SandboxError>(exit),
                CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                    said.extend_from_slice(&bytes);
                    said.drain(..said.len().saturating_sub(LOOK_BYTES));
                }
            }
        }
    };
    let ended = tokio::time::timeout(LOOK_TIME, ended).await;
    let text = String::from_utf8_lossy(&said);
    let text = text.trim().replace(char::is_control, " ");
    let Ok(exit) = ended else {
        started.control.signal(CommandSignal::Kill).await?;
        return Ok(Look::NotYet(format!("it did not end within {} s", LOOK_TIME.as_secs())));
    };
    Ok(match exit? {
        exit if exit.success() => Look::Ready,
        exit if text.is_empty() => Look::NotYet(format!("nothing, {}", words(exit))),
        _ => Look::NotYet(text),
    })
}

fn command(text: &str) -> Command {
    Command {
        argv: ["bash", "-c", text].map(str::to_owned).to_vec(),
        env: std::collections::BTreeMap::new(),
        workdir: None,
        io: CommandIo::Output,
    }
}
