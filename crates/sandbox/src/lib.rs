//! Sandboxes: one folder per backend.
//!
//! - [`zygote`]: the small process from which every sandbox is forked; started first thing.
//! - [`native`]: namespaces, overlays and filters of this Linux, behind the domain's contract.
//!
//! `docs/design/sandbox.md` has the reasons and the figures.

mod build;
mod frames;
mod guest;
pub mod native;
mod plan;
mod sys;
mod wire;
pub mod zygote;

pub use native::{NativeBackend, NativeConfig};
pub use zygote::Zygote;
