//! The native backend: namespaces, overlays and filters of this Linux.

mod backend;
mod behind;
mod changes;
mod command;
mod etc;
mod files;
mod flush;
mod group_places;
mod groups;
mod guest;
mod limits_met;
pub mod measure;
mod owner;
mod planning;
mod processes;
mod report;
mod sandbox;
mod slots;
mod stems;
mod sweep;
mod system;
mod upper;
mod watch;

pub use backend::{NativeBackend, NativeConfig};
