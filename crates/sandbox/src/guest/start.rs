//! Starting a command: a fork that shares memory until it executes, so that it costs what it
//! costs outside.

use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use super::serve::Descriptors;
use super::terminal::{Terminal, Terminals};
use crate::frames::io;
use crate::sys;

/// How a command is to be connected.
#[derive(Clone, Copy)]
pub struct Start {
    /// One of [`io`].
    pub io: u32,
    /// Columns of its terminal.
    pub columns: u32,
    /// Rows of its terminal.
    pub rows: u32,
}

/// The stack that the child runs on until it executes.
pub struct ChildStack(*mut u8);

const STACK: usize = 64 * 1024;

impl ChildStack {
    /// Reserves it; its pages come when they are touched.
    pub fn new() -> Self {
        Self(anonymous(STACK))
    }
}

fn anonymous(length: usize) -> *mut u8 {
    // SAFETY: a new mapping that overlaps nothing.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED { sys::exit_now(72) } else { memory.cast() }
}

/// What the child needs; in memory that it shares with us.
struct Child {
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
    workdir: *const libc::c_char,
    input: i32,
    output: i32,
    error: i32,
    terminal: bool,
    /// Written by the child when it cannot go on.
    errno: i32,
    path: [u8; 4096],
}

/// Starts what the request in the first descriptor says. The process id, or why not.
pub fn start(
    start: Start,
    fds: &mut Descriptors,
    terminals: &mut Terminals,
    stack: &ChildStack,
) -> Result<i32, i32> {
    let request = fds.take(0).ok_or(libc::EINVAL)?;
    let output = fds.take(1).ok_or(libc::EINVAL)?;
    let third = fds.take(2);
    let fourth = fds.take(3);
    let mapped = Mapped::of(&request)?;
    let words = Words::parse(mapped.bytes())?;
    let mut child = Child {
        argv: words.argv(),
        envp: words.envp(),
        workdir: words.workdir,
        input: 0,
        output: output.as_raw_fd(),
        error: output.as_raw_fd(),
        terminal: false,
        errno: 0,
        path: [0; 4096],
    };
    let mut slave = None;
    match start.io {
        io::INPUT_OUTPUT => child.input = third.as_ref().ok_or(libc::EINVAL)?.as_raw_fd(),
        io::SEPARATE => child.error = third.as_ref().ok_or(libc::EINVAL)?.as_raw_fd(),
        io::INPUT_SEPARATE => {
            child.error = third.as_ref().ok_or(libc::EINVAL)?.as_raw_fd();
            child.input = fourth.as_ref().ok_or(libc::EINVAL)?.as_raw_fd();
        }
        io::TERMINAL => {
            let (terminal, opened) = Terminal::open(start.columns, start.rows)?;
            child.input = opened.as_raw_fd();
            child.output = child.input;
            child.error = child.input;
            child.terminal = true;
            slave = Some((terminal, opened));
        }
        _ => {}
    }
    if slave.is_some() && terminals.is_full() {
        return Err(libc::EAGAIN);
    }
    let pid = fork_and_execute(&mut child, stack)?;
    if let Some((terminal, _)) = slave {
        let input = third.ok_or(libc::EINVAL)?;
        terminals.add(terminal.with_pipes(pid, output, input));
    }
    Ok(pid)
}

fn fork_and_execute(child: &mut Child, stack: &ChildStack) -> Result<i32, i32> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: with CLONE_VFORK we are stopped until the child has executed or ended, so the
    // shared stack and structure are its alone meanwhile.
    let pid = unsafe {
        libc::clone(execute, stack.0.add(STACK).cast(), flags, ptr::from_mut(child).cast())
    };
    if pid < 0 {
        return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
    }
    // SAFETY: the child wrote it through its pointer.
    match unsafe { ptr::read_volatile(&raw const child.errno) } {
        0 => Ok(pid),
        errno => Err(errno),
    }
}

/// Runs in the child; returns only when the command cannot be executed.
extern "C" fn execute(argument: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the parent passes its `Child` and is stopped until we are done with it. Only
    // system calls are made.
    unsafe {
        let child = &mut *argument.cast::<Child>();
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::setsid();
        libc::dup2(child.input, 0);
        libc::dup2(child.output, 1);
        libc::dup2(child.error, 2);
        if child.terminal {
            libc::ioctl(0, libc::TIOCSCTTY, 0);
        }
        if libc::chdir(child.workdir) == 0 {
            search_and_execute(child);
        }
        child.errno = *libc::__errno_location();
        if child.errno == 0 {
            child.errno = libc::ENOENT;
        }
        libc::_exit(127)
    }
}

/// Tries the program in each directory of the command's own `PATH`.
unsafe fn search_and_execute(child: &mut Child) {
    // SAFETY: the pointers lead to NUL-terminated words that outlive the call.
    unsafe {
        let program = *child.argv;
        if libc::strchr(program, i32::from(b'/')).is_null() {
            let mut denied = false;
            let mut directory = variable(child.envp, b"PATH=").unwrap_or(c"/usr/bin:/bin".as_ptr());
            loop {
                let end = libc::strchr(directory, i32::from(b':'));
                let length = if end.is_null() {
                    libc::strlen(directory)
                } else {
                    end.offset_from(directory).unsigned_abs()
                };
                let name = libc::strlen(program);
                if length > 0 && length + name + 2 <= child.path.len() {
                    let path = child.path.as_mut_ptr();
                    ptr::copy_nonoverlapping(directory.cast(), path, length);
                    *path.add(length) = b'/';
                    ptr::copy_nonoverlapping(program.cast(), path.add(length + 1), name + 1);
                    libc::execve(path.cast(), child.argv, child.envp);
                    match *libc::__errno_location() {
                        libc::ENOENT | libc::ENOTDIR => {}
                        libc::EACCES => denied = true,
                        _ => return,
                    }
                }
                if end.is_null() {
                    break;
                }
                directory = end.add(1);
            }
            *libc::__errno_location() = if denied { libc::EACCES } else { libc::ENOENT };
        } else {
            libc::execve(program, child.argv, child.envp);
        }
    }
}

/// The value of a variable in an environment.
unsafe fn variable(
    mut envp: *const *const libc::c_char,
    name: &[u8],
) -> Option<*const libc::c_char> {
    // SAFETY: the list ends with a null pointer and its words are NUL-terminated.
    unsafe {
        while !(*envp).is_null() {
            if libc::strncmp(*envp, name.as_ptr().cast(), name.len()) == 0 {
                return Some((*envp).add(name.len()));
            }
            envp = envp.add(1);
        }
    }
    None
}

/// A memory file mapped for reading.
struct Mapped {
    memory: *mut libc::c_void,
    length: usize,
}

impl Mapped {
    fn of(file: &OwnedFd) -> Result<Self, i32> {
        // SAFETY: plain structure; the mapping is new and private.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(file.as_raw_fd(), &raw mut stat) < 0 || stat.st_size <= 0 {
                return Err(libc::EINVAL);
            }
            let length = usize::try_from(stat.st_size).map_err(|_| libc::E2BIG)?;
            let memory = libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            );
            if memory == libc::MAP_FAILED {
                return Err(libc::ENOMEM);
            }
            Ok(Self { memory, length })
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has this length and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.memory.cast(), self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: made by `of`.
        unsafe { libc::munmap(self.memory, self.length) };
    }
}

/// `[argc, envc]` and then NUL-terminated words: arguments, environment, working directory.
struct Words {
    pointers: *mut *const libc::c_char,
    bytes: usize,
    environment_at: usize,
    workdir: *const libc::c_char,
}

impl Words {
    fn parse(request: &[u8]) -> Result<Self, i32> {
        let argc = crate::wire::u32_at(request, 0) as usize;
        let envc = crate::wire::u32_at(request, 4) as usize;
        if argc == 0 || request.len() < 8 || argc + envc > request.len() {
            return Err(libc::EINVAL);
        }
        let bytes = (argc + envc + 2) * size_of::<*const libc::c_char>();
        let pointers: *mut *const libc::c_char = anonymous(bytes).cast();
        let mut words = Self { pointers, bytes, environment_at: argc + 1, workdir: ptr::null() };
        let mut rest = &request[8..];
        let mut next = || {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(libc::EINVAL)?;
            let word = rest.as_ptr().cast();
            rest = &rest[end + 1..];
            Ok::<_, i32>(word)
        };
        for index in 0..argc + envc {
            let slot = if index < argc { index } else { index + 1 };
            let word = next()?;
            // SAFETY: the table has room for every word and two nulls, which it starts out as.
            unsafe { *pointers.add(slot) = word };
        }
        words.workdir = next()?;
        Ok(words)
    }

    fn argv(&self) -> *const *const libc::c_char {
        self.pointers
    }

    fn envp(&self) -> *const *const libc::c_char {
        // SAFETY: within the table.
        unsafe { self.pointers.add(self.environment_at) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: made by `parse`.
        unsafe { libc::munmap(self.pointers.cast(), self.bytes) };
    }
}
