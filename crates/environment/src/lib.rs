//! Environments: from a recipe to what a sandbox is made of.
//!
//! [`recipe`] reads `.quire/environment.toml`; [`host`] says what of the person's own machine is
//! shown beside the repository, from the lists in [`toolchains`] and [`build_dirs`].

pub mod build_dirs;
pub mod host;
pub mod recipe;
pub mod toolchains;
