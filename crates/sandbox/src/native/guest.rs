//! The host's end of a guest: a hostile peer, whose packets are short and checked.

use std::collections::HashMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quire_domain::sandbox::{ExitStatus, SandboxError};
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, oneshot};

use crate::frames::{PACKET, pack, tell};
use crate::plan::Answer;
use crate::wire::{self, u32_at};

/// How long a guest may take to become ready, or to answer a request.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer of the zygote or of a guest in the making.
const ANSWER_LIMIT: usize = 8 * 1024;

/// How many commands' numbers are kept.
const MAX_NUMBERS: usize = 4_096;

/// A running guest.
#[derive(Debug)]
pub struct Guest {
    socket: AsyncFd<OwnedFd>,
    pidfd: AsyncFd<OwnedFd>,
    /// Its process id on the host.
    pub pid: i32,
    next_id: AtomicU32,
    shared: Mutex<Shared>,
    /// Told when a command is started.
    pub started: Notify,
    /// The listener of its way out, shut down when it is gone: whoever serves it then knows.
    door: Option<OwnedFd>,
}

/// A guest that became ready.
pub struct Met {
    /// It.
    pub guest: Arc<Guest>,
    /// What is weaker in it than it should be.
    pub degraded: Vec<String>,
    /// Its upper, where that lies in memory.
    pub upper: Option<OwnedFd>,
}

/// What the zygote and a new guest said.
struct Said {
    pid: i32,
    pidfd: OwnedFd,
    degraded: Vec<String>,
    upper: Option<OwnedFd>,
    door: Option<OwnedFd>,
}

#[derive(Debug, Default)]
struct Shared {
    commands: HashMap<u32, Waiting>,
    /// The numbers of commands by their process id inside, those that ended too: what they left
    /// running is in their session, whose id is given to no other process meanwhile.
    numbers: HashMap<i32, u64>,
    /// Why it was ended, where that is known.
    reason: Option<Reason>,
    gone: bool,
}

/// Why a guest was ended.
#[derive(Debug, Clone)]
pub enum Reason {
    /// In these words.
    Said(String),
    /// More than its share of something.
    Limit(String),
    /// More than its share of the disk.
    Disk,
    /// More files than it may have; there still are.
    Files(u64),
    /// Nothing happened in it for so many minutes.
    Idle(u64),
}

/// What waits for news of one command.
#[derive(Debug)]
struct Waiting {
    /// Its number in the sandbox.
    number: u64,
    started: Option<oneshot::Sender<Result<i32, i32>>>,
    exited: Option<oneshot::Sender<Exit>>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// By itself or by a signal.
    pub status: ExitStatus,
    /// Bits of [`tell::FULL`].
    pub full: u32,
}

/// News of a command.
pub struct News {
    /// Its number.
    pub id: u32,
    /// Its process id inside, or the error number.
    pub started: oneshot::Receiver<Result<i32, i32>>,
    /// How it ended; dropped when the guest is gone.
    pub exited: oneshot::Receiver<Exit>,
}

impl Guest {
    /// Waits until a guest that the zygote was asked for is ready.
    pub async fn meet(socket: OwnedFd) -> Result<Met, SandboxError> {
        wire::set_nonblocking(&socket).map_err(creating("open the guest's socket"))?;
        let socket = wire::watch(socket, Interest::READABLE | Interest::WRITABLE)
            .map_err(creating("open the guest's socket"))?;
        let met = tokio::time::timeout(PATIENCE, both_answers(&socket)).await;
        let Said { pid, pidfd, degraded, upper, door } =
            met.map_err(|_| SandboxError::Timeout(PATIENCE))??;
        let pidfd = wire::watch(pidfd, Interest::READABLE).map_err(creating("watch the guest"))?;
        let guest = Arc::new(Self {
            socket,
            pidfd,
            pid,
            next_id: AtomicU32::new(1),
            shared: Mutex::default(),
            started: Notify::new(),
            door,
        });
        tokio::spawn(listen(Arc::clone(&guest)));
        Ok(Met { guest, degraded, upper })
    }

    /// A handle of its own on the listener of its way out.
    pub fn listener(&self) -> io::Result<Option<OwnedFd>> {
        self.door.as_ref().map(OwnedFd::try_clone).transpose()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while it is held; the state is whole in any case.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers of commands by their process id inside.
    pub fn numbers(&self) -> HashMap<i32, u64> {
        self.shared().numbers.clone()
    }

    /// An id for a new command, which has this number in the sandbox, and news of it.
    pub fn expect_command(&self, number: u64) -> Result<News, SandboxError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (say_started, started) = oneshot::channel();
        let (say_exited, exited) = oneshot::channel();
        let mut shared = self.shared();
        if shared.gone {
            drop(shared);
            return Err(self.gone());
        }
        let waiting = Waiting { number, started: Some(say_started), exited: Some(say_exited) };
        shared.commands.insert(id, waiting);
        drop(shared);
        self.started.notify_one();
        Ok(News { id, started, exited })
    }

    /// Forgets a command that was not started.
    pub fn forget(&self, id: u32) {
        self.shared().commands.remove(&id);
    }

    /// Whether a command runs.
    pub fn is_busy(&self) -> bool {
        !self.shared().commands.is_empty()
    }

    /// Whether it has ended.
    pub fn is_gone(&self) -> bool {
        self.shared().gone
    }

    /// Whether it was ended as it used more than its share; of the disk it still does.
    pub fn met_limit(&self) -> bool {
        matches!(self.shared().reason, Some(Reason::Limit(_)))
    }

    /// Sends a packet with descriptors.
    pub async fn send<const N: usize>(
        &self,
        numbers: [u32; N],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), SandboxError> {
        let (packet, length) = pack(numbers);
        let sending = self.socket.async_io(Interest::WRITABLE, |socket| {
            wire::send(socket, &packet[..length], fds, SendFlags::DONTWAIT)
        });
        match tokio::time::timeout(PATIENCE, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.gone()),
            Err(_) => Err(SandboxError::Timeout(PATIENCE)),
        }
    }

    /// Kills everything in the sandbox; `reason` is told to whoever waits. The first one stays.
    pub fn kill(&self, reason: Reason) {
        let mut shared = self.shared();
        shared.reason.get_or_insert(reason);
        drop(shared);
        let _ =
            rustix::process::pidfd_send_signal(self.pidfd.get_ref(), rustix::process::Signal::KILL);
    }

    /// Waits until no process of it is left.
    pub async fn ended(&self) -> Result<(), SandboxError> {
        match tokio::time::timeout(PATIENCE, self.pidfd.readable()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(SandboxError::Gone(error.to_string())),
            Err(_) => Err(SandboxError::Timeout(PATIENCE)),
        }
    }

    /// Why it is gone.
    pub fn gone(&self) -> SandboxError {
        match &self.shared().reason {
            Some(Reason::Said(words)) => SandboxError::Gone(words.clone()),
            Some(Reason::Limit(what)) => SandboxError::LimitExceeded { what: what.clone() },
            Some(Reason::Disk) => SandboxError::DiskFull,
            Some(Reason::Idle(minutes)) => SandboxError::Idle { minutes: *minutes },
            Some(Reason::Files(most)) => {
                SandboxError::LimitExceeded { what: format!("files on disk ({most})") }
            }
            None => SandboxError::Gone("its supervisor ended".to_owned()),
        }
    }

    /// Takes one packet of the guest's; `false` when it broke the rules.
    fn take(&self, packet: &[u8]) -> bool {
        let number = |index: usize| u32_at(packet, index * 4);
        if packet.len() != 16 {
            return false;
        }
        let mut shared = self.shared();
        let shared = &mut *shared;
        // What it says of commands that nobody asked for is ignored.
        match number(0) {
            tell::STARTED => {
                let result = match number(3).cast_signed() {
                    0 => Ok(number(2).cast_signed()),
                    errno => Err(errno),
                };
                if let Some(waiting) = shared.commands.get_mut(&number(1))
                    && let Some(started) = waiting.started.take()
                {
                    match result {
                        Ok(pid) => remember(&mut shared.numbers, pid, waiting.number),
                        Err(_) => drop(shared.commands.remove(&number(1))),
                    }
                    let _ = started.send(result);
                }
                true
            }
            tell::EXITED => {
                let value = number(3).cast_signed();
                let status = match number(2) & 0xff {
                    0 => ExitStatus::Code(value & 0xff),
                    _ => ExitStatus::Signal(value & 0x7f),
                };
                if let Some(waiting) = shared.commands.remove(&number(1))
                    && let Some(exited) = waiting.exited
                {
                    let _ = exited.send(Exit { status, full: number(2) & !0xff });
                }
                true
            }
            _ => false,
        }
    }

    /// Everybody who waits is told.
    fn mark_gone(&self) {
        let mut shared = self.shared();
        shared.gone = true;
        shared.commands.clear();
        drop(shared);
        if let Some(door) = &self.door {
            let _ = rustix::net::shutdown(door, rustix::net::Shutdown::Both);
        }
    }
}

/// Keeps a command's number; the oldest are forgotten, as process ids come again.
fn remember(numbers: &mut HashMap<i32, u64>, pid: i32, number: u64) {
    if numbers.len() >= MAX_NUMBERS {
        numbers.retain(|_, one| *one + MAX_NUMBERS as u64 / 2 > number);
    }
    numbers.insert(pid, number);
}

/// Listens until the guest is gone or breaks the rules.
async fn listen(guest: Arc<Guest>) {
    let mut packet = [0; PACKET];
    loop {
        let received = guest
            .socket
            .async_io(Interest::READABLE, |socket| {
                // Without room for them, descriptors that it sends are closed by the kernel.
                Ok(rustix::net::recv(socket, &mut packet, RecvFlags::DONTWAIT)?.0)
            })
            .await;
        match received {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if !guest.take(&packet[..length]) {
                    guest.kill(Reason::Said("its supervisor broke the protocol".to_owned()));
                    break;
                }
            }
        }
    }
    // Its socket closes when it dies; should it have closed it while alive, it dies now.
    guest.kill(Reason::Said("its supervisor ended".to_owned()));
    guest.mark_gone();
}

/// The zygote's answer and the guest's, in either order.
async fn both_answers(socket: &AsyncFd<OwnedFd>) -> Result<Said, SandboxError> {
    let (mut spawned, mut ready) = (None, None);
    loop {
        match next_answer(socket).await? {
            (Answer::Spawned { pid }, fds) => {
                spawned = fds.into_iter().next().map(|pidfd| (pid, pidfd));
            }
            (Answer::Ready { degraded, upper }, fds) => {
                let mut fds = fds.into_iter();
                let upper = if upper { fds.next() } else { None };
                ready = Some((degraded, upper, fds.next()));
            }
            (Answer::Failed { step, errno }, _) => return Err(not_made(step, errno)),
            _ => return Err(SandboxError::Gone("an answer out of place".to_owned())),
        }
        match (spawned, ready) {
            (Some((pid, pidfd)), Some((degraded, upper, door))) => {
                return Ok(Said { pid, pidfd, degraded, upper, door });
            }
            (one, other) => (spawned, ready) = (one, other),
        }
    }
}

/// A step that failed. The system has one error for a full disk and for as many namespaces as it
/// allows: the step says which it is.
fn not_made(step: String, errno: i32) -> SandboxError {
    if errno == libc::ENOSPC
        && matches!(step.as_str(), "make namespaces" | "become an ordinary user")
    {
        return SandboxError::Unsupported {
            what: "there are as many namespaces as it allows".to_owned(),
            remedy: "raise the limits of `sysctl user` (user.max_user_namespaces and its like)"
                .to_owned(),
        };
    }
    SandboxError::Create { step, source: io::Error::from_raw_os_error(errno) }
}

/// One answer and the descriptors that came with it.
pub async fn next_answer(
    socket: &AsyncFd<OwnedFd>,
) -> Result<(Answer, Vec<OwnedFd>), SandboxError> {
    let mut buffer = vec![0; ANSWER_LIMIT];
    let (length, fds) = socket
        .async_io(Interest::READABLE, |socket| {
            wire::receive(socket, &mut buffer, RecvFlags::DONTWAIT)
        })
        .await
        .map_err(creating("hear from the zygote"))?;
    if length == 0 {
        return Err(SandboxError::Gone("it ended while it was made".to_owned()));
    }
    let answer = serde_json::from_slice(&buffer[..length])
        .map_err(|error| creating("read the zygote's answer")(error.into()))?;
    Ok((answer, fds))
}

/// Names the step that failed.
pub fn creating(step: &str) -> impl FnOnce(io::Error) -> SandboxError + use<> {
    let step = step.to_owned();
    move |source| SandboxError::Create { step, source }
}
