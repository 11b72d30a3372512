//! One attempt at what a sandbox must refuse, or at what must work in it; says what became of it.
//!
//! `quire-trial NAME [ARGUMENT]...` prints `allowed [DETAIL]` or `refused ERRNO [DETAIL]`. With
//! `--apart` first, it takes namespaces of its own, so that an attempt can be made on the bare host
//! and changes nothing there. Only for the tests of this crate.
#![allow(clippy::print_stdout, reason = "printing is its job")]

mod files;
mod identity;
mod limits;
mod mounts;
mod namespaces;
mod processes;
mod sockets;
mod surface;
mod terminals;
mod uses;

use std::io;

/// What it was allowed to do, or the error number it was refused with.
type Answer = Result<String, i32>;

/// An attempt by its name.
type Trial = (&'static str, fn(&[String]) -> Answer);

fn main() {
    // A limit of file sizes then answers with an error number.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--apart") {
        arguments.remove(0);
        if let Err(error) = namespaces::stand_apart() {
            println!("cannot stand apart: {error}");
            std::process::exit(2);
        }
    }
    let tables = [
        namespaces::TRIALS,
        mounts::TRIALS,
        processes::TRIALS,
        surface::TRIALS,
        identity::TRIALS,
        terminals::TRIALS,
        sockets::TRIALS,
        files::TRIALS,
        limits::TRIALS,
        uses::TRIALS,
    ];
    let name = arguments.first().cloned().unwrap_or_default();
    let found = tables.into_iter().flatten().find(|(known, _)| *known == name);
    let Some((_, trial)) = found else {
        println!("there is no trial `{name}`");
        std::process::exit(2);
    };
    match trial(&arguments[1..]) {
        Ok(detail) => println!("allowed {detail}"),
        Err(errno) => println!("refused {errno} {}", io::Error::from_raw_os_error(errno)),
    }
}

/// A system call with numbers, or pointers to what outlives it, for arguments.
macro_rules! call {
    ($number:expr $(, $argument:expr)*) => {
        // SAFETY: the arguments are numbers or point to what outlives the call.
        crate::answer(unsafe { libc::syscall($number $(, $argument)*) })
    };
}
pub(crate) use call;

/// The result of a call, or its error number.
fn answer(result: impl Into<i64>) -> Answer {
    let result = result.into();
    if result < 0 { Err(errno()) } else { Ok(result.to_string()) }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// The error number of what the standard library did.
fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// The argument at `index`, as a number; 0 without.
fn numeric(arguments: &[String], index: usize) -> i64 {
    arguments.get(index).and_then(|argument| argument.parse().ok()).unwrap_or(0)
}

/// Runs `body` in a child; how it ended: its exit code, or 128 and the signal.
fn in_child(body: impl FnOnce() -> i32) -> Result<i32, i32> {
    // SAFETY: this process has one thread, and the child ends here.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(errno());
    }
    if child == 0 {
        let code = body();
        // SAFETY: does not return.
        unsafe { libc::_exit(code) };
    }
    wait(child)
}

fn wait(child: i32) -> Result<i32, i32> {
    let mut status = 0;
    // SAFETY: writes the status only.
    if unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        return Err(errno());
    }
    Ok(if libc::WIFSIGNALED(status) {
        128 + libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    })
}
