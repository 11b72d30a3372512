//! Counts the bytes of one connection, and ends it where it went on for too long or too far.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::EgressLimits;

/// Bytes of one sandbox, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

impl Totals {
    fn sum(&self) -> u64 {
        self.sent.load(Ordering::Relaxed).saturating_add(self.received.load(Ordering::Relaxed))
    }
}

/// Bytes and time of one connection.
#[derive(Debug)]
pub(crate) struct Meter {
    totals: Arc<Totals>,
    limits: EgressLimits,
    bytes: AtomicU64,
    started: Instant,
    /// When something last moved, in milliseconds after `started`.
    moved: AtomicU64,
}

/// Why a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Too many bytes over this connection.
    Bytes,
    /// Too many bytes of this sandbox.
    AllBytes,
    /// Nothing moved.
    Idle,
    /// It lasted too long.
    Total,
}

impl Over {
    /// The word for the audit.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Bytes => "bytes_of_connection",
            Self::AllBytes => "bytes_of_sandbox",
            Self::Idle => "idle",
            Self::Total => "connection_time",
        }
    }
}

impl Meter {
    pub(crate) fn new(totals: Arc<Totals>, limits: EgressLimits) -> Self {
        let (bytes, moved) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { totals, limits, bytes, started: Instant::now(), moved }
    }

    /// Counts bytes from the sandbox.
    pub(crate) fn sent(&self, count: usize) {
        self.totals.sent.fetch_add(count as u64, Ordering::Relaxed);
        self.count(count);
    }

    /// Counts bytes to the sandbox.
    pub(crate) fn received(&self, count: usize) {
        self.totals.received.fetch_add(count as u64, Ordering::Relaxed);
        self.count(count);
    }

    fn count(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        self.moved.store(self.age().as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// For how long nothing moved.
    pub(crate) fn quiet(&self) -> Duration {
        self.age().saturating_sub(Duration::from_millis(self.moved.load(Ordering::Relaxed)))
    }

    /// Whether a bound of bytes was passed.
    pub(crate) fn over(&self) -> Option<Over> {
        if self.bytes.load(Ordering::Relaxed) > self.limits.bytes_per_connection {
            return Some(Over::Bytes);
        }
        (self.totals.sum() > self.limits.bytes_in_all).then_some(Over::AllBytes)
    }

    /// The same as an error of a stream.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.over() {
            None => Ok(()),
            Some(over) => Err(io::Error::other(over.reason())),
        }
    }

    /// Returns when a bound is passed: of bytes soon after, of time when it is.
    pub(crate) async fn watch(&self) -> Over {
        loop {
            if let Some(over) = self.over() {
                return over;
            }
            let idle_until =
                Duration::from_millis(self.moved.load(Ordering::Relaxed)) + self.limits.idle;
            let age = self.age();
            if age >= self.limits.total {
                return Over::Total;
            }
            if age >= idle_until {
                return Over::Idle;
            }
            let pause = idle_until.min(self.limits.total).saturating_sub(age);
            tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
        }
    }
}

/// A stream whose bytes are counted, with bytes in front that were read before.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    front: Bytes,
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { front: Bytes::new(), stream, meter }
    }

    /// With `front` read again before anything else. It was counted when it came.
    pub(crate) fn with_front(mut self, front: Bytes) -> Self {
        self.front = front;
        self
    }

    /// The stream itself, once everything in front of it was read.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.front.is_empty() {
            let count = self.front.len().min(buf.remaining());
            buf.put_slice(&self.front[..count]);
            self.front.advance(count);
            return Poll::Ready(Ok(()));
        }
        self.meter.check()?;
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if poll.is_ready() {
            self.meter.sent(buf.filled().len() - before);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.meter.check()?;
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = poll {
            self.meter.received(count);
        }
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.meter.check()?;
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(count)) = poll {
            self.meter.received(count);
        }
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
