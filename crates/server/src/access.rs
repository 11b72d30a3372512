//! Who asks, and what they may.
//!
//! A route names the right that it needs as a type: `May<ReadTasks>`. It then has a [`Who`], and
//! asks it about the thing at hand: another team's is not found.

mod alone;
mod may;
mod rights;
mod who;

pub use alone::Access;
pub use may::May;
pub use rights::{
    ManageServer, ManageTeam, Needs, ReadAudit, ReadEnvironments, ReadTasks, ReadUsage, SignedIn,
    WriteEnvironments, WriteTasks,
};
pub use who::{In, Who};
