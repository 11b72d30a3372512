//! The native backend: namespaces, overlays and filters of this Linux.

mod backend;

pub use backend::{NativeBackend, NativeConfig};
