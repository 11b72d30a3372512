//! The words of Quire, their rules, and the contracts between its parts. No I/O.
//!
//! A [`task::Task`] has turns, a turn has attempts, an attempt has a log of [`event::Event`]s.
//! The contracts ([`model::Model`], [`sandbox::Sandbox`], [`journal::Journal`]) are what the
//! agent's loop is handed; who stands behind them it does not know.

pub mod access;
pub mod address;
pub mod attempt;
pub mod budget;
pub mod citation;
pub mod environment;
pub mod event;
pub mod ids;
pub mod journal;
pub mod model;
pub mod network;
pub mod path;
pub mod quota;
pub mod sandbox;
pub mod secret;
pub mod sizes;
pub mod task;
pub mod time;
pub mod transcript;
