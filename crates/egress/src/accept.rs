//! Takes connections of one listener, as many at once as there are slots.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::room::Room;

/// Pause after accepting failed: mostly the process is out of descriptors, and more haste would
/// not bring any.
const PAUSE: Duration = Duration::from_millis(100);

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
        let Ok((stream, peer)) = accepted else {
            tokio::select! {
                () = ended.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => continue,
            }
        };
        let _ = (&room, stream, peer, &tasks);
    }
}
