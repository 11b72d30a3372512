//! Which command of a sandbox made a connection: from its port to the command's number, which the
//! sandbox finds out, and on to the chunk, which whoever starts commands has told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use quire_agent::SandboxSource;
use quire_domain::ids::ChunkId;
use quire_domain::sandbox::Sandbox;
use quire_egress::Asking;
use tokio::sync::{Notify, Semaphore};

/// Commands that are remembered, the newest: what an older one left behind and still asks for
/// something is nobody's.
const MOST_COMMANDS: usize = 4_096;

/// How many are looked for at once: each reads the processes of the sandbox.
const AT_ONCE: usize = 4;

/// A look that took longer is followed by a pause of some times as much: a sandbox that leaves
/// thousands of sockets and processes to be read must not take the worker's processors. What is not
/// found in time has no command.
const QUICK: Duration = Duration::from_millis(5);
const PAUSES: u32 = 9;

/// How long one waits for its turn: where so many ask, nobody's answer waits for long.
const TURN: Duration = Duration::from_millis(50);

/// A command may ask for something before whoever started it has told of it.
const TOLD: Duration = Duration::from_millis(200);

/// Leads to the sandbox, as long as somebody else holds it.
#[derive(Clone)]
enum Place {
    Source(Weak<dyn SandboxSource>),
    Sandbox(Weak<dyn Sandbox>),
}

/// The commands of the sandbox behind one way out.
pub struct Behind {
    place: Mutex<Option<Place>>,
    commands: Mutex<Commands>,
    told: Notify,
    turns: Arc<Semaphore>,
}

#[derive(Default)]
struct Commands {
    chunks: BTreeMap<u64, ChunkId>,
    /// The only one that runs there.
    only: Option<ChunkId>,
}

impl Default for Behind {
    fn default() -> Self {
        Self {
            place: Mutex::default(),
            commands: Mutex::default(),
            told: Notify::new(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Behind {
    /// The sandbox is the one that `source` gives.
    pub fn stands_in(&self, source: &Arc<dyn SandboxSource>) {
        self.stand(Place::Source(Arc::downgrade(source)));
    }

    /// The sandbox is this one.
    pub fn stands_at(&self, sandbox: &Arc<dyn Sandbox>) {
        self.stand(Place::Sandbox(Arc::downgrade(sandbox)));
    }

    fn stand(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// The command of this number prints to `chunk`.
    pub fn runs(&self, number: u64, chunk: &ChunkId) {
        let mut commands = self.commands();
        commands.chunks.insert(number, chunk.clone());
        if commands.chunks.len() > MOST_COMMANDS {
            commands.chunks.pop_first();
        }
        drop(commands);
        self.told.notify_waiters();
    }

    /// All that runs there belongs to this command: nobody has to look.
    pub fn runs_alone(&self, chunk: Option<ChunkId>) {
        self.commands().only = chunk;
    }

    /// Finds out which command is connected from `port` of its loopback.
    pub fn asked(self: &Arc<Self>, port: u16) -> Asking {
        let behind = Arc::clone(self);
        Box::pin(async move {
            let only = behind.commands().only.clone();
            if only.is_some() {
                return only;
            }
            let turn = Arc::clone(&behind.turns).acquire_owned();
            let turn = tokio::time::timeout(TURN, turn).await.ok()?.ok()?;
            let sandbox = behind.sandbox().await?;
            let begun = Instant::now();
            let number = sandbox.command_behind(port).await;
            let took = begun.elapsed();
            if took > QUICK {
                tokio::spawn(async move {
                    tokio::time::sleep(took * PAUSES).await;
                    drop(turn);
                });
            } else {
                drop(turn);
            }
            tokio::time::timeout(TOLD, behind.chunk(number?)).await.ok()
        })
    }

    async fn chunk(&self, number: u64) -> ChunkId {
        loop {
            let told = self.told.notified();
            if let Some(chunk) = self.commands().chunks.get(&number) {
                return chunk.clone();
            }
            told.await;
        }
    }

    async fn sandbox(&self) -> Option<Arc<dyn Sandbox>> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match place? {
            Place::Source(source) => source.upgrade()?.sandbox().await.ok(),
            Place::Sandbox(sandbox) => sandbox.upgrade(),
        }
    }

    fn commands(&self) -> std::sync::MutexGuard<'_, Commands> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
