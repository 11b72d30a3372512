//! Bases that are not the host: images of registries, tars and directories, as read-only layers.
//!
//! [`Images::base`] turns a [`quire_domain::environment::BaseSpec`] into a [`Base`]: layers for
//! [`quire_domain::sandbox::SandboxBase::Layers`], an identity for the snapshot's key, and what the
//! image says about variables, working directory and user. What a registry or a tar holds is
//! untrusted: it is checked against its digests while it comes in, and unpacked inside a throw-away
//! sandbox by this same program ([`unpack_layer`]).
//!
//! Reasons and figures: `docs/design/images.md`.

mod base;
mod digest;
mod directory;
mod error;
mod image;
mod images;
mod inside;
mod layers;
mod manifest;
mod progress;
mod reference;
mod registry;
mod settings;
mod store;
mod tar_file;
mod unpack;
mod usable;

pub use base::{Base, Hold, Known, Lack, LackKind};
pub use digest::Digest;
pub use error::{ImageError, TooLarge};
pub use images::{Evicted, Images, ImagesConfig};
pub use inside::unpack_layer;
pub use progress::{Progress, Watcher};
pub use reference::{BadReference, Reference};
pub use settings::{Credential, Limits, PrivateHosts, Settings, Timing};
