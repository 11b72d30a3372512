//! The HTTP API from outside: what the command line speaks to a server.
//!
//! A [`Client`] is one server and one person. Every wait has a limit and every answer a bound; a
//! request is sent again only where that does nothing twice.

mod address;
mod connection;
mod download;
mod error;
mod events;
mod request;
mod sign_in;
mod wire;

pub use address::{BadAddress, ServerAddress};
pub use connection::{Client, Config};
pub use download::Download;
pub use error::ClientError;
pub use events::{Feed, Heard};
pub use request::{Call, Once};
