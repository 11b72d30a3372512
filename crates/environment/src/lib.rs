//! Environments: from a recipe to what a sandbox is made of.
//!
//! [`recipe`] reads `.quire/environment.toml`, [`detect`] says what lock files call for,
//! [`import`] translates what others have written down; [`host`]
//! says what of the person's own machine is shown beside the repository, from the lists in
//! [`toolchains`] and [`build_dirs`]; [`offline`] what package managers are told of a closed
//! network; [`image_variables`] what commands are given of an image's own; [`snapshot`] makes and
//! keeps what setup wrote.

pub mod build_dirs;
pub mod detect;
pub mod generated;
pub mod host;
pub mod image_variables;
pub mod import;
pub mod offline;
mod places;
pub mod recipe;
pub mod snapshot;
pub mod toolchains;
