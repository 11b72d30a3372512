//! Who asks, and what they may.
//!
//! A route names the right that it needs as a type: `May<ReadTasks>`. It then has a [`Who`], and
//! asks it about the thing at hand: another team's is not found.

mod cookie;
pub(crate) mod gate;
pub mod local;
mod lockout;
mod may;
pub(crate) mod oidc;
pub mod password;
mod proxy;
mod rights;
pub mod secrets;
mod sign_in;
mod who;

pub use gate::{Access, CSRF_HEADER};
pub use may::May;
pub use oidc::{BadProvider, Grant, ProviderSettings};
pub use proxy::{BadNetwork, Encrypted, Network};
pub use rights::{
    ManageServer, ManageTeam, Needs, ReadAudit, ReadEnvironments, ReadTasks, ReadUsage, SignedIn,
    WriteEnvironments, WriteTasks,
};
pub use who::{In, Who};

pub(crate) use cookie::{clear as clear_cookie, header as cookie_header, value_of};
pub(crate) use lockout::network;
pub(crate) use proxy::forwarded;
pub(crate) use sign_in::{begin, of_password, with_link, with_password};
