//! How attempts come to the workers of this installation.

mod local;

pub use local::LocalDispatch;
