//! Scripted models and stages for scenarios: tests only.
//!
//! A [`Stage`] has a home of its own, real git repositories from `fixtures/repos`, a model that is
//! played over HTTP, and starts the built `quire` in it. Only the far end of the wire is played.
//! What cannot be set up panics: a test that has no stage has failed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this crate is part of tests; a stage that cannot be set up is a failed test"
)]

mod call;
pub mod fixtures;
pub mod hostile;
mod repository;
mod stage;
mod started;
mod terminal;

pub use call::{Call, Ended, KillAt};
pub use quire_models::play::{
    Call as ToolCall, Conversation, Fault, RecordedRequest, Script, Turn,
};
pub use repository::Repository;
pub use stage::Stage;
pub use started::Started;
pub use terminal::Terminal;
