//! What must work: a sandbox that denies all is no sandbox.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::{Trial, answer, call, errno, in_child, number};

pub const TRIALS: &[Trial] = &[
    ("fork", |_| in_child(|| 7).map(|code| code.to_string())),
    ("thread", |_| {
        let joined = std::thread::spawn(|| 7).join();
        joined.map(|code| code.to_string()).map_err(|_| libc::EAGAIN)
    }),
    ("pair", |_| {
        let (mut one, mut other) = UnixStream::pair().map_err(|error| number(&error))?;
        one.write_all(b"x").map_err(|error| number(&error))?;
        other.read_exact(&mut [0; 1]).map_err(|error| number(&error))?;
        answer(0)
    }),
    ("terminal", |_| {
        // SAFETY: descriptors and buffers of our own.
        unsafe {
            let (mut master, mut slave) = (-1, -1);
            let none = std::ptr::null_mut();
            if libc::openpty(&raw mut master, &raw mut slave, none, none.cast(), none.cast()) < 0 {
                return Err(errno());
            }
            libc::write(slave, c"x".as_ptr().cast(), 1);
            let mut byte = [0_u8; 1];
            answer(i64::try_from(libc::read(master, byte.as_mut_ptr().cast(), 1)).unwrap_or(-1))
        }
    }),
    // As debuggers and tracers do with what they start.
    ("trace_child", |_| {
        // SAFETY: the child stops itself to be traced, and is ended.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                libc::raise(libc::SIGSTOP);
                libc::_exit(0);
            }
            let mut status = 0;
            libc::waitpid(child, &raw mut status, 0);
            let traced = libc::ptrace(libc::PTRACE_DETACH, child, 0, 0);
            let result = if libc::WIFSTOPPED(status) { answer(traced) } else { Err(libc::ECHILD) };
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, &raw mut status, 0);
            result
        }
    }),
    ("route_socket", |_| call!(libc::SYS_socket, 16, libc::SOCK_RAW, 0)),
    ("memory_file", |_| call!(libc::SYS_memfd_create, c"trial".as_ptr(), 0)),
    ("inotify", |_| call!(libc::SYS_inotify_init1, 0)),
    ("event_poll", |_| call!(libc::SYS_epoll_create1, 0)),
    ("execute_memory", |_| {
        let protection = libc::PROT_READ | libc::PROT_EXEC | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, kind, -1, 0) };
        if at == libc::MAP_FAILED { Err(errno()) } else { answer(0) }
    }),
    ("shared_memory", |_| {
        // SAFETY: a constant name.
        unsafe {
            let file =
                libc::shm_open(c"/quire-trial".as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600);
            libc::shm_unlink(c"/quire-trial".as_ptr());
            answer(file)
        }
    }),
];
