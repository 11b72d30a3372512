//! Standard input, read as it comes by a thread that can be stopped between two reads: a read that
//! is begun and never ends would swallow what a person types next.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc;

/// The largest piece, in bytes.
const PIECE: usize = 16 << 10;

/// Pieces that wait to be passed on; above it nothing is read.
const WAITING: usize = 4;

/// Standard input. Reading ends when it is dropped.
pub struct Input {
    pieces: mpsc::Receiver<Vec<u8>>,
    _stop: OwnedFd,
}

impl Input {
    /// Reads from now on.
    pub fn open() -> io::Result<Self> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let (tell, pieces) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || read(&stopped, &tell))?;
        Ok(Self { pieces, _stop: stop })
    }

    /// The next piece; `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.pieces.recv().await
    }
}

fn read(stopped: &OwnedFd, tell: &mpsc::Sender<Vec<u8>>) {
    let stdin = rustix::stdio::stdin();
    loop {
        let mut polled = [
            PollFd::new(&stdin, PollFlags::IN),
            PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        }
        if !polled[1].revents().is_empty() {
            return;
        }
        if polled[0].revents().is_empty() {
            continue;
        }
        let mut piece = vec![0; PIECE];
        match rustix::io::read(stdin, &mut piece) {
            Ok(0) => return,
            Ok(count) => {
                piece.truncate(count);
                if tell.blocking_send(piece).is_err() {
                    return;
                }
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}
