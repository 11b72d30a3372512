//! Snapshots: what setup wrote, kept as read-only layers and laid beneath later attempts.
//!
//! [`key`] says what one hangs on, [`mod@decide`] whether there is one that fits, [`build`] makes one,
//! [`kept`] is where they lie and when they go. Reasons: `docs/design/environments.md`.

mod advice;
pub mod build;
pub mod clean;
pub mod decide;
mod failing_line;
mod hold;
pub mod kept;
pub mod key;
mod left_running;
pub mod manifest;
mod output;
pub mod search;
mod searched;
pub mod variables;

pub use build::{Build, SetupError, SetupLog, What};
pub use decide::{Decision, Wanted, decide};
pub use kept::{Kept, Making, Snapshot, Snapshots};
pub use key::{Changed, Inputs, Key};
pub use manifest::Manifest;
