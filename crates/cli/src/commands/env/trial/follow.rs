//! Shows what happens in a trial while it happens: its events, and what its commands print.

use quire_domain::event::{CommandPurpose, Event, EventBody};
use quire_domain::ids::ChunkId;
use quire_engine::{AttemptChunks, Heard, LiveFeed, Watch};
use quire_orchestrator::life::trial::Trial;
use quire_orchestrator::recorder::Record;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::commands::go::TICK;
use crate::exit::Exit;
use crate::show::trial::Log;

/// How much of an output is read at a time, in bytes.
const PIECE: usize = 64 << 10;

/// How often it is looked whether a command has printed something.
const LOOK: std::time::Duration = std::time::Duration::from_millis(60);

/// Ctrl-C, SIGTERM and SIGHUP.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one. Cancel-safe.
    pub async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        }
    }
}

/// One who shows what happens in a trial.
pub struct Follow {
    watch: Watch,
    live: LiveFeed,
    record: Record,
    chunks: AttemptChunks,
    running: Vec<Running>,
    log: Log,
    cancel: CancellationToken,
    interrupted: bool,
}

/// A command that runs, and how much of its output was shown.
struct Running {
    chunk: ChunkId,
    /// What stands before its lines, where others run beside it.
    label: String,
    offset: u64,
}

impl Follow {
    /// Follows from the start on. The first Ctrl-C cancels `cancel`, the second ends the process.
    pub fn new(trial: &Trial, log: Log, cancel: CancellationToken) -> Self {
        Self {
            watch: trial.watch(),
            live: trial.live(),
            record: trial.record().clone(),
            chunks: trial.chunks(),
            running: Vec::new(),
            log,
            cancel,
            interrupted: false,
        }
    }

    /// Waits for `work`, and shows what happens meanwhile; all of it is shown when this returns.
    pub async fn until<T>(&mut self, signals: &mut Signals, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tick = tokio::time::interval(TICK);
        let done = loop {
            tokio::select! {
                biased;
                _ = signals.next() => self.interrupt(),
                done = &mut work => break done,
                batch = self.watch.next() => match batch {
                    Ok(batch) => self.take(batch).await,
                    // The record is gone: the work says so itself.
                    Err(_) => break work.await,
                },
                Some(heard) = self.live.next() => if let Heard::Live(live) = heard {
                    self.log.live(&live);
                },
                _ = look.tick() => self.pieces().await,
                _ = tick.tick() => self.log.tick(),
            }
        };
        while let Ok(Ok(batch)) = tokio::time::timeout(LOOK / 4, self.watch.next()).await {
            self.take(batch).await;
        }
        self.pieces().await;
        done
    }

    /// Removes the line that moves.
    pub fn end(&mut self) {
        self.log.end();
    }

    fn interrupt(&mut self) {
        if self.interrupted {
            // What it has on disk is swept; what runs ends with this process.
            std::process::exit(i32::from(Exit::Cancelled as u8));
        }
        self.interrupted = true;
        self.log.notice("ending it; press Ctrl-C again to stop at once");
        self.cancel.cancel();
    }

    async fn take(&mut self, batch: Vec<quire_engine::StoredEvent>) {
        for stored in batch {
            let Ok(event) = self.record.open_event(stored).await else { continue };
            self.event(&event).await;
        }
    }

    async fn event(&mut self, event: &Event) {
        match &event.body {
            EventBody::CommandStarted(started) => {
                let label = match &started.purpose {
                    CommandPurpose::Service(name) => name.clone(),
                    _ => String::new(),
                };
                self.log.event(event);
                self.running.push(Running { chunk: started.chunk.clone(), label, offset: 0 });
            }
            EventBody::CommandFinished(finished) => {
                self.pieces().await;
                self.log.output_ended(&finished.chunk.id);
                self.running.retain(|one| one.chunk != finished.chunk.id);
                self.log.event(event);
            }
            _ => self.log.event(event),
        }
    }

    /// Shows what commands have printed since the last look.
    async fn pieces(&mut self) {
        for running in &mut self.running {
            while let Ok(piece) = self.chunks.piece(&running.chunk, running.offset, PIECE).await {
                if piece.bytes.is_empty() {
                    break;
                }
                running.offset = piece.offset + piece.bytes.len() as u64;
                self.log.output(&running.chunk, &running.label, &piece.bytes);
            }
        }
    }
}
