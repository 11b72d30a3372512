//! What the connections of one door share: policy, authority, counters, audit.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::audit::Audit;
use crate::authority::Authority;
use crate::denied::{Denied, DeniedHosts};
use crate::door::Traffic;
use crate::error::EgressError;
use crate::policy::Policy;
use crate::proxy::Shared;
use crate::trust::Trust;

/// The inside of a door.
pub(crate) struct Room {
    pub(crate) shared: Arc<Shared>,
    pub(crate) policy: Policy,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) authority: Authority,
    pub(crate) slots: Arc<Semaphore>,
    denied: Mutex<DeniedHosts>,
    traffic: Mutex<Traffic>,
}

impl Room {
    pub(crate) fn new(
        shared: Arc<Shared>,
        policy: Policy,
        audit: Arc<dyn Audit>,
    ) -> Result<Self, EgressError> {
        let slots = Arc::new(Semaphore::new(shared.settings.limits.connections));
        Ok(Self {
            shared,
            policy,
            audit,
            authority: Authority::new()?,
            slots,
            denied: Mutex::default(),
            traffic: Mutex::default(),
        })
    }

    /// See [`crate::Door::trust`].
    pub(crate) fn trust(&self) -> Trust {
        Trust::new(self.authority.certificate(), &self.shared.roots().certificates)
    }

    /// See [`crate::Door::denied`].
    pub(crate) fn denied(&self) -> Vec<Denied> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    /// See [`crate::Door::traffic`].
    pub(crate) fn traffic(&self) -> Traffic {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
