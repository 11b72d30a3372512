//! Terminals: made inside, relayed to the host by two pipes, so that the host never reads from
//! what the sandbox could make block.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The most terminals at one time.
const MAX: usize = 16;

/// The size of a relay's buffer each way.
const BUFFER: usize = 4096;

/// A terminal that has no pipes yet.
pub struct Terminal {
    master: OwnedFd,
}

impl Terminal {
    /// Makes a terminal; gives its two ends.
    pub fn open(columns: u32, rows: u32) -> Result<(Self, OwnedFd), i32> {
        let errno = || std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        // SAFETY: constants and structures on the stack.
        unsafe {
            let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK;
            let master = libc::open(c"/dev/ptmx".as_ptr(), flags);
            if master < 0 {
                return Err(errno());
            }
            let master = OwnedFd::from_raw_fd(master);
            let unlocked: libc::c_int = 0;
            if libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) < 0 {
                return Err(errno());
            }
            let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
            let slave = libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags);
            if slave < 0 {
                return Err(errno());
            }
            let slave = OwnedFd::from_raw_fd(slave);
            set_size(&master, columns, rows);
            Ok((Self { master }, slave))
        }
    }

    /// Joins it with the host's pipes; `pid` is the command that has it.
    pub fn with_pipes(self, pid: i32, output: OwnedFd, input: OwnedFd) -> Relay {
        for fd in [&output, &input] {
            let _ = crate::wire::set_nonblocking(fd);
        }
        Relay {
            pid,
            master: self.master,
            output: Some(output),
            input: Some(input),
            from_terminal: Held::default(),
            to_terminal: Held::default(),
        }
    }
}

/// Gives a terminal its size; what runs in the foreground is told by the kernel.
fn set_size(master: &OwnedFd, columns: u32, rows: u32) {
    let size = libc::winsize {
        ws_row: u16::try_from(rows).unwrap_or(24),
        ws_col: u16::try_from(columns).unwrap_or(80),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: reads a structure on the stack.
    unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}

/// Which bytes of a buffer wait to be written.
#[derive(Default, Clone, Copy)]
struct Held {
    start: usize,
    end: usize,
}

impl Held {
    fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A terminal and its two pipes.
pub struct Relay {
    pid: i32,
    master: OwnedFd,
    output: Option<OwnedFd>,
    input: Option<OwnedFd>,
    from_terminal: Held,
    to_terminal: Held,
}

/// All terminals, with their buffers.
pub struct Terminals {
    relays: [Option<Relay>; MAX],
    /// Two buffers for each; reserved, and only touched when used.
    buffers: *mut u8,
}

impl Terminals {
    /// How many descriptors [`Self::fill`] sets.
    pub const POLLED: usize = MAX * 3;

    /// None yet.
    pub fn new() -> Self {
        // SAFETY: a new mapping.
        let buffers = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                MAX * 2 * BUFFER,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if buffers == libc::MAP_FAILED {
            crate::sys::exit_now(73);
        }
        Self { relays: [const { None }; MAX], buffers: buffers.cast() }
    }

    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.relays.iter().all(Option::is_some)
    }

    /// Adds one; there must be room.
    pub fn add(&mut self, relay: Relay) {
        if let Some(free) = self.relays.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(relay);
        }
    }

    /// Gives the terminal of a command another size.
    pub fn resize(&self, pid: i32, columns: u32, rows: u32) {
        if let Some(relay) = self.relays.iter().flatten().find(|relay| relay.pid == pid) {
            set_size(&relay.master, columns, rows);
        }
    }

    /// Says what to wait for.
    pub fn fill(&self, polled: &mut [libc::pollfd]) {
        for (slot, three) in self.relays.iter().zip(polled.chunks_exact_mut(3)) {
            let Some(relay) = slot else { continue };
            let mut events = 0;
            if relay.from_terminal.is_empty() {
                events |= libc::POLLIN;
            }
            if !relay.to_terminal.is_empty() {
                events |= libc::POLLOUT;
            }
            three[0] = libc::pollfd { fd: relay.master.as_raw_fd(), events, revents: 0 };
            if let Some(output) = &relay.output
                && !relay.from_terminal.is_empty()
            {
                three[1] =
                    libc::pollfd { fd: output.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
            }
            if let Some(input) = &relay.input
                && relay.to_terminal.is_empty()
            {
                three[2] = libc::pollfd { fd: input.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            }
        }
    }

    /// Moves what can be moved.
    pub fn relay(&mut self, polled: &[libc::pollfd]) {
        for (index, (slot, three)) in self.relays.iter_mut().zip(polled.chunks_exact(3)).enumerate()
        {
            let Some(relay) = slot else { continue };
            if three.iter().all(|one| one.revents == 0) {
                continue;
            }
            // SAFETY: two buffers were reserved for each index.
            let (up, down) = unsafe {
                let base = self.buffers.add(index * 2 * BUFFER);
                (
                    std::slice::from_raw_parts_mut(base, BUFFER),
                    std::slice::from_raw_parts_mut(base.add(BUFFER), BUFFER),
                )
            };
            if !relay.pump(up, down) {
                *slot = None;
            }
        }
    }
}

impl Relay {
    /// One round each way; `false` when the terminal is closed and all was passed on.
    fn pump(&mut self, up: &mut [u8], down: &mut [u8]) -> bool {
        let mut closed = false;
        if self.from_terminal.is_empty() {
            match read(self.master.as_raw_fd(), up) {
                Moved::Bytes(count) => self.from_terminal = Held { start: 0, end: count },
                Moved::Later => {}
                Moved::Closed => closed = true,
            }
        }
        if !self.from_terminal.is_empty() {
            match &self.output {
                Some(output) => {
                    let held = &up[self.from_terminal.start..self.from_terminal.end];
                    match write(output.as_raw_fd(), held) {
                        Moved::Bytes(count) => self.from_terminal.start += count,
                        Moved::Later => {}
                        Moved::Closed => self.output = None,
                    }
                }
                // Nobody listens: the command must not stop for that.
                None => self.from_terminal = Held::default(),
            }
        }
        if self.to_terminal.is_empty()
            && let Some(input) = &self.input
        {
            match read(input.as_raw_fd(), down) {
                Moved::Bytes(count) => self.to_terminal = Held { start: 0, end: count },
                Moved::Later => {}
                Moved::Closed => {
                    // The end of input at a terminal is a character.
                    down[0] = 4;
                    self.to_terminal = Held { start: 0, end: 1 };
                    self.input = None;
                }
            }
        }
        if !self.to_terminal.is_empty() {
            let held = &down[self.to_terminal.start..self.to_terminal.end];
            match write(self.master.as_raw_fd(), held) {
                Moved::Bytes(count) => self.to_terminal.start += count,
                Moved::Later => {}
                Moved::Closed => self.to_terminal = Held::default(),
            }
        }
        !(closed && self.from_terminal.is_empty())
    }
}

enum Moved {
    Bytes(usize),
    Later,
    Closed,
}

fn read(fd: i32, buffer: &mut [u8]) -> Moved {
    // SAFETY: reads into the buffer only.
    judge(unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) })
}

fn write(fd: i32, bytes: &[u8]) -> Moved {
    // SAFETY: reads the bytes only.
    judge(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) })
}

fn judge(result: isize) -> Moved {
    match usize::try_from(result) {
        Ok(0) => Moved::Closed,
        Ok(count) => Moved::Bytes(count),
        Err(_) => match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Moved::Later,
            _ => Moved::Closed,
        },
    }
}
