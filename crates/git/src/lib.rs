//! Mirrors, checkouts, packs in and out: the only place that starts git on the host.
//!
//! Host git never runs in a tree that an agent could write. Working trees for sandboxes are made
//! from bare mirrors ([`Git::checkout_layer`]), what an agent did comes back as a pack that is
//! checked before it is kept ([`Git::receive`]), and what people see is read from there.

mod addresses;
mod adopt;
mod apply;
mod attempt;
mod branch;
mod bring;
mod build_layer;
mod capture;
mod capture_store;
mod checkpoints;
mod config;
mod conflict;
mod decide;
mod discover;
mod error;
mod evict;
mod excludes;
mod here;
mod hooks;
mod index;
mod inside;
mod inspect;
mod layer;
mod lock;
mod log;
mod manifest;
mod merge;
mod mirror;
mod moves;
mod nearest;
mod ownership;
mod path;
mod process;
mod push;
mod reachable;
mod readings;
mod receive;
mod refs;
mod remembered;
mod remote;
mod reopen;
mod repository;
mod resolve;
mod results;
mod run;
mod send;
mod settings;
mod sha1;
mod status;
mod task_repository;
mod transfer;
mod version;
mod worktree;

pub use addresses::is_same_address;
pub use apply::{Applied, ApplyReport, OnConflict};
pub use attempt::{AttemptGit, AttemptGitDir};
pub use branch::BranchReport;
pub use build_layer::SANDBOX_UID;
pub use capture::{Captured, SourceTimes};
pub use config::{Git, GitConfig, PersonSettings};
pub use conflict::{Conflict, ConflictKind};
pub use error::GitError;
pub use evict::Evicted;
pub use inside::{
    CAPTURE_INSIDE, OBJECTS_INSIDE, add_all_argv, branch_argv, brief_status_argv, commit_argv,
    export_argv, head_argv, is_ancestor_argv, status_argv,
};
pub use inspect::Checkout;
pub use layer::{CacheWord, CheckoutLayer, LayerTimes};
pub use log::CommitInfo;
pub use manifest::LayerManifest;
pub use mirror::Mirror;
pub use path::RepoPath;
pub use push::PushLimits;
pub use readings::{ChangeStatus, ChangedPath, UnifiedDiff};
pub use receive::{ReceiveLimits, Received};
pub use remote::{RemoteHead, public_address};
pub use repository::{ObjectFormat, Repository};
pub use results::ResultStore;
pub use status::{ChangedEntry, Status, parse_status};
pub use task_repository::TaskRepository;
pub use version::{GitVersion, MINIMUM_GIT};
