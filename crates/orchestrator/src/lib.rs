//! Takes an attempt from the queue to its outcome.
//!
//! [`submit`] writes a turn down, [`life`] runs one of its attempts: it claims it, prepares its
//! sandbox ([`prepare`]) beside the first model request, hands the loop of `quire_agent` what it
//! needs ([`inputs`], [`purse`], [`instructions`], [`finish`]), collects what was made and signs
//! the evidence ([`seal`]). Everything that happens goes through the [`recorder`].

pub mod backup;
mod base;
pub mod bases;
mod captures;
mod check_out;
mod checkpoint;
pub mod dispatch;
pub mod ending;
pub mod error;
pub mod finish;
pub mod fork;
pub mod found;
mod frozen;
pub mod gateway;
mod generated;
mod hold;
pub mod inbox;
pub mod inputs;
pub mod instructions;
pub mod keep;
pub mod known_secrets;
pub mod lease;
pub mod leaving;
pub mod life;
pub mod local_record;
pub mod make_snapshot;
mod not_filled;
pub mod plan;
pub mod pool;
pub mod prepare;
mod progress;
pub mod purse;
pub mod readings;
pub mod reconcile;
pub mod recorder;
pub mod redacted;
mod redacted_log;
pub mod rerun;
pub mod resolution;
pub mod restore;
pub mod say;
pub mod scratch;
pub mod seal;
pub mod secrets_key;
pub mod seen;
pub mod services;
pub mod setup;
pub mod submit;
mod time_limits;
mod touched;
pub mod way_out;
pub mod worker;
