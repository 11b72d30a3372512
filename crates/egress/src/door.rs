//! The way out of one sandbox: takes its listeners, serves them, sums up, ends.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use quire_domain::sandbox::ListenerSink;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept;
use crate::audit::Audit;
use crate::decide;
use crate::denied::Denied;
use crate::error::EgressError;
use crate::policy::Policy;
use crate::proxy::Shared;
use crate::room::Room;
use crate::trust::Trust;

/// How long closing waits for connections to end. They are dropped, not finished: it is short.
const CLOSING: Duration = Duration::from_secs(5);

/// The way out of one sandbox. Dropping it ends every connection.
pub struct Door {
    frame: Arc<Frame>,
}

/// What serves.
struct Frame {
    room: Arc<Room>,
    runtime: Handle,
    ended: CancellationToken,
    tasks: TaskTracker,
    /// Ends what the listener before served.
    serving: Mutex<CancellationToken>,
}

/// What went through a door so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes from the sandbox.
    pub sent: u64,
    /// Bytes to the sandbox.
    pub received: u64,
    /// Requests and tunnels let through.
    pub allowed: u64,
    /// Requests and tunnels refused.
    pub denied: u64,
    /// Connections open now.
    pub open: usize,
}

impl Door {
    pub(crate) fn open(
        shared: Arc<Shared>,
        policy: Policy,
        audit: Arc<dyn Audit>,
    ) -> Result<Self, EgressError> {
        let runtime = Handle::try_current().map_err(|_| EgressError::NoRuntime)?;
        let room = Arc::new(Room::new(shared, policy, audit)?);
        let ended = CancellationToken::new();
        let serving = Mutex::new(ended.child_token());
        let tasks = room.tasks.clone();
        let frame = Frame { room, runtime, ended, tasks, serving };
        Ok(Self { frame: Arc::new(frame) })
    }

    /// What hands the sandbox's listeners to this door. It may outlive the door, and then closes
    /// what it is given.
    pub fn sink(&self) -> Arc<dyn ListenerSink> {
        Arc::new(Sink(Arc::downgrade(&self.frame)))
    }

    /// Whether TLS of some host is ended here, so that programs inside have to be given
    /// [`Self::trust`]. Where it is not, they see the hosts' own certificates.
    pub fn looks_inside(&self) -> bool {
        decide::looks_inside(&self.frame.room.policy)
    }

    /// The certificates that the sandbox is to believe. Reads the machine's own from disk the
    /// first time, some milliseconds.
    pub fn trust(&self) -> Trust {
        self.frame.room.trust()
    }

    /// What was refused so far, by host.
    pub fn denied(&self) -> Vec<Denied> {
        self.frame.room.denied()
    }

    /// What went through so far.
    pub fn traffic(&self) -> Traffic {
        Traffic { open: self.frame.tasks.len(), ..self.frame.room.traffic() }
    }

    /// Ends every connection and waits until their records are told, five seconds at most.
    pub async fn close(self) {
        self.frame.end();
        self.frame.tasks.close();
        let _ = tokio::time::timeout(CLOSING, self.frame.tasks.wait()).await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.frame.end();
    }
}

impl ListenerSink for Door {
    fn listener(&self, listener: OwnedFd) {
        self.frame.listener(listener);
    }
}

/// Finds the door, as long as there is one. It must not keep the door's audit alive: who reads that
/// waits for its end.
struct Sink(Weak<Frame>);

impl ListenerSink for Sink {
    fn listener(&self, listener: OwnedFd) {
        if let Some(frame) = self.0.upgrade() {
            frame.listener(listener);
        }
    }
}

impl Frame {
    fn end(&self) {
        self.room.close();
        self.ended.cancel();
    }

    fn listener(&self, listener: OwnedFd) {
        let serving = self.ended.child_token();
        let before = {
            let mut current = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, serving.clone())
        };
        // The network behind it is gone: nobody is there to answer.
        before.cancel();
        if self.ended.is_cancelled() {
            return;
        }
        let listener = std::net::TcpListener::from(listener);
        let _runtime = self.runtime.enter();
        // A socket that cannot be polled is dropped: connecting inside is then refused at once.
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let (room, tasks) = (Arc::clone(&self.room), self.tasks.clone());
        self.runtime.spawn(accept::serve(room, listener, serving, tasks));
    }
}
