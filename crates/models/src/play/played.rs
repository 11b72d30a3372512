//! The body of an answer: frames with pauses between them, spoiled and broken off as wanted.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};

use super::script::Fault;

/// A body that is sent in frames, with pauses, and may break off.
pub(super) struct Played {
    frames: std::vec::IntoIter<Bytes>,
    /// Between two frames.
    pace: Duration,
    /// After the first frame.
    pause: Duration,
    breaks: bool,
    sent: usize,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Played {
    /// Sends `pieces` with `pace` between them, spoiled as `fault` wants.
    pub(super) fn of(mut pieces: Vec<Vec<u8>>, pace: Duration, fault: Option<&Fault>) -> Self {
        if fault.is_some_and(|fault| fault.malformed) {
            pieces.insert(pieces.len() / 2, b"data: {\"type\": \"response.outp\n\n".to_vec());
        }
        if fault.is_some_and(|fault| fault.invalid_utf8) {
            spoil(&mut pieces);
        }
        // Without a reason to go slowly: the first event, so that clients do stream, and the rest.
        let mut frames: Vec<Bytes> = if pace.is_zero() {
            let rest = pieces.split_off(pieces.len().min(1));
            pieces.into_iter().chain([rest.concat()]).map(Bytes::from).collect()
        } else {
            pieces.into_iter().map(Bytes::from).collect()
        };
        if let Some(limit) = fault.and_then(|fault| fault.cut_after.or(fault.end_after)) {
            cut(&mut frames, limit);
        }
        frames.retain(|frame| !frame.is_empty());
        Self {
            frames: frames.into_iter(),
            pace,
            pause: Duration::from_millis(fault.and_then(|fault| fault.idle_ms).unwrap_or(0)),
            breaks: fault.is_some_and(|fault| fault.cut_after.is_some()),
            sent: 0,
            sleep: None,
        }
    }
}

impl Body for Played {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let wait = if self.sent == 1 { self.pace + self.pause } else { self.pace };
        if self.sent > 0 && !wait.is_zero() && self.frames.len() > 0 {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            std::task::ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        self.sent += 1;
        match self.frames.next() {
            Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame)))),
            None if std::mem::take(&mut self.breaks) => {
                Poll::Ready(Some(Err(std::io::Error::other("the script cuts the stream here"))))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.len() == 0 && !self.breaks
    }
}

/// Puts a byte that is no UTF-8 in front of the first closing quote of the middle piece's text.
fn spoil(pieces: &mut [Vec<u8>]) {
    for field in
        [b"\"delta\":\"".as_slice(), b"\"text\":\"", b"\"content\":\"", b"\"partial_json\":\""]
    {
        for piece in pieces.iter_mut() {
            let found = piece.windows(field.len()).position(|window| window == field);
            // An empty text stays as it is: a first event often carries one.
            if let Some(start) = found
                && piece.get(start + field.len()) != Some(&b'"')
            {
                piece.insert(start + field.len(), 0xff);
                return;
            }
        }
    }
}

/// Keeps the first `limit` bytes.
fn cut(frames: &mut [Bytes], limit: usize) {
    let mut left = limit;
    for frame in frames {
        frame.truncate(left);
        left -= frame.len();
    }
}
