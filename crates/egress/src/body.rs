//! Bodies on their way: a text of ours, or one that is carried through and counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use crate::entry::Entry;

/// A body of a request or an answer.
pub(crate) enum Body {
    /// A text of ours.
    Text(Option<Bytes>),
    /// What the other side sends.
    Carried(Carried),
}

/// Which way a body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the sandbox.
    Out,
    /// To the sandbox.
    In,
}

/// Somebody else's body.
pub(crate) struct Carried {
    inner: Incoming,
    entry: Arc<Entry>,
    way: Way,
}

impl Body {
    pub(crate) fn text(text: String) -> Self {
        Self::Text(Some(Bytes::from(text)).filter(|bytes| !bytes.is_empty()))
    }

    pub(crate) fn carried(inner: Incoming, entry: Arc<Entry>, way: Way) -> Self {
        Self::Carried(Carried { inner, entry, way })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Text(text) => Poll::Ready(text.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Carried(carried) => carried.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Carried(carried) => carried.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Carried(carried) => carried.inner.size_hint(),
        }
    }
}

impl Carried {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx);
        match &poll {
            Poll::Ready(Some(Ok(frame))) => {
                let count = frame.data_ref().map_or(0, Bytes::len);
                match self.way {
                    Way::Out => self.entry.sent(count),
                    Way::In => self.entry.received(count),
                }
            }
            Poll::Ready(Some(Err(_))) => self.entry.cut("cut_off"),
            Poll::Ready(None) | Poll::Pending => {}
        }
        let Poll::Ready(Some(Ok(mut frame))) = poll else { return poll };
        if let Some(trailers) = frame.trailers_mut() {
            self.entry.scrub(trailers);
        }
        Poll::Ready(Some(Ok(frame)))
    }
}
