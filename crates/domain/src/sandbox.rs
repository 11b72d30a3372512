//! The contract of a sandbox: one running, isolated copy of an environment.

mod error;
mod limit_met;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::environment::Limits;
use crate::path::WorkspacePath;

pub use error::{FileError, SandboxError};
pub use limit_met::LimitMet;
pub use report::{Finding, FindingLevel, IsolationReport};

/// Makes sandboxes.
#[async_trait]
pub trait SandboxBackend: Send + Sync {
    /// Makes a sandbox and waits until it can take commands.
    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError>;

    /// What isolation and which limits this host gives, tried and not guessed.
    async fn report(&self) -> IsolationReport;

    /// How far package managers of the system can go in setup over `base`, why no further, and
    /// what to do: to be said before a setup, and when one fails. Costs no trial.
    fn packages_in_setup(&self, base: &SandboxBase) -> Finding;

    /// Removes an upper or a frozen layer: its name is free when this returns. What sandboxes wrote
    /// carries other users' ids, so that only the backend can remove all of it.
    async fn discard(&self, path: &Path) -> Result<(), SandboxError>;

    /// The same, and nothing of it is left on the disk when this returns: for what may hold secrets.
    async fn erase(&self, path: &Path) -> Result<(), SandboxError> {
        self.discard(path).await
    }

    /// Has a directory removed should this process die, for as long as it has this name. Best effort:
    /// a crash of the whole machine leaves it, to be swept.
    async fn forfeit(&self, path: &Path) -> Result<(), SandboxError> {
        let _ = path;
        Ok(())
    }

    /// Opens something that a sandbox wrote, whoever of its ids owns it and whatever its mode: what is
    /// at `path` (its bytes) below `dir`, through no link and onto no other file system. Regular files
    /// and directories for reading, of all else only what names it (`O_PATH`).
    async fn open_written(&self, dir: &Path, path: &[u8]) -> std::io::Result<std::os::fd::OwnedFd> {
        let _ = (dir, path);
        Err(std::io::ErrorKind::PermissionDenied.into())
    }

    /// Removes what crashed processes left: control groups, work directories of throw-away
    /// uppers, trash. Never what a living process or a kept upper uses.
    async fn sweep(&self) -> Result<(), SandboxError>;
}

/// What a sandbox is made from. Paths are absolute; those of the host are never shown inside.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxSpec {
    /// A name for logs and control groups: `[a-z0-9-]`, at most 60 characters, unique among the
    /// living.
    pub name: String,
    /// What lies beneath everything.
    pub base: SandboxBase,
    /// Over a host's base: what setup wrote to system directories, by their name (`usr`, `etc`,
    /// `var`, `opt`, `srv`), topmost first. Empty elsewhere.
    pub system: BTreeMap<String, Vec<Layer>>,
    /// Directories with layers of their own: the working tree first of all.
    pub overlays: Vec<OverlayMount>,
    /// Directories and files of the host shown inside, read-only.
    pub binds: Vec<BindMount>,
    /// Where what is written goes.
    pub upper: Upper,
    /// The working directory of commands that name none.
    pub workdir: PathBuf,
    /// The home directory inside: made empty and writable.
    pub home: PathBuf,
    /// The whole environment of commands; nothing of the host's is added.
    pub env: BTreeMap<String, String>,
    /// Who the commands run as.
    pub user: SandboxUser,
    /// What all of it may use.
    pub limits: Limits,
    /// The only way out, if there is one.
    pub egress: Option<EgressDoor>,
}

/// The way out of a sandbox: a port on its loopback that is served from outside.
///
/// Bound inside before any command runs, listened to by whoever holds the sink. A sandbox that is
/// made anew (after folding) has a new network, and so a new listener.
#[derive(Clone)]
pub struct EgressDoor {
    /// The port on 127.0.0.1 inside.
    pub port: u16,
    /// Who is handed the listener.
    pub sink: Arc<dyn ListenerSink>,
}

/// Takes the listening sockets of a sandbox's way out.
pub trait ListenerSink: Send + Sync {
    /// A socket that listens inside: non-blocking, close-on-exec. The one before it is dead.
    /// Returns at once.
    fn listener(&self, listener: std::os::fd::OwnedFd);
}

impl std::fmt::Debug for EgressDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EgressDoor").field("port", &self.port).finish_non_exhaustive()
    }
}

impl PartialEq for EgressDoor {
    /// The same port, served by the same sink.
    fn eq(&self, other: &Self) -> bool {
        self.port == other.port && Arc::ptr_eq(&self.sink, &other.sink)
    }
}

/// What lies beneath everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxBase {
    /// The host's system directories, by the rules of SANDBOX section 9.1.
    Host,
    /// A root file system made of read-only layers, topmost first.
    Layers(Vec<Layer>),
}

/// A read-only directory of the host used as a lower layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Where it is.
    pub path: PathBuf,
    /// Whose uids its files carry.
    pub owner: LayerOwner,
}

/// Whose uids the files of a layer carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerOwner {
    /// Written by this process (a checkout): its user is the sandbox's user inside.
    Host,
    /// Written by a sandbox (a frozen upper): the store's uid range.
    Sandbox,
    /// A person's own directory: shown like [`Self::Host`] where layers can be shown with other
    /// ids, else as it is. Nothing of it is ever given to other ids.
    Person,
}

/// A writable directory over read-only layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayMount {
    /// Where it shows inside.
    pub target: PathBuf,
    /// Its layers, topmost first; may be empty.
    pub lowers: Vec<Layer>,
    /// A name for its directory in the upper: `[a-z0-9-]`, unique in the spec.
    pub name: String,
}

/// Something of the host shown inside, read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindMount {
    /// On the host.
    pub source: PathBuf,
    /// Inside.
    pub target: PathBuf,
    /// Whether it is left out silently where the source is absent.
    pub optional: bool,
}

/// Where what is written goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upper {
    /// A directory that outlives the sandbox: made if absent, gone on with if present.
    Disk(PathBuf),
    /// Memory; gone with the sandbox, with hard limits of size and inodes.
    Memory,
}

/// Who the commands run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxUser {
    /// Uid 1000 inside, with no capability.
    Agent,
    /// Uid 0 inside, with the capabilities that package managers need. For setup alone.
    SetupRoot,
}

/// A running sandbox. Dropping the last handle ends it; its disk upper stays.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Starts a command. It goes on when the handles are dropped, until the sandbox ends.
    async fn start(&self, command: Command) -> Result<StartedCommand, SandboxError>;

    /// Reads a file as the sandbox sees it, following links inside only. Regular files only, of
    /// at most `limit` bytes.
    async fn read_file(&self, path: &Path, limit: u64) -> Result<Bytes, FileError>;

    /// Changes files below `root` (a directory inside): all or none. Missing directories are
    /// made. What was begun by a process that died is undone or finished at the next call.
    async fn change_files(&self, root: &Path, changes: Vec<FileChange>) -> Result<(), FileError>;

    /// What was written below the overlay named `overlay` since `since` (all, if `None`), from
    /// its upper. At most `limit` paths.
    async fn changes(
        &self,
        overlay: &str,
        since: Option<ChangeMark>,
        limit: usize,
    ) -> Result<Changes, SandboxError>;

    /// Ends all processes and keeps a disk upper; the next command makes the sandbox anew over
    /// it. Does nothing while a command runs or where it cannot be made anew.
    async fn fold(&self) -> Result<(), SandboxError>;

    /// Ends all processes and syncs the disk upper, so that its overlays can become layers of
    /// other sandboxes. Gives the layer for each overlay by name: those of the specification and
    /// `home`; over a host's base `var`, and after setup those of `usr`, `etc`, `opt` and `srv` in
    /// which something was written; over layers `root`. The next command makes the sandbox anew
    /// over its upper: sandboxes over the layers must have ended by then.
    async fn freeze(&self) -> Result<BTreeMap<String, Layer>, SandboxError>;

    /// The same without the sync, which waits for whatever else is being written to that disk:
    /// the layers hold until the machine restarts, and are not to be trusted after it.
    /// What cannot tell them apart syncs.
    async fn freeze_until_restart(&self) -> Result<BTreeMap<String, Layer>, SandboxError> {
        self.freeze().await
    }

    /// The command that holds the connection whose end inside is `port` of the loopback, to the way
    /// out: by the process that has it, what started that, or the session it is in. `None` where
    /// nothing of that leads to a command, or where it cannot be told. Best effort, a tenth of a
    /// second at most.
    async fn command_behind(&self, port: u16) -> Option<u64> {
        let _ = port;
        None
    }

    /// Processor time that its processes have used, those that ended included as far as it is
    /// known; `None` where nothing runs, or where it cannot be told. It may shrink as processes end.
    async fn processor_time(&self) -> Option<Duration> {
        None
    }

    /// Ends all that runs, as nothing has happened for so many minutes; whether anything did run.
    /// What waits for a command of it is told [`SandboxError::Idle`], and the next command makes it
    /// anew over its disk upper, without what lay in `/tmp`. Does nothing where it cannot be made
    /// anew.
    async fn end_idle(&self, minutes: u64) -> Result<bool, SandboxError> {
        let _ = minutes;
        Ok(false)
    }

    /// Ends all processes within a second and waits for it. A disk upper stays.
    async fn end(&self) -> Result<(), SandboxError>;
}

/// A command to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program (searched in `PATH` inside) and its arguments.
    pub argv: Vec<String>,
    /// Added to the sandbox's environment, and winning over it.
    pub env: BTreeMap<String, String>,
    /// Where; the sandbox's own if `None`.
    pub workdir: Option<PathBuf>,
    /// A terminal of its own, or pipes.
    pub io: CommandIo,
}

/// How a command is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandIo {
    /// Standard input empty; output and error interleaved as they came.
    Output,
    /// Standard input a pipe that stays open; output and error interleaved.
    InputOutput,
    /// Standard input empty; output and error apart ([`CommandEvent::Error`]).
    Separate,
    /// Standard input a pipe that stays open; output and error apart.
    InputSeparate,
    /// A terminal of this size for all three.
    Terminal {
        /// Columns.
        columns: u16,
        /// Rows.
        rows: u16,
    },
}

/// A command that was started.
pub struct StartedCommand {
    /// What it prints, and its end. One reader.
    pub output: Box<dyn CommandOutput>,
    /// How to act on it. Many may.
    pub control: Arc<dyn CommandControl>,
    /// Its number in the sandbox, unique over all its lives: see [`Sandbox::command_behind`].
    pub number: u64,
}

/// What a command prints, and its end.
#[async_trait]
pub trait CommandOutput: Send {
    /// The next piece, at most 64 KiB. After [`CommandEvent::Exited`] there is none. While nobody
    /// reads, the command waits: nothing is buffered without bound. Cancel-safe.
    async fn next(&mut self) -> Result<CommandEvent, SandboxError>;

    /// Limits of the sandbox that were met while the command ran; known once it exited. What runs
    /// beside it counts as well, as they share them.
    fn limits_met(&self) -> Vec<LimitMet> {
        Vec::new()
    }
}

/// What came from a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandEvent {
    /// Output (and error, unless apart).
    Output(Bytes),
    /// Error, where it is kept apart.
    Error(Bytes),
    /// It and its output ended: the process exited and its output was closed, or a second passed
    /// since with the output held open by a child.
    Exited(ExitStatus),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl ExitStatus {
    /// Whether it is code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// As a shell would give it: 128 + signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// How to act on a running command.
#[async_trait]
pub trait CommandControl: Send + Sync {
    /// Writes to its standard input or terminal; waits while it does not read, `timeout` at most.
    async fn write(&self, bytes: &[u8], timeout: Duration) -> Result<(), SandboxError>;

    /// Closes its standard input.
    async fn close_input(&self) -> Result<(), SandboxError>;

    /// Sends a signal to it and its process group.
    async fn signal(&self, signal: CommandSignal) -> Result<(), SandboxError>;

    /// Gives its terminal another size, which it is told of (SIGWINCH). Nothing happens where it
    /// has none.
    async fn resize(&self, columns: u16, rows: u16) -> Result<(), SandboxError> {
        let _ = (columns, rows);
        Ok(())
    }
}

/// The signals that are sent to commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// A change to one file below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// Write the whole content. An existing file keeps its mode, a new one gets 0644, and one that
    /// was moved here has the mode it had where it came from.
    Write {
        /// Which file.
        path: WorkspacePath,
        /// Where it was moved from; removing that one is a change of its own.
        moved_from: Option<WorkspacePath>,
        /// Its new content.
        content: Bytes,
    },
    /// Remove a file.
    Remove {
        /// Which file.
        path: WorkspacePath,
    },
}

/// A point up to which changes were listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct ChangeMark(pub u64);

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Files (not directories) that were written or removed, relative to the overlay; names that
    /// are not UTF-8 lossily.
    pub paths: Vec<String>,
    /// Whether there were more than the limit.
    pub more: bool,
    /// Pass it to the next call.
    pub mark: ChangeMark,
    /// Bytes and files now in the upper.
    pub used: UpperUse,
}

/// How much an upper holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpperUse {
    /// Bytes on disk.
    pub bytes: u64,
    /// Files and directories.
    pub files: u64,
}
