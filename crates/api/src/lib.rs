//! The words of the wire: what a server is asked and what it answers. No I/O.
//!
//! One file for each resource. A type says in its own words what it means; the OpenAPI document is
//! generated from these words. Fields may be added, never taken away or given another meaning:
//! who reads must ignore what it does not know.

mod problem;
mod server;

pub use problem::{Problem, ProblemKind};
pub use server::{Me, Membership, Ready, ServerInfo};
