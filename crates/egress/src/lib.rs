//! The only way out of a sandbox: a proxy with rules, pinned names and a record of every request.
//!
//! [`EgressProxy`] is shared by all sandboxes of a worker. [`EgressProxy::open`] gives a [`Door`]
//! for one of them: it takes the listening sockets that the sandbox hands out
//! ([`quire_domain::sandbox::ListenerSink`]), serves what comes in by a [`Policy`], and tells an
//! [`Audit`] what became of each request. [`environment`] and [`Door::trust`] are what the sandbox
//! has to be given so that its programs find the proxy and believe its certificates.
//!
//! ```no_run
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! # use std::{path::Path, sync::Arc};
//! # use quire_domain::{network::NetworkPolicy, sandbox::EgressDoor};
//! # use quire_egress::{AuditQueue, EgressProxy, EgressSettings, Policy, environment};
//! let proxy = EgressProxy::new(EgressSettings::default());
//! let rules = vec!["registry.example GET,HEAD".parse()?];
//! let policy = Policy { network: NetworkPolicy::Rules(rules), ..Policy::default() };
//! let (queue, mut records) = AuditQueue::new(1024);
//! let door = proxy.open(policy, Arc::new(queue))?;
//! let egress = EgressDoor { port: 3128, sink: door.sink() };
//! let variables = environment(egress.port, Path::new("/run/quire/ca.pem"));
//! // … a sandbox is made with `egress`, `variables` and the files of `door.trust()` …
//! tokio::spawn(async move {
//!     while let Some(merged) = records.next().await {
//!         // … each of `merged` is an event: `record.into_event()` …
//!     }
//! });
//! let footer = door.denied();
//! door.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Reasons and figures: `docs/design/egress.md`.

mod accept;
mod audit;
mod authority;
mod body;
mod connection;
mod decide;
mod denied;
mod descriptors;
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
mod origin;
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

pub use audit::{Asking, Audit, AuditQueue, AuditReceiver, AuditRecord, Lost};
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
