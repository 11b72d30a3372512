//! What all doors of a worker share.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use tokio::sync::{Notify, Semaphore};

use crate::audit::Audit;
use crate::descriptors::Spare;
use crate::door::Door;
use crate::error::EgressError;
use crate::limits::EgressLimits;
use crate::parent::Parent;
use crate::policy::Policy;
use crate::private::PrivateHost;
use crate::resolver::{Resolver, SystemResolver};
use crate::roots::{Loaded, Roots};

/// How a worker reaches the world.
#[derive(Clone)]
pub struct EgressSettings {
    /// Which certificate authorities upstream servers are checked against.
    pub roots: Roots,
    /// The proxy that the worker itself has to go through.
    pub parent: Option<Parent>,
    /// Hosts with private addresses that an administrator lets sandboxes reach.
    pub private: Vec<PrivateHost>,
    /// How names become addresses.
    pub resolver: Arc<dyn Resolver>,
    /// The bounds of each door.
    pub limits: EgressLimits,
}

impl Default for EgressSettings {
    /// The machine's certificates and resolver, no parent, nothing private.
    fn default() -> Self {
        Self {
            roots: Roots::system(),
            parent: None,
            private: Vec::new(),
            resolver: Arc::new(SystemResolver::default()),
            limits: EgressLimits::default(),
        }
    }
}

/// The egress proxy of a worker: makes doors. Cheap to clone.
#[derive(Clone)]
pub struct EgressProxy {
    shared: Arc<Shared>,
}

/// What every connection of every door needs.
pub(crate) struct Shared {
    pub(crate) settings: EgressSettings,
    /// Turns of all sandboxes together.
    pub(crate) slots: Arc<Semaphore>,
    /// A connection of any sandbox waits for a place.
    pub(crate) crowded: Notify,
    /// Lets a connection be answered where no descriptor is left.
    pub(crate) spare: Spare,
    roots: OnceLock<Loaded>,
    client: OnceLock<Arc<ClientConfig>>,
}

impl EgressProxy {
    /// A proxy with these settings. Opens nothing and reads nothing yet.
    pub fn new(settings: EgressSettings) -> Self {
        let slots = Arc::new(Semaphore::new(slots(&settings.limits)));
        let (roots, client) = (OnceLock::new(), OnceLock::new());
        let (crowded, spare) = (Notify::new(), Spare::new());
        Self { shared: Arc::new(Shared { settings, slots, crowded, spare, roots, client }) }
    }

    /// A way out for one sandbox. It is served on the runtime that this is called on, until the
    /// door is closed or dropped.
    ///
    /// # Errors
    ///
    /// [`EgressError::NoRuntime`] outside of a runtime.
    pub fn open(&self, policy: Policy, audit: Arc<dyn Audit>) -> Result<Door, EgressError> {
        Door::open(Arc::clone(&self.shared), policy, audit)
    }
}

/// Descriptors that a connection may take: both ends, and a pipe for each direction.
const DESCRIPTORS: u64 = 6;

/// How many connections of all sandboxes are served at once: what the limits say, and no more than
/// leave the worker half of the descriptors that it may open.
fn slots(limits: &EgressLimits) -> usize {
    let open = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let share = open.map_or(u64::MAX, |open| open / 2 / DESCRIPTORS).max(1);
    limits.connections_in_all.min(usize::try_from(share).unwrap_or(usize::MAX))
}

impl Shared {
    /// The certificate authorities, read from disk the first time.
    pub(crate) fn roots(&self) -> &Loaded {
        self.roots.get_or_init(|| self.settings.roots.load())
    }

    /// How upstream servers are spoken to over TLS.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, EgressError> {
        if let Some(client) = self.client.get() {
            return Ok(Arc::clone(client));
        }
        let client = self.roots().client()?;
        Ok(Arc::clone(self.client.get_or_init(|| client)))
    }
}
