//! Moves bytes both ways between two sockets until both sides are done.
//!
//! What is small goes through a buffer; a tunnel that carries more is spliced in the kernel, so
//! that its bytes are never copied here and it costs no memory of the process.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::Shutdown;
use rustix::pipe::{PipeFlags, SpliceFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::entry::Entry;
use crate::meter::Meter;

/// What goes through a buffer before a pipe is made: most tunnels never need more.
const SPLICE_FROM: u64 = 256 << 10;

const BUFFER_BYTES: usize = 16 << 10;

/// How much a pipe may hold; less where the system gives less.
const PIPE_BYTES: usize = 512 << 10;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

/// Relays until both sides have ended, one failed, or a bound of bytes is passed.
pub(crate) async fn both(
    client: &TcpStream,
    upstream: &TcpStream,
    meter: &Meter,
    entry: &Entry,
) -> io::Result<()> {
    let count = |way: Way, bytes: usize| {
        match way {
            Way::Out => {
                meter.sent(bytes);
                entry.sent(bytes);
            }
            Way::In => {
                meter.received(bytes);
                entry.received(bytes);
            }
        }
        meter.check()
    };
    tokio::try_join!(
        one(client, upstream, |bytes| count(Way::Out, bytes)),
        one(upstream, client, |bytes| count(Way::In, bytes)),
    )?;
    Ok(())
}

async fn one(
    from: &TcpStream,
    to: &TcpStream,
    mut count: impl FnMut(usize) -> io::Result<()>,
) -> io::Result<()> {
    let mut moved = 0;
    let mut buffer = vec![0; BUFFER_BYTES];
    while moved < SPLICE_FROM {
        let bytes = read(from, &mut buffer).await?;
        if bytes == 0 {
            return end(to);
        }
        count(bytes)?;
        write_all(to, &buffer[..bytes]).await?;
        moved += bytes as u64;
    }
    if let Ok((read_end, write_end)) = pipe() {
        drop(buffer);
        if spliced(from, to, &read_end, &write_end, &mut count).await? == Spliced::Done {
            return end(to);
        }
    }
    // Neither pipes nor splicing are everywhere to be had.
    let mut buffer = vec![0; BUFFER_BYTES * 4];
    loop {
        let bytes = read(from, &mut buffer).await?;
        if bytes == 0 {
            return end(to);
        }
        count(bytes)?;
        write_all(to, &buffer[..bytes]).await?;
    }
}

/// Tells the other side that there is no more; it may go on answering.
fn end(to: &TcpStream) -> io::Result<()> {
    match rustix::net::shutdown(to, Shutdown::Write) {
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn read(from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

/// Writes all of `bytes`.
pub(crate) async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read_end, write_end) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // A refusal leaves the default of 64 KiB.
    let _ = rustix::pipe::fcntl_setpipe_size(&write_end, PIPE_BYTES);
    Ok((read_end, write_end))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spliced {
    /// To the end.
    Done,
    /// These sockets cannot be: nothing was moved.
    Unsupported,
}

async fn spliced(
    from: &TcpStream,
    to: &TcpStream,
    read_end: &OwnedFd,
    write_end: &OwnedFd,
    count: &mut impl FnMut(usize) -> io::Result<()>,
) -> io::Result<Spliced> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let mut moved = false;
    loop {
        // The pipe is empty here, so that "would block" can only mean the socket.
        let filled = from
            .async_io(Interest::READABLE, || {
                Ok(rustix::pipe::splice(from, None, write_end, None, PIPE_BYTES, flags)?)
            })
            .await;
        let mut waiting = match filled {
            Ok(0) => return Ok(Spliced::Done),
            Ok(bytes) => bytes,
            Err(error) if !moved && is_unsupported(&error) => return Ok(Spliced::Unsupported),
            Err(error) => return Err(error),
        };
        count(waiting)?;
        while waiting > 0 {
            let written = to
                .async_io(Interest::WRITABLE, || {
                    Ok(rustix::pipe::splice(read_end, None, to, None, waiting, flags)?)
                })
                .await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            waiting -= written;
        }
        moved = true;
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(rustix::io::Errno::NOSYS.raw_os_error())
}
