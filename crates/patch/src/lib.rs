//! The `*** Begin Patch` edit format: read what a model wrote, and apply it to bytes. No I/O.
//!
//! [`Patch::parse`] reads, [`apply()`] decides what the files become, all or nothing; the caller
//! reads and writes them. [`heredoc::find`] sees a patch inside a shell command, [`GRAMMAR`] is
//! for providers that constrain a tool's text. How forgiving each step is stands in
//! `docs/design/apply-patch.md`.

pub mod apply;
mod fault;
mod grammar;
pub mod heredoc;
mod lines;
mod markers;
mod nearest;
mod parse;
mod patch;
mod place;
mod print;
mod seek;
mod update;

pub use apply::{FileEdit, MAX_FILE_BYTES, Source, apply};
pub use fault::{ApplyError, Fault, FaultKind, Nearest};
pub use grammar::GRAMMAR;
pub use parse::{MAX_PATCH_BYTES, ParseError};
pub use patch::{FilePatch, Hunk, HunkLine, Patch};
pub use place::Place;
