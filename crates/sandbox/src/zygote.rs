//! The zygote: a small process, started first thing, from which every sandbox is forked.
//!
//! It is executed with an empty environment before any configuration or key is read; what it
//! never held, no sandbox can leak.

mod handle;
mod idmap;
mod measured;
mod open;
mod own;
mod raze;
mod remove;
mod serve;
mod spawn;
mod written;

pub(crate) use idmap::RANGE;
pub(crate) use spawn::FIRST_ID;

pub use handle::Zygote;

/// The first argument that marks a process as the zygote.
pub(crate) const MARKER: &str = "__zygote";

/// Whether this process was started as the zygote: then call [`main`], before all else.
pub fn is_zygote() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == MARKER)
}

/// Serves as the zygote on descriptor 3 until the parent is gone.
pub fn main() -> ! {
    serve::run()
}
