#![allow(
    clippy::todo,
    clippy::unused_async,
    unused_variables,
    dead_code,
    unused_imports,
    unused_mut
)]
//! Tasks, turns, attempts and inputs: the SQL truth, kept in `quire.db`.
//!
//! One [`Store`] serves one process; several processes may have the same file open. Every write is
//! one short transaction, and what an attempt's worker writes carries its epoch: a stale epoch is
//! refused as [`StoreError::Fenced`].

mod error;
mod ids;
mod input;
mod list;
mod store;
mod submit;

pub use error::{ClaimError, StoreError};
pub use ids::{CountedIds, NewIds, RandomIds};
pub use input::{Input, InputKind, NewInput};
pub use list::{ListFilter, Listed, Page};
pub use store::{Claim, Lease, Store, Write};
pub use submit::{FollowUp, NewTask, Submission};
