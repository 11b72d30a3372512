//! The only way out of a sandbox: a proxy with rules, pinned names and a record of every request.
//!
//! [`EgressProxy`] is shared by all sandboxes of a worker. [`EgressProxy::open`] gives a [`Door`]
//! for one of them: it takes the listening sockets that the sandbox hands out
//! ([`quire_domain::sandbox::ListenerSink`]), serves what comes in by a [`Policy`], and tells an
//! [`Audit`] what became of each request. [`environment`] and [`Door::trust`] are what the sandbox
//! has to be given so that its programs find the proxy and believe its certificates.
//!
//! Reasons and figures: `docs/design/egress.md`.

mod accept;
mod address;
mod audit;
mod authority;
mod body;
mod connection;
mod decide;
mod denied;
mod dial;
mod door;
mod entry;
mod environment;
mod error;
mod exchange;
mod headers;
mod hello;
mod limits;
mod meter;
mod outer;
mod parent;
mod percent;
mod policy;
mod private;
mod proxy;
mod refusal;
mod relay;
mod request_path;
mod resolver;
mod room;
mod roots;
mod target;
mod trust;
mod tunnel;
mod upstream;

pub use audit::{Audit, AuditQueue, AuditReceiver, AuditRecord};
pub use denied::Denied;
pub use door::{Door, Traffic};
pub use environment::environment;
pub use error::EgressError;
pub use limits::EgressLimits;
pub use parent::{BadParent, Parent};
pub use policy::{BadCredential, Credential, Policy};
pub use private::{BadPrivateHost, PrivateHost};
pub use proxy::{EgressProxy, EgressSettings};
pub use resolver::{Resolver, SystemResolver};
pub use roots::{BadRoots, Roots};
pub use trust::Trust;
