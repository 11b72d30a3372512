//! Process 1 of a sandbox: starts commands, tells of their ends, buries orphans.
//!
//! It uses nothing but system calls, and its loop allocates nothing. What needs memory (reading
//! and changing files) is done by children that live for one request.

pub mod change;
pub mod fold;
mod helper;
mod read;
mod serve;
mod start;
mod terminal;

/// Where a change of files keeps its journal, inside.
pub const JOURNAL: &str = "/var/lib/quire-journal";

/// Where the content of `/tmp` waits while a sandbox is folded, inside.
pub const SAVED_TMP: &str = "/var/lib/quire-tmp";

/// Serves until the host or the zygote is gone.
pub fn run(socket: i32, life: i32) -> ! {
    serve::run(socket, life)
}
