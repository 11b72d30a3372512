//! Making a snapshot: a script is run in a sandbox of its own, and what it wrote is frozen.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::event::EndedBy;
use quire_domain::journal::JournalError;
use quire_domain::sandbox::{
    Command, CommandControl, CommandEvent, CommandIo, CommandSignal, ExitStatus, Layer, LimitMet,
    Sandbox, SandboxBackend, SandboxError, SandboxSpec, SandboxUser, StartedCommand, Upper,
};
use quire_domain::time::Clock;
use tokio::time::Instant;

use super::clean::{CleanError, clean, quiet_git};
use super::kept::{Making, Snapshots};
use super::key::Key;
use super::left_running;
use super::manifest::Manifest;
use super::output::Tail;
use super::search::{SearchError, Values};
use super::{failing_line::watched, searched, variables};

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Setup, on nothing.
    Setup,
    /// Maintenance, on a snapshot.
    Maintenance,
}

impl What {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Maintenance => "maintenance",
        }
    }
}

/// Takes down what a script prints, as it prints it.
#[async_trait]
pub trait SetupLog: Send {
    /// The script is about to start.
    async fn begun(&mut self, script: &str) -> Result<(), JournalError>;

    /// It printed something.
    async fn output(&mut self, bytes: &[u8]) -> Result<(), JournalError>;

    /// What was taken down of the last output, where that is not what was printed: secrets are taken
    /// out, and an end that could be the beginning of one waits for more.
    fn recorded(&self) -> Option<&[u8]> {
        None
    }

    /// It ended. Called once after each [`Self::begun`].
    async fn ended(
        &mut self,
        exit: ExitStatus,
        ms: u64,
        ended_by: Option<EndedBy>,
    ) -> Result<(), JournalError>;
}

/// A snapshot to make.
pub struct Build<'a> {
    /// Makes the sandbox.
    pub sandboxes: &'a dyn SandboxBackend,
    /// Where it goes.
    pub snapshots: &'a Snapshots,
    /// The time.
    pub clock: &'a dyn Clock,
    /// What the sandbox is made from; its upper and user are filled in.
    pub spec: SandboxSpec,
    /// The overlay that holds the working tree.
    pub overlay: &'a str,
    /// The tracked files of the commit, sorted.
    pub tracked: &'a [String],
    /// The index of the commit's checkout: kept, so that what differs later can be told.
    pub index: &'a Path,
    /// What is run.
    pub what: What,
    /// Variables that it alone sees, secrets among them.
    pub env: BTreeMap<String, String>,
    /// What must not be in what is kept: it is searched for them, and nothing is kept that has one.
    pub values: Option<Arc<dyn Values>>,
    /// How long it may take.
    pub timeout: Duration,
    /// What is known of the result before it is made: `key`, `owner`, `environment`, `inputs`,
    /// `commit`, `script`, `lifetime_ms` and `below` are taken from it.
    pub manifest: Manifest,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The script ended with an error.
    #[error("{} ended with {}{}{}", what.as_str(), words(*exit), at_limits(met), last(tail))]
    Failed {
        /// What ran.
        what: What,
        /// How it ended.
        exit: ExitStatus,
        /// The limits that were met while it ran.
        met: Vec<LimitMet>,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It took too long.
    #[error("{} did not end within {} s{}{}", what.as_str(), limit.as_secs(), at_limits(met), last(tail))]
    TimedOut {
        /// What ran.
        what: What,
        /// How long it may take.
        limit: Duration,
        /// The limits that were met while it ran.
        met: Vec<LimitMet>,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It ended well and left something that cannot be used.
    #[error("{} left nothing that can be kept: {why}{}", what.as_str(), last(tail))]
    Unusable {
        /// What ran.
        what: What,
        /// Why.
        why: String,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// Its sandbox was ended at a limit, could not be made, or failed.
    #[error("{} in its sandbox: {source}{}", what.as_str(), last(tail))]
    Sandbox {
        /// What ran.
        what: What,
        /// What happened.
        source: SandboxError,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// The value of a secret is in what it wrote.
    #[error("{} left a secret in what it wrote, so nothing of it is kept: {}", what.as_str(), places.join("; "))]
    Leaked {
        /// What ran.
        what: What,
        /// Which secret is where: never its value.
        places: Vec<String>,
    },
    /// What it wrote cannot be searched for secrets.
    #[error("what {} wrote cannot be searched for secrets, so nothing of it is kept", what.as_str())]
    Unsearched {
        /// What ran.
        what: What,
        /// Why.
        source: SearchError,
    },
    /// Another took too long to make the same one.
    #[error("another task has been making the same snapshot for {} s", .0.as_secs())]
    Waited(Duration),
    /// The disk.
    #[error("cannot keep the snapshot")]
    Io(#[from] io::Error),
    /// The record.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Build<'_> {
    /// Runs the script and keeps what it wrote; gives the snapshot's name, and what holds it until
    /// it is dropped. Whatever happens, nothing half made is left under a name that is looked for.
    pub async fn run(self, log: &mut dyn SetupLog) -> Result<(String, Making), SetupError> {
        let making = self.snapshots.begin(&self.manifest.key)?;
        if self.values.is_some() {
            // Where this fails, the next sweep removes it.
            let _ = self.sandboxes.forfeit(making.dir()).await;
        }
        let made = self.make(&making, log).await;
        if made.is_err() {
            // What cannot be removed now is swept.
            let _ = match &self.values {
                Some(_) => self.sandboxes.erase(making.dir()).await,
                None => self.sandboxes.discard(making.dir()).await,
            };
        }
        made.map(|name| (name, making))
    }

    async fn make(&self, making: &Making, log: &mut dyn SetupLog) -> Result<String, SetupError> {
        let started_at = self.clock.now();
        let mut tail = Tail::default();
        let mut spec = self.spec.clone();
        spec.name = sandbox_name(&self.manifest.key);
        spec.upper = Upper::Disk(making.upper());
        spec.user = SandboxUser::SetupRoot;
        let workspace = spec.workdir.clone();
        let written = spec.clone();
        let sandbox = self.sandboxes.create(spec).await.map_err(|e| self.broken(e, &tail))?;
        let sandbox = sandbox.as_ref();
        let (limits_met, script) = self.script(sandbox, &mut tail, log).await?;
        let left = variables::left(sandbox, script.as_ref()).await;
        let (variables, mut notes) = left.map_err(|e| self.broken(e, &tail))?;
        notes.extend(left_running::note(sandbox, self.what).await);
        // Ends what it left running: nothing writes from here on.
        sandbox.freeze_until_restart().await.map_err(|e| self.broken(e, &tail))?;
        let commit = &self.manifest.commit;
        let cleaned = clean(sandbox, self.overlay, &workspace, commit, self.tracked).await;
        let cleaned = cleaned.map_err(|error| match error {
            CleanError::Sandbox(source) => self.broken(source, &tail),
            CleanError::NotATree(_) | CleanError::NoTool(_) => {
                let (what, why) = (self.what, error.to_string());
                SetupError::Unusable { what, why, tail: tail.lines() }
            }
        })?;
        let layers = sandbox.freeze().await.map_err(|e| self.broken(e, &tail))?;
        sandbox.end().await.map_err(|e| self.broken(e, &tail))?;
        let now = self.clock.now();
        notes.extend(cleaned.notes);
        let mut manifest = Manifest {
            made_at: now,
            ms: now.millis_since(started_at),
            overlays: layers.iter().filter(|one| has_something(one.1)).map(name_of).collect(),
            variables,
            hooks_path: cleaned.hooks_path,
            limits_met,
            notes,
            used: cleaned.used,
            ..self.manifest.clone()
        };
        if let Some(values) = &self.values {
            self.search(values, making.upper(), &written, &mut manifest).await?;
        }
        if self.index.exists() {
            std::fs::copy(self.index, making.index())?;
        }
        Ok(self.snapshots.finish(making, &manifest)?)
    }

    /// Fails where the value of a secret is in what it left.
    async fn search(
        &self,
        values: &Arc<dyn Values>,
        upper: PathBuf,
        spec: &SandboxSpec,
        manifest: &mut Manifest,
    ) -> Result<(), SetupError> {
        let what = self.what;
        let mut places = searched::of_manifest(values.as_ref(), manifest);
        let found = searched::leaks(self.sandboxes, values, upper, spec).await;
        places.extend(found.map_err(|source| SetupError::Unsearched { what, source })?);
        if places.is_empty() { Ok(()) } else { Err(SetupError::Leaked { what, places }) }
    }

    /// Runs the script to its end; gives the limits that were met while it ran, and a hold on what
    /// it left in its process group.
    async fn script(
        &self,
        sandbox: &dyn Sandbox,
        tail: &mut Tail,
        log: &mut dyn SetupLog,
    ) -> Result<(Vec<LimitMet>, Arc<dyn CommandControl>), SetupError> {
        let mut env = script_env();
        env.extend(self.env.clone());
        let script = &self.manifest.script;
        let watched = watched(self.what, script);
        let command = Command {
            argv: ["bash", "-Eeuo", "pipefail", "-c", &watched].map(str::to_owned).to_vec(),
            env,
            workdir: None,
            io: CommandIo::Output,
        };
        log.begun(script).await?;
        let started_at = self.clock.now();
        let deadline = Instant::now() + self.timeout;
        let ended = match sandbox.start(command).await {
            Ok(mut started) => {
                let followed = follow(&mut started, deadline, tail, log).await;
                followed.map(|(exit, met)| (exit, met, started.control))
            }
            Err(error) => Err(Broken::Sandbox(error)),
        };
        let ms = self.clock.now().millis_since(started_at);
        let killed = ExitStatus::Signal(KILL);
        let what = self.what;
        match ended {
            Ok((exit, met, control)) => {
                for met in &met {
                    log.output(met.line().as_bytes()).await?;
                }
                let Some(exit) = exit else {
                    log.ended(killed, ms, Some(EndedBy::Timeout)).await?;
                    let (limit, tail) = (self.timeout, tail.lines());
                    return Err(SetupError::TimedOut { what, limit, met, tail });
                };
                log.ended(exit, ms, None).await?;
                if exit.success() {
                    return Ok((met, control));
                }
                Err(SetupError::Failed { what, exit, met, tail: tail.lines() })
            }
            Err(Broken::Sandbox(error)) => {
                if error.limit_key().is_some() {
                    log.output(format!("\n[{error}]\n").as_bytes()).await?;
                }
                log.ended(killed, ms, Some(EndedBy::SandboxGone)).await?;
                Err(self.broken(error, tail))
            }
            Err(Broken::Journal(error)) => Err(error.into()),
        }
    }

    fn broken(&self, source: SandboxError, tail: &Tail) -> SetupError {
        SetupError::Sandbox { what: self.what, source, tail: tail.lines() }
    }
}

/// The variables that only a script of setup has, beside the environment's and its secrets.
pub fn script_env() -> BTreeMap<String, String> {
    let mut env = quiet_git();
    let own = [("QUIRE_ENV", variables::FILE), ("DEBIAN_FRONTEND", "noninteractive"), ("CI", "1")];
    env.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env
}

/// SIGKILL.
const KILL: i32 = 9;

enum Broken {
    Sandbox(SandboxError),
    Journal(JournalError),
}

/// How long a command that was killed is given to be gone, so that the limits it met are known.
const BURIAL: Duration = Duration::from_secs(2);

/// Takes down what a command prints until it ends; gives how, `None` if it was ended at `deadline`,
/// and the limits that were met.
async fn follow(
    started: &mut StartedCommand,
    deadline: Instant,
    tail: &mut Tail,
    log: &mut dyn SetupLog,
) -> Result<(Option<ExitStatus>, Vec<LimitMet>), Broken> {
    loop {
        let Ok(event) = tokio::time::timeout_at(deadline, started.output.next()).await else {
            let _ = started.control.signal(CommandSignal::Kill).await;
            let gone = async {
                while !matches!(started.output.next().await, Ok(CommandEvent::Exited(_)) | Err(_)) {
                }
            };
            let _ = tokio::time::timeout(BURIAL, gone).await;
            return Ok((None, started.output.limits_met()));
        };
        match event.map_err(Broken::Sandbox)? {
            CommandEvent::Output(bytes) | CommandEvent::Error(bytes) => {
                log.output(&bytes).await.map_err(Broken::Journal)?;
                tail.push(log.recorded().unwrap_or(&bytes));
            }
            CommandEvent::Exited(exit) => return Ok((Some(exit), started.output.limits_met())),
        }
    }
}

/// Unique among the living, as the lock on its key is held.
fn sandbox_name(key: &Key) -> String {
    format!("setup-{}", key.short())
}

fn name_of((name, _): (&String, &Layer)) -> String {
    name.clone()
}

/// Whether anything lies in a layer; one that cannot be read from outside is taken as it is.
fn has_something(layer: &Layer) -> bool {
    let path: &PathBuf = &layer.path;
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn words(exit: ExitStatus) -> String {
    match exit {
        ExitStatus::Code(code) => format!("exit status {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal}"),
    }
}

fn at_limits(met: &[LimitMet]) -> String {
    met.iter().fold(String::new(), |text, met| text + "; " + &met.to_string())
}

fn last(tail: &[String]) -> String {
    if tail.is_empty() {
        return "; it printed nothing".to_owned();
    }
    format!("; its last lines:\n  {}", tail.join("\n  "))
}
