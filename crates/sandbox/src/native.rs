//! The native backend: namespaces, overlays and filters of this Linux.

mod backend;
mod command;
mod etc;
mod files;
mod guest;
mod planning;
mod sandbox;
mod slots;
mod upper;

pub use backend::{NativeBackend, NativeConfig};
