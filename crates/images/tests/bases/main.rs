//! Bases made of what registries, tars and directories give: real sandboxes, a real registry where
//! one is installed, and a played one for what no real registry does on request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "tests")]

mod directories;
mod layers;
mod lies;
mod pulls;
mod real;
mod registry;
mod scene;
mod store;
mod tars;
