//! Ctrl-C and SIGTERM while attempts work.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// Ctrl-C and SIGTERM: the first cancels, the second stops the process at once.
pub struct Interrupts {
    heard: mpsc::Receiver<()>,
}

impl Interrupts {
    /// Listens from now on; the first one cancels `cancel`.
    pub fn listen(cancel: CancellationToken) -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let (tell, heard) = mpsc::channel(1);
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            let mut before = false;
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => {}
                    Some(()) = terminate.recv() => {}
                    else => return,
                }
                if before {
                    // The log has everything; `quire task resume` goes on from it.
                    std::process::exit(i32::from(Exit::Cancelled as u8));
                }
                before = true;
                cancel.cancel();
                let _ = tell.try_send(());
            }
        });
        Self { heard }
    }

    /// Waits for the first one.
    pub async fn next(&mut self) {
        if self.heard.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
