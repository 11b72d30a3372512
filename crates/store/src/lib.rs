//! Tasks, turns, attempts, inputs, environments and their secrets: the SQL truth, kept in
//! `quire.db`.
//!
//! One [`Store`] serves one process; several processes may have the same file open. Every write is
//! one short transaction, and what an attempt's worker writes carries its epoch: a stale epoch is
//! refused as [`StoreError::Fenced`].

mod again;
mod audit;
mod change;
mod claim;
mod connection;
mod copy;
mod environment;
mod error;
mod figures;
mod fold;
mod heed;
mod ids;
mod input;
mod list;
mod outbox;
mod postgres;
mod queue;
mod quota;
mod read;
mod repository;
mod rows;
mod seal;
mod secret;
mod session;
mod share;
mod show;
mod sign_in;
mod sql;
mod sqlite;
mod store;
mod submit;
mod subscription;
mod team;
mod token;
mod usage;
mod user;

pub use audit::{Actor, AuditFilter, AuditRow, Note};
pub use change::Changes;
pub use claim::{Claim, Lease, Write};
pub use environment::{NewEnvironment, StoredEnvironment};
pub use error::{ClaimError, StoreError};
pub use figures::Figures;
pub use ids::{CountedIds, NewIds, RandomIds};
pub use input::{Input, InputKind, NewInput, Spoken};
pub use list::{ListFilter, Listed, Page};
pub use outbox::{Delivery, DeliveryState, Notice, NoticeKind, Tried};
pub use queue::Taken;
pub use quota::ProviderWindow;
pub use repository::{Push, StoredRepository, is_repository_name};
pub use seal::{SEAL_KEY_BYTES, SealError, SealKey, Sealed};
pub use secret::{SecretInfo, SecretScope};
pub use session::Session;
pub use share::ShareLink;
pub use sign_in::{Failures, Known, Means};
pub use store::Store;
pub use submit::{FollowUp, NewTask, Submission};
pub use subscription::{Channel, Subscription};
pub use team::{Member, Team};
pub use token::{NewToken, Token};
pub use usage::{UsageBy, UsageFilter, UsageLine, UsageRow, UsageSum};
pub use user::{Identity, NewUser, User, UserChange};
