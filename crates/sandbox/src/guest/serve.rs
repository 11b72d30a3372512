//! The guest's loop.

use std::os::fd::{FromRawFd, OwnedFd};

use super::start::{self, Start};
use super::terminal::Terminals;
use super::{change, fold, helper, read};
use crate::frames::{self, PACKET, ask, tell};
use crate::sys;
use crate::wire::u32_at;

/// The most commands at one time.
const MAX_COMMANDS: usize = 512;

/// The descriptors of one packet.
const MAX_FDS: usize = 4;

/// With fewer blocks than these a file system counts as full: what failed for want of room may
/// have left a little.
const FULL_BELOW: u64 = 4;

/// A running command.
#[derive(Clone, Copy)]
struct Running {
    id: u32,
    pid: i32,
}

struct Guest {
    socket: i32,
    commands: [Option<Running>; MAX_COMMANDS],
    terminals: Terminals,
    stack: start::ChildStack,
}

/// Serves until the host or the zygote is gone.
pub fn run(socket: i32, life: i32) -> ! {
    let (socket, life) = settle_descriptors(socket, life);
    let signals = take_child_signals();
    let stack = start::ChildStack::new();
    let mut guest =
        Guest { socket, commands: [None; MAX_COMMANDS], terminals: Terminals::new(), stack };
    loop {
        let mut polled =
            [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; 3 + Terminals::POLLED];
        polled[0].fd = socket;
        polled[1].fd = signals;
        polled[2].fd = life;
        guest.terminals.fill(&mut polled[3..]);
        // SAFETY: the array outlives the call.
        let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
        if ready < 0 {
            continue;
        }
        if polled[2].revents != 0 {
            sys::exit_now(0);
        }
        if polled[0].revents != 0 && !guest.take_packet() {
            sys::exit_now(0);
        }
        // Before exits are told: what a terminal still holds precedes its end.
        guest.terminals.relay(&polled[3..]);
        if polled[1].revents != 0 {
            let mut info = [0_u8; 128];
            // SAFETY: reads into an array of the size of one record.
            unsafe { libc::read(signals, info.as_mut_ptr().cast(), info.len()) };
            guest.bury();
        }
    }
}

/// Keeps the two descriptors as 3 and 4, `/dev/null` as 0 to 2, and closes all others.
fn settle_descriptors(socket: i32, life: i32) -> (i32, i32) {
    // SAFETY: this process owns all its descriptors and uses none but these from here on.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for standard in 0..3 {
            libc::dup2(null, standard);
        }
        let socket = libc::fcntl(socket, libc::F_DUPFD_CLOEXEC, 100);
        let life = libc::fcntl(life, libc::F_DUPFD_CLOEXEC, 100);
        libc::dup3(socket, 3, libc::O_CLOEXEC);
        libc::dup3(life, 4, libc::O_CLOEXEC);
    }
    sys::close_from(5);
    (3, 4)
}

/// Blocks all signals; those of children are read from a descriptor.
fn take_child_signals() -> i32 {
    // SAFETY: plain structures on the stack.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        let mut child: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut child);
        libc::sigaddset(&raw mut child, libc::SIGCHLD);
        libc::signalfd(-1, &raw const child, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    }
}

impl Guest {
    /// Takes one packet; `false` when the host is gone.
    fn take_packet(&mut self) -> bool {
        let mut packet = [0; PACKET];
        let mut fds = Descriptors::default();
        let length = fds.receive(self.socket, &mut packet);
        if length <= 0 {
            return false;
        }
        let number = |index: usize| u32_at(&packet, index * 4);
        match number(0) {
            ask::START => {
                let start = Start { io: number(2), columns: number(3), rows: number(4) };
                self.start(number(1), start, &mut fds);
            }
            ask::SIGNAL => {
                let (pid, signal) = (number(1).cast_signed(), number(2).cast_signed());
                if pid > 1 {
                    // SAFETY: signals to processes of this sandbox only.
                    unsafe { libc::kill(-pid, signal) };
                }
            }
            ask::RESIZE => {
                self.terminals.resize(number(1).cast_signed(), number(2), number(3));
            }
            ask::READ => {
                let limit = u64::from(number(2)) | u64::from(number(3)) << 32;
                helper::run(&mut fds, |request, answer| read::read(request, limit, answer));
            }
            ask::CHANGE => helper::run(&mut fds, change::change),
            ask::FOLD => helper::run(&mut fds, |_, answer| fold::prepare(answer)),
            _ => {}
        }
        true
    }

    fn start(&mut self, id: u32, start: Start, fds: &mut Descriptors) {
        let Some(free) = self.commands.iter().position(Option::is_none) else {
            self.tell([tell::STARTED, id, 0, libc::EAGAIN.cast_unsigned()]);
            return;
        };
        match start::start(start, fds, &mut self.terminals, &self.stack) {
            Ok(pid) => {
                self.commands[free] = Some(Running { id, pid });
                self.tell([tell::STARTED, id, pid.cast_unsigned(), 0]);
            }
            Err(errno) => self.tell([tell::STARTED, id, 0, errno.cast_unsigned()]),
        }
    }

    /// Buries every child that ended, and tells of those that were commands.
    fn bury(&mut self) {
        loop {
            let mut status = 0;
            // SAFETY: writes the status only.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            if pid <= 0 {
                return;
            }
            let slot = self
                .commands
                .iter_mut()
                .find(|slot| slot.is_some_and(|running| running.pid == pid));
            let Some(running) = slot.and_then(Option::take) else { continue };
            let (mut kind, value) = if libc::WIFSIGNALED(status) {
                (1, libc::WTERMSIG(status))
            } else {
                (0, libc::WEXITSTATUS(status))
            };
            if status != 0 {
                kind |= full_places();
            }
            self.tell([tell::EXITED, running.id, kind, value.cast_unsigned()]);
        }
    }

    fn tell(&self, numbers: [u32; 4]) {
        let (packet, length) = frames::pack(numbers);
        // SAFETY: the packet outlives the call.
        unsafe {
            libc::send(self.socket, packet.as_ptr().cast(), length, libc::MSG_NOSIGNAL);
        }
    }
}

/// Which file systems in memory have no room for another block or file.
fn full_places() -> u32 {
    let mut bits = 0;
    for (bit, place) in tell::FULL {
        // SAFETY: a plain structure that the call fills in.
        unsafe {
            let mut found: libc::statfs = std::mem::zeroed();
            if libc::statfs(place.as_ptr(), &raw mut found) == 0
                && found.f_type == libc::TMPFS_MAGIC
                && (found.f_bavail < FULL_BELOW || found.f_ffree == 0)
            {
                bits |= bit;
            }
        }
    }
    bits
}

/// The descriptors that came with a packet; those not taken are closed.
#[derive(Default)]
pub struct Descriptors([Option<OwnedFd>; MAX_FDS]);

impl Descriptors {
    /// Takes the one at `index`.
    pub fn take(&mut self, index: usize) -> Option<OwnedFd> {
        self.0.get_mut(index).and_then(Option::take)
    }

    /// Receives a packet; gives its length.
    fn receive(&mut self, socket: i32, packet: &mut [u8; PACKET]) -> isize {
        #[repr(align(8))]
        struct Space([u8; 64]);
        let mut space = Space([0; 64]);
        let mut part = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: packet.len() };
        // SAFETY: all structures outlive the call, and the control messages are read with the
        // macros made for it.
        unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = space.0.as_mut_ptr().cast();
            message.msg_controllen = space.0.len() as _;
            let length = libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC);
            if length <= 0 {
                return length;
            }
            let control = libc::CMSG_FIRSTHDR(&raw const message);
            if !control.is_null() && (*control).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*control).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let bytes_of = libc::CMSG_DATA(control);
                for index in 0..bytes / 4 {
                    let mut number = [0; 4];
                    std::ptr::copy_nonoverlapping(bytes_of.add(index * 4), number.as_mut_ptr(), 4);
                    let fd = OwnedFd::from_raw_fd(i32::from_ne_bytes(number));
                    if let Some(slot) = self.0.get_mut(index) {
                        *slot = Some(fd);
                    }
                }
            }
            length
        }
    }
}
