//! What an attempt can prove: a hash chain over its log, checked citations, and a signed
//! statement that can be verified offline. No I/O.
//!
//! [`chain`] links and verifies events, [`citations`] reads citations from an answer and
//! [`resolve()`] looks where they lead,
//! [`staleness`] knows which commands ran before the last change, [`statement`] sums an attempt up from its log, [`dsse`] and
//! [`keys`] sign it, [`bundle`] holds all of it in one file,
//! [`about`] says what such a file is about, [`rerun`] compares repeated
//! commands. What that proves and what not: `docs/design/evidence.md`.

pub mod about;
pub mod bundle;
pub mod canonical;
pub mod chain;
pub mod citations;
pub mod digest;
pub mod dsse;
pub mod keys;
mod line_ranges;
mod near_forms;
pub mod record;
pub mod rerun;
mod resolve;
mod shown;
pub mod staleness;
pub mod statement;
mod verify;

pub use resolve::{MAX_CITED_BYTES, OpenedChunk, OpenedFile, Sources, file_lines, resolve};
pub use shown::ShownText;
