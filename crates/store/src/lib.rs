//! Tasks, turns, attempts, inputs, environments and their secrets: the SQL truth, kept in
//! `quire.db`.
//!
//! One [`Store`] serves one process; several processes may have the same file open. Every write is
//! one short transaction, and what an attempt's worker writes carries its epoch: a stale epoch is
//! refused as [`StoreError::Fenced`].

mod change;
mod claim;
mod connection;
mod environment;
mod error;
mod fold;
mod ids;
mod input;
mod list;
mod queue;
mod read;
mod rows;
mod seal;
mod secret;
mod sql;
mod sqlite;
mod store;
mod submit;

pub use change::Changes;
pub use claim::{Claim, Lease, Write};
pub use environment::{NewEnvironment, StoredEnvironment};
pub use error::{ClaimError, StoreError};
pub use ids::{CountedIds, NewIds, RandomIds};
pub use input::{Input, InputKind, NewInput};
pub use list::{ListFilter, Listed, Page};
pub use queue::Taken;
pub use seal::{SEAL_KEY_BYTES, SealError, SealKey, Sealed};
pub use secret::{SecretInfo, SecretScope};
pub use store::Store;
pub use submit::{FollowUp, NewTask, Submission};
