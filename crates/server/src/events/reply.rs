//! A stream as an answer: its headers, its signs of life, and its end with the server's.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use uuid::Uuid;

use super::rooms::Room;
use crate::state::State;

/// Somebody who watches.
pub(crate) trait Viewer: Send + 'static {
    /// What to send next, and whether that is the last; waits until there is something.
    fn next(&mut self) -> impl Future<Output = Sent> + Send;
}

/// What a viewer is sent.
pub(crate) enum Sent {
    /// Some events.
    Some(Bytes),
    /// Some events, and then no more.
    Last(Bytes),
}

/// What every stream says first: that it is there, and how long to wait with coming back. Not the
/// same for all, so that they do not come back at once.
fn greeting() -> Bytes {
    format!(": quire\nretry: {}\n\n", between(1_000, 3_000)).into()
}

/// A number in a range, by chance.
fn between(least: u64, most: u64) -> u64 {
    let (_, random) = Uuid::now_v7().as_u64_pair();
    least + random % (most - least)
}

/// The answer to one who watches.
pub(crate) fn reply(state: &Arc<State>, room: Room, viewer: impl Viewer) -> Response {
    let seen = Seen { state: state.clone(), viewer, _room: room, over: false, greeted: false };
    let stream = futures::stream::unfold(seen, |mut seen| async move {
        let bytes = seen.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), seen))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // Nothing in between keeps it, packs it or waits for its end.
        (header::CACHE_CONTROL, "no-cache, no-store, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, Body::from_stream(stream)).into_response()
}

struct Seen<V> {
    state: Arc<State>,
    viewer: V,
    _room: Room,
    over: bool,
    greeted: bool,
}

impl<V: Viewer> Seen<V> {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if !self.greeted {
            self.greeted = true;
            return Some(greeting());
        }
        let quiet = self.state.settings.keep_alive;
        tokio::select! {
            biased;
            () = self.state.ending.cancelled() => {
                self.over = true;
                Some(format!(": the server ends\nretry: {}\n\n", between(1_000, 5_000)).into())
            }
            sent = self.viewer.next() => Some(match sent {
                Sent::Some(bytes) => bytes,
                Sent::Last(bytes) => {
                    self.over = true;
                    bytes
                }
            }),
            () = tokio::time::sleep(quiet) => Some(Bytes::from_static(b":\n\n")),
        }
    }
}
