//! One command of a sandbox: its pipes, its end, and how to act on it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::sandbox::{
    Command, CommandControl, CommandEvent, CommandIo, CommandOutput, CommandSignal, ExitStatus,
    LimitMet, SandboxError, StartedCommand,
};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::guest::{Exit, Guest, PATIENCE};
use super::limits_met::Before;
use crate::frames::{ask, io as kinds};
use crate::wire;

/// The largest piece of output.
const PIECE: usize = 64 * 1024;

/// How long output may stay open after the end of the process.
const GRACE: Duration = Duration::from_secs(1);

/// The longest request: arguments, environment and directory together.
const REQUEST_LIMIT: usize = 4 << 20;

/// Starts a command. `environment` is complete; `owner` is whose the pipes are, where the
/// sandbox's user is another than ours; `number` is its own in the sandbox.
pub async fn start(
    guest: &Arc<Guest>,
    command: &Command,
    environment: &[String],
    workdir: &str,
    owner: Option<u32>,
    number: u64,
    before: Before,
) -> Result<StartedCommand, SandboxError> {
    let program = command.argv.first().cloned().unwrap_or_default();
    let failed = |source: io::Error| SandboxError::Spawn { program: program.clone(), source };
    let request = request(command, environment, workdir).map_err(failed)?;
    let request = wire::memory_file(&[&request]).map_err(failed)?;
    let (output, output_end) = read_pipe(owner).map_err(failed)?;
    let mut error = None;
    let mut input = None;
    let mut fds = vec![request, output_end];
    let (kind, columns, rows) = match command.io {
        CommandIo::Output => (kinds::OUTPUT, 0, 0),
        CommandIo::InputOutput => (kinds::INPUT_OUTPUT, 0, 0),
        CommandIo::Separate => (kinds::SEPARATE, 0, 0),
        CommandIo::InputSeparate => (kinds::INPUT_SEPARATE, 0, 0),
        CommandIo::Terminal { columns, rows } => {
            (kinds::TERMINAL, u32::from(columns), u32::from(rows))
        }
    };
    if matches!(command.io, CommandIo::Separate | CommandIo::InputSeparate) {
        let (ours, theirs) = read_pipe(owner).map_err(failed)?;
        error = Some(ours);
        fds.push(theirs);
    }
    if !matches!(command.io, CommandIo::Output | CommandIo::Separate) {
        let (ours, theirs) = write_pipe(owner).map_err(failed)?;
        input = Some(ours);
        fds.push(theirs);
    }
    let news = guest.expect_command(number)?;
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let sent = guest.send([ask::START, news.id, kind, columns, rows], &borrowed).await;
    drop(fds);
    if let Err(error) = sent {
        guest.forget(news.id);
        return Err(error);
    }
    let pid = match timeout(PATIENCE, news.started).await {
        Ok(Ok(Ok(pid))) => pid,
        Ok(Ok(Err(errno))) => return Err(failed(io::Error::from_raw_os_error(errno))),
        Ok(Err(_)) => return Err(guest.gone()),
        Err(_) => return Err(SandboxError::Timeout(PATIENCE)),
    };
    let output = Output {
        guest: Arc::clone(guest),
        both: Some(output),
        error,
        exited: Some(news.exited),
        end: End::Running,
        scratch: vec![0; 4096],
        before,
        met: Vec::new(),
    };
    let control = Control {
        guest: Arc::clone(guest),
        pid,
        input: Mutex::new(input),
        terminal: kind == kinds::TERMINAL,
    };
    Ok(StartedCommand { output: Box::new(output), control: Arc::new(control), number })
}

/// `[argc, envc]`, then every word with a NUL after it.
fn request(command: &Command, environment: &[String], workdir: &str) -> io::Result<Vec<u8>> {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(4096);
    bytes.extend_from_slice(&count(command.argv.len()));
    bytes.extend_from_slice(&count(environment.len()));
    let words = command.argv.iter().chain(environment).map(String::as_str);
    for word in words.chain([workdir]) {
        if word.contains('\0') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a word has a NUL byte"));
        }
        bytes.extend_from_slice(word.as_bytes());
        bytes.push(0);
    }
    if command.argv.is_empty() || bytes.len() > REQUEST_LIMIT {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    Ok(bytes)
}

/// A pipe that we read from. The pipe belongs to the sandbox's user, so that its processes may
/// open it again as `/dev/stdout`.
pub fn read_pipe(owner: Option<u32>) -> io::Result<(AsyncFd<OwnedFd>, OwnedFd)> {
    let (read, write) = owned_pipe(owner)?;
    wire::set_nonblocking(&read)?;
    Ok((wire::watch(read, Interest::READABLE)?, write))
}

/// A pipe that we write to.
fn write_pipe(owner: Option<u32>) -> io::Result<(AsyncFd<OwnedFd>, OwnedFd)> {
    let (read, write) = owned_pipe(owner)?;
    wire::set_nonblocking(&write)?;
    Ok((wire::watch(write, Interest::WRITABLE)?, read))
}

fn owned_pipe(owner: Option<u32>) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    if let Some(owner) = owner {
        let (uid, gid) = (rustix::fs::Uid::from_raw(owner), rustix::fs::Gid::from_raw(owner));
        rustix::fs::fchown(&write, Some(uid), Some(gid))?;
    }
    Ok((read, write))
}

/// What a command prints.
struct Output {
    guest: Arc<Guest>,
    both: Option<AsyncFd<OwnedFd>>,
    error: Option<AsyncFd<OwnedFd>>,
    exited: Option<oneshot::Receiver<Exit>>,
    end: End,
    /// Grows to [`PIECE`] for those that print much.
    scratch: Vec<u8>,
    /// What the limits' counters stood at when it was started.
    before: Before,
    /// The limits that were met until it exited.
    met: Vec<LimitMet>,
}

/// How far a command is.
#[derive(Clone, Copy)]
enum End {
    Running,
    /// Its process ended; its output counts until then.
    Exited(ExitStatus, Instant),
    /// The sandbox is gone.
    Gone,
    /// All was told.
    Told,
}

#[async_trait]
impl CommandOutput for Output {
    async fn next(&mut self) -> Result<CommandEvent, SandboxError> {
        loop {
            let closed = self.both.is_none() && self.error.is_none();
            let deadline = match self.end {
                End::Exited(status, until) if closed || Instant::now() >= until => {
                    self.end = End::Told;
                    return Ok(CommandEvent::Exited(status));
                }
                End::Gone if closed => return Err(self.guest.gone()),
                End::Told => return Err(SandboxError::Gone("the command has ended".to_owned())),
                End::Exited(_, until) => Some(until),
                End::Running | End::Gone => None,
            };
            let scratch = &mut self.scratch;
            tokio::select! {
                biased;
                piece = read(self.both.as_ref(), scratch) => match piece {
                    Some(bytes) => return Ok(CommandEvent::Output(bytes)),
                    None => self.both = None,
                },
                // A separate buffer: two borrows of one would not do.
                piece = read_small(self.error.as_ref()) => match piece {
                    Some(bytes) => return Ok(CommandEvent::Error(bytes)),
                    None => self.error = None,
                },
                exited = ended(self.exited.as_mut()) => {
                    self.exited = None;
                    self.end = match exited {
                        Some(exit) => {
                            self.met = self.before.since(exit.status, exit.full);
                            End::Exited(exit.status, Instant::now() + GRACE)
                        }
                        None => End::Gone,
                    };
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
            }
        }
    }
    fn limits_met(&self) -> Vec<LimitMet> {
        self.met.clone()
    }
}

/// The next piece; `None` at the end, never where there is nothing to read from.
async fn read(from: Option<&AsyncFd<OwnedFd>>, scratch: &mut Vec<u8>) -> Option<Bytes> {
    let Some(from) = from else { return std::future::pending().await };
    let read = from
        .async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut *scratch)?))
        .await
        .unwrap_or(0);
    let piece = (read > 0).then(|| Bytes::copy_from_slice(&scratch[..read]));
    if read == scratch.len() && read < PIECE {
        scratch.resize(PIECE, 0);
    }
    piece
}

async fn read_small(from: Option<&AsyncFd<OwnedFd>>) -> Option<Bytes> {
    let mut scratch = [0; 4096];
    let Some(from) = from else { return std::future::pending().await };
    let read = from
        .async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut scratch)?))
        .await
        .unwrap_or(0);
    (read > 0).then(|| Bytes::copy_from_slice(&scratch[..read]))
}

/// How the process ended; `None` if the guest is gone.
async fn ended(exited: Option<&mut oneshot::Receiver<Exit>>) -> Option<Exit> {
    match exited {
        Some(exited) => exited.await.ok(),
        None => std::future::pending().await,
    }
}

impl Drop for Output {
    /// The command goes on, so somebody has to read what it prints.
    fn drop(&mut self) {
        if !matches!(self.end, End::Running) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        for pipe in [self.both.take(), self.error.take()].into_iter().flatten() {
            runtime.spawn(async move {
                let mut scratch = vec![0; 4096];
                while read(Some(&pipe), &mut scratch).await.is_some() {}
            });
        }
    }
}

/// How to act on a command.
struct Control {
    guest: Arc<Guest>,
    /// Inside.
    pid: i32,
    input: Mutex<Option<AsyncFd<OwnedFd>>>,
    terminal: bool,
}

#[async_trait]
impl CommandControl for Control {
    async fn write(&self, bytes: &[u8], limit: Duration) -> Result<(), SandboxError> {
        let writing = async {
            let input = self.input.lock().await;
            let input = input.as_ref().ok_or(SandboxError::InputClosed)?;
            let mut rest = bytes;
            while !rest.is_empty() {
                let written = input
                    .async_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, rest)?))
                    .await
                    .map_err(|_| SandboxError::InputClosed)?;
                rest = &rest[written..];
            }
            Ok(())
        };
        timeout(limit, writing).await.map_err(|_| SandboxError::Timeout(limit))?
    }

    async fn close_input(&self) -> Result<(), SandboxError> {
        self.input.lock().await.take();
        Ok(())
    }

    async fn signal(&self, signal: CommandSignal) -> Result<(), SandboxError> {
        let number = match signal {
            CommandSignal::Interrupt => libc::SIGINT,
            CommandSignal::Terminate => libc::SIGTERM,
            CommandSignal::Kill => libc::SIGKILL,
        };
        if self.guest.is_gone() {
            return Err(self.guest.gone());
        }
        // At a terminal the foreground job has a group of its own; the character reaches it.
        if self.terminal && signal == CommandSignal::Interrupt {
            return self.write(&[3], Duration::from_secs(1)).await;
        }
        self.guest.send([ask::SIGNAL, self.pid.cast_unsigned(), number.cast_unsigned()], &[]).await
    }

    async fn resize(&self, columns: u16, rows: u16) -> Result<(), SandboxError> {
        if !self.terminal {
            return Ok(());
        }
        let packet = [ask::RESIZE, self.pid.cast_unsigned(), columns.into(), rows.into()];
        self.guest.send(packet, &[]).await
    }
}
