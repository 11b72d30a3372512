//! Takes connections of one listener, as many at once as there are slots.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection;
use crate::descriptors;
use crate::refusal::Refusal;
use crate::room::Room;

/// Pause after accepting failed: mostly the process is out of descriptors, and more haste would
/// not bring any.
const PAUSE: Duration = Duration::from_millis(100);

/// How often idle connections are asked to make room while one waits.
const AGAIN: Duration = Duration::from_millis(250);

/// Serves `listener` until `ended`. Connections are `tasks`, and end with `ended` as well.
pub(crate) async fn serve(
    room: Arc<Room>,
    listener: TcpListener,
    ended: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = ended.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // It was shut down: the sandbox behind it has ended.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => return,
            Err(error) => {
                let answered = async {
                    if descriptors::ran_out(&error) {
                        turn_one_away(&room, &listener).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                };
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = answered => continue,
                }
            }
        };
        let _ = stream.set_nodelay(true);
        // One connection at a time waits for its turn; those behind it wait in the kernel's queue.
        let turn = tokio::select! {
            () = ended.cancelled() => return,
            turn = turn(&room) => turn,
        };
        let Some(turn) = turn else {
            let refusal = Refusal {
                reason: "connections",
                status: StatusCode::SERVICE_UNAVAILABLE,
                why: "too many connections are open at once; close some, or try again".to_owned(),
                line: None,
            };
            connection::refuse(Arc::clone(&room), stream, peer.port(), &refusal).await;
            continue;
        };
        let (room, ended) = (Arc::clone(&room), ended.clone());
        tasks.spawn(async move {
            let _turn = turn;
            tokio::select! {
                () = ended.cancelled() => {}
                () = connection::serve(room, stream, peer.port()) => {}
            }
        });
    }
}

/// Answers the connection that waits longest, where no descriptor is left to serve it. Those that
/// are only kept for later make room for the next.
async fn turn_one_away(room: &Arc<Room>, listener: &TcpListener) {
    room.crowded.notify_waiters();
    room.shared.crowded.notify_waiters();
    let refuse = async {
        // Another thread may have been faster: the connection then waits for the next round.
        let Ok(Ok((stream, peer))) = tokio::time::timeout(PAUSE, listener.accept()).await else {
            return;
        };
        connection::refuse(Arc::clone(room), stream, peer.port(), &Refusal::no_descriptor()).await;
    };
    room.shared.spare.lend(refuse).await;
}

/// A place among the connections of the sandbox, and one among those of the worker. While there is
/// none, connections that are only kept for later are asked to make room.
async fn turn(room: &Room) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
    let wait = async {
        let own = place(&room.slots, &room.crowded).await?;
        let all = place(&room.shared.slots, &room.shared.crowded).await?;
        Some((own, all))
    };
    tokio::time::timeout(room.limits().queue, wait).await.ok().flatten()
}

async fn place(slots: &Arc<Semaphore>, crowded: &Notify) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(slots).try_acquire_owned() {
        return Some(place);
    }
    let acquire = Arc::clone(slots).acquire_owned();
    tokio::pin!(acquire);
    loop {
        crowded.notify_waiters();
        if let Ok(place) = tokio::time::timeout(AGAIN, &mut acquire).await {
            return place.ok();
        }
    }
}
