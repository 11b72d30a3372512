//! Standard input, read as it comes by a thread that can be stopped between two reads: a read that
//! is begun and never ends would swallow what a person types next.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use quire_domain::sandbox::CommandControl;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc;

/// How long a command may leave its input unread, before that is thrown away.
const PATIENCE: Duration = Duration::from_hours(24);

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

    /// Passes on what comes, and its end; then waits for ever.
    pub async fn pass_on(mut self, control: &dyn CommandControl) -> Infallible {
        while let Some(bytes) = self.pieces.recv().await {
            if control.write(&bytes, PATIENCE).await.is_err() {
                break;
            }
        }
        // A terminal that is gone, or the end of a pipe: the command ends by itself, or is ended.
        let _ = control.close_input().await;
        std::future::pending().await
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
