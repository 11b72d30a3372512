//! Sandboxes: one folder per backend.
//!
//! - [`zygote`]: the small process from which every sandbox is forked; started first thing.
//! - [`native`]: namespaces, overlays and filters of this Linux, behind the domain's contract.
//! - [`null`]: no isolation at all; for tests.
//!
//! `docs/design/sandbox.md` has the reasons and the figures.

mod build;
mod frames;
mod guest;
pub mod native;
pub mod null;
mod plan;
mod sys;
mod wire;
pub mod zygote;

pub use native::{NativeBackend, NativeConfig};
pub use null::NullBackend;
pub use zygote::Zygote;
