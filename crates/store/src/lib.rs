//! Tasks, turns, attempts and inputs: the SQL truth, kept in `quire.db`.
//!
//! One [`Store`] serves one process; several processes may have the same file open. Every write is
//! one short transaction, and what an attempt's worker writes carries its epoch: a stale epoch is
//! refused as [`StoreError::Fenced`].

mod claim;
mod connection;
mod error;
mod fold;
mod ids;
mod input;
mod list;
mod read;
mod rows;
mod sqlite;
mod store;
mod submit;

pub use claim::{Claim, Lease, Write};
pub use error::{ClaimError, StoreError};
pub use ids::{CountedIds, NewIds, RandomIds};
pub use input::{Input, InputKind, NewInput};
pub use list::{ListFilter, Listed, Page};
pub use store::Store;
pub use submit::{FollowUp, NewTask, Submission};
