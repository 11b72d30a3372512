//! One connection out of a sandbox: what its parts share, and what ends it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::entry::Entry;
use crate::meter::{Meter, Over};
use crate::origin::{BEFORE_REFUSAL, Origin};
use crate::outer;
use crate::refusal::Refusal;
use crate::relay;
use crate::room::Room;
use crate::tunnel::Plan;
use crate::upstream::Upstream;

/// How long a connection has to be without a request, and silent, before it is ended for another:
/// the end of an answer may still be on its way.
const KEPT: Duration = Duration::from_secs(1);

/// One connection.
pub(crate) struct Connection {
    pub(crate) room: Arc<Room>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) client_port: u16,
    /// The command that made it.
    pub(crate) origin: Origin,
    over: OnceLock<Over>,
    /// Requests and tunnels that are going on.
    entries: AtomicUsize,
    /// What becomes of the connection once the answer to CONNECT is out.
    plan: Mutex<Option<Plan>>,
    /// The far end of the request before: the next one often goes there as well.
    upstream: Mutex<Option<Upstream>>,
}

/// Serves `stream` until it ends or a bound is passed.
pub(crate) async fn serve(room: Arc<Room>, stream: TcpStream, client_port: u16) {
    let connection = Arc::new(Connection::new(room, client_port));
    if let Some(over) = connection.over() {
        let why = "this sandbox has sent and received as much as it may";
        let refusal = Refusal::denied(over.reason(), why);
        return turn_away(&connection, &stream, &refusal).await;
    }
    let _far_end = FarEnd(&connection);
    let work = outer::run(Arc::clone(&connection), stream);
    let watch = async {
        let over = connection.meter.watch().await;
        // Known before the work is dropped: what it was doing tells the audit why it ended.
        let _ = connection.over.set(over);
    };
    tokio::select! {
        () = work => {}
        () = watch => {}
        () = connection.make_room() => {}
    }
}

/// Ends the far end with the connection, however that ends: a request's body on its way there holds
/// the connection, which holds the far end.
struct FarEnd<'a>(&'a Connection);

impl Drop for FarEnd<'_> {
    fn drop(&mut self) {
        drop(self.0.take_upstream());
        drop(self.0.take_plan());
    }
}

/// Answers a connection that is not served.
pub(crate) async fn refuse(
    room: Arc<Room>,
    stream: TcpStream,
    client_port: u16,
    refusal: &Refusal,
) {
    let connection = Arc::new(Connection::new(room, client_port));
    turn_away(&connection, &stream, refusal).await;
}

async fn turn_away(connection: &Arc<Connection>, stream: &TcpStream, refusal: &Refusal) {
    connection.origin.within(BEFORE_REFUSAL).await;
    Entry::new(connection, "(any)").refuse(refusal);
    let bytes = outer::raw_answer(refusal, connection.room.policy.setting);
    let write = relay::write_all(stream, &bytes);
    // Nobody has to read it.
    let _ = tokio::time::timeout(Duration::from_millis(100), write).await;
    let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Write);
}

impl Connection {
    fn new(room: Arc<Room>, client_port: u16) -> Self {
        let meter = Meter::new(Arc::clone(&room.totals), room.bounds());
        Self {
            origin: Origin::ask(room.audit.as_ref(), client_port),
            meter: Arc::new(meter),
            client_port,
            over: OnceLock::new(),
            entries: AtomicUsize::new(0),
            plan: Mutex::new(None),
            upstream: Mutex::new(None),
            room,
        }
    }

    /// Returns when another connection waits for a place, and this one is only kept for later.
    async fn make_room(&self) {
        loop {
            tokio::select! {
                () = self.room.crowded.notified() => {}
                () = self.room.shared.crowded.notified() => {}
            }
            if self.entries.load(Ordering::Relaxed) == 0 && self.meter.quiet() >= KEPT {
                return;
            }
        }
    }

    /// A request or tunnel begins.
    pub(crate) fn begin(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    /// It ended.
    pub(crate) fn end(&self) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
    }

    /// The bound that it passed, if it did.
    pub(crate) fn over(&self) -> Option<Over> {
        self.over.get().copied().or_else(|| self.meter.over())
    }

    pub(crate) fn set_plan(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }

    pub(crate) fn take_plan(&self) -> Option<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn set_upstream(&self, upstream: Upstream) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = Some(upstream);
    }

    pub(crate) fn take_upstream(&self) -> Option<Upstream> {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
