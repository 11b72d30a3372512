//! A native sandbox: running, folded, or ended.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::sandbox::{
    ChangeMark, Changes, Command, FileChange, FileError, Layer, LayerOwner, Sandbox, SandboxError,
    SandboxSpec, StartedCommand, Upper,
};
use tokio::sync::Mutex;

use super::backend::{Life, Made, Maker, open_upper};
use super::changes::Snapshot;
use super::guest::{Guest, Reason, creating};
use super::limits_met::{Before, Counters};
use super::{behind, changes, command, files, processes, stems, system, upper, watch};

/// The most processes whose time is added up.
const MAX_PROCESSES: usize = 20_000;

/// A native sandbox.
pub struct NativeSandbox {
    maker: Arc<Maker>,
    spec: SandboxSpec,
    state: Mutex<State>,
    /// For the next command.
    next_number: AtomicU64,
    /// What each overlay held when its changes were last listed.
    snapshots: Mutex<HashMap<String, Snapshot>>,
}

enum State {
    Running(Made),
    /// Its processes are ended; the next command makes it anew.
    Folded,
    /// For good.
    Ended,
}

/// What a running sandbox is reached by.
struct Alive {
    guest: Arc<Guest>,
    /// Whose its pipes have to be.
    owner: Option<u32>,
    /// Where the kernel counts what met its limits.
    counters: Counters,
}

impl Alive {
    fn of(made: &Made) -> Self {
        Self { guest: Arc::clone(&made.guest), owner: made.owner, counters: made.group.counters() }
    }
}

impl NativeSandbox {
    /// Takes a guest that was made for the specification.
    pub fn new(maker: Arc<Maker>, spec: SandboxSpec, made: Made) -> Self {
        hand_over_listener(&spec, &made.guest);
        let state = Mutex::new(State::Running(made));
        let next_number = AtomicU64::new(1);
        Self { maker, spec, state, next_number, snapshots: Mutex::default() }
    }

    /// The guest, made anew if it was folded, or ended at a limit.
    async fn guest(&self) -> Result<Alive, SandboxError> {
        let mut state = self.state.lock().await;
        let on_disk = matches!(self.spec.upper, Upper::Disk(_));
        if matches!(&*state, State::Running(made) if on_disk && made.guest.met_limit())
            && let State::Running(made) = std::mem::replace(&mut *state, State::Folded)
        {
            end_guest(made, "it was over a limit").await?;
        }
        match &*state {
            State::Running(made) => Ok(Alive::of(made)),
            State::Ended => Err(SandboxError::Gone("it was ended".to_owned())),
            State::Folded => {
                let made = self.maker.make(&self.spec, Life::Unfolded).await;
                stems::refill(&self.maker);
                let made = made?;
                hand_over_listener(&self.spec, &made.guest);
                let alive = Alive::of(&made);
                *state = State::Running(made);
                Ok(alive)
            }
        }
    }

    async fn stop(&self) -> Result<(), SandboxError> {
        let mut state = self.state.lock().await;
        match std::mem::replace(&mut *state, State::Ended) {
            State::Running(made) => end_guest(made, "it was ended").await,
            State::Folded | State::Ended => Ok(()),
        }
    }

    /// What it writes to.
    async fn upper(&self) -> Result<Arc<OwnedFd>, SandboxError> {
        let state = self.state.lock().await;
        match (&*state, &self.spec.upper) {
            (State::Running(made), _) => Ok(Arc::clone(&made.upper)),
            (_, Upper::Disk(path)) => {
                open_upper(path).map(Arc::new).map_err(creating("open the upper"))
            }
            (_, Upper::Memory) => Err(SandboxError::Gone("its memory is gone with it".to_owned())),
        }
    }

    /// Ends all processes, so that its disk upper changes no more, and gives it.
    async fn still(&self) -> Result<&PathBuf, SandboxError> {
        let Upper::Disk(path) = &self.spec.upper else {
            return Err(SandboxError::Gone("an upper in memory cannot be frozen".to_owned()));
        };
        let mut state = self.state.lock().await;
        match std::mem::replace(&mut *state, State::Folded) {
            State::Running(made) => end_guest(made, "it was frozen").await?,
            State::Folded => {}
            State::Ended => {
                *state = State::Ended;
                return Err(SandboxError::Gone("it was ended".to_owned()));
            }
        }
        Ok(path)
    }
}

/// Gives the listener of a new guest to whoever serves it, before any command runs. A guest whose
/// way out is served by nobody is none that was asked for.
fn hand_over_listener(spec: &SandboxSpec, guest: &Guest) {
    let Some(door) = &spec.egress else { return };
    match guest.listener() {
        Ok(Some(listener)) => door.sink.listener(listener),
        Ok(None) => guest.kill(Reason::Said("it did not show its way out".to_owned())),
        Err(error) => {
            guest.kill(Reason::Said(format!("its way out could not be handed over: {error}")));
        }
    }
}

/// Kills everything and waits for it; what the guest held is given back.
async fn end_guest(mut made: Made, why: &str) -> Result<(), SandboxError> {
    made.guest.kill(Reason::Said(why.to_owned()));
    made.guest.ended().await?;
    // Its last process is buried a moment after it is known to be dead.
    made.group.remove_soon();
    Ok(())
}

/// Ends all that runs, as there is no room for one more process.
fn too_many_processes(guest: &Guest, most: u32) -> SandboxError {
    guest.kill(Reason::Limit(format!("processes ({most})")));
    guest.gone()
}

#[async_trait]
impl Sandbox for NativeSandbox {
    async fn start(&self, command: Command) -> Result<StartedCommand, SandboxError> {
        let Alive { guest, owner, counters } = self.guest().await?;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let mut variables = self.spec.env.clone();
        variables.extend(command.env.clone());
        let environment: Vec<_> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let workdir = command.workdir.as_ref().unwrap_or(&self.spec.workdir);
        let workdir = workdir.to_string_lossy().into_owned();
        // What commands left behind may have taken all there is: no command would find room for its
        // own processes, and each would look like a failure of the host's.
        let most = self.spec.limits.processes;
        let crowd = most - most / 8;
        if !guest.is_busy() && watch::processes(guest.pid, crowd) >= crowd {
            return Err(too_many_processes(&guest, most));
        }
        let before = Before::start(counters, self.spec.limits);
        let started =
            command::start(&guest, &command, &environment, &workdir, owner, number, before);
        match started.await {
            Err(SandboxError::Spawn { source, program })
                if source.raw_os_error() == Some(libc::EAGAIN) =>
            {
                // A command that runs is not ended for one that would begin beside it.
                if guest.is_busy() {
                    let words = format!("as many processes run as the limit allows ({most})");
                    return Err(SandboxError::Spawn { program, source: io::Error::other(words) });
                }
                Err(too_many_processes(&guest, most))
            }
            started => started,
        }
    }

    async fn read_file(&self, path: &Path, limit: u64) -> Result<Bytes, FileError> {
        let Alive { guest, owner, .. } = self.guest().await?;
        files::read(&guest, path, limit, owner).await
    }

    async fn change_files(&self, root: &Path, changes: Vec<FileChange>) -> Result<(), FileError> {
        let Alive { guest, owner, .. } = self.guest().await?;
        files::change(&guest, root, &changes, owner).await
    }

    async fn changes(
        &self,
        overlay: &str,
        since: Option<ChangeMark>,
        limit: usize,
    ) -> Result<Changes, SandboxError> {
        let Some(mount) = self.spec.overlays.iter().find(|mount| mount.name == overlay) else {
            return Err(SandboxError::Gone(format!("it has no overlay `{overlay}`")));
        };
        let upper = self.upper().await?;
        let layers: Vec<_> = mount.lowers.iter().map(|layer| layer.path.clone()).collect();
        let name = overlay.to_owned();
        let mut snapshots = self.snapshots.lock().await;
        let last = snapshots.remove(overlay).unwrap_or_default();
        let listed = tokio::task::spawn_blocking(move || {
            let layers = changes::open_layers(layers.iter().map(PathBuf::as_path));
            changes::list(&upper, &name, &layers, since, limit, &last)
        });
        let (listed, snapshot) = listed
            .await
            .map_err(io::Error::other)
            .and_then(|listed| listed)
            .map_err(creating("list what was written"))?;
        snapshots.insert(overlay.to_owned(), snapshot);
        Ok(listed)
    }

    async fn fold(&self) -> Result<(), SandboxError> {
        let mut state = self.state.lock().await;
        let State::Running(made) = &*state else { return Ok(()) };
        if self.spec.upper == Upper::Memory
            || made.guest.is_busy()
            || !files::may_fold(&made.guest, made.owner).await?
        {
            return Ok(());
        }
        if let State::Running(made) = std::mem::replace(&mut *state, State::Folded) {
            end_guest(made, "it was folded").await?;
        }
        Ok(())
    }

    async fn freeze(&self) -> Result<BTreeMap<String, Layer>, SandboxError> {
        let place = self.still().await?.clone();
        let overlays: Vec<String> =
            system::overlay_names(&self.spec).into_iter().map(str::to_owned).collect();
        tokio::task::spawn_blocking(move || upper::sync(&place, &overlays))
            .await
            .map_err(io::Error::other)
            .and_then(|synced| synced)
            .map_err(creating("sync the upper"))?;
        self.freeze_until_restart().await
    }

    async fn freeze_until_restart(&self) -> Result<BTreeMap<String, Layer>, SandboxError> {
        let path = self.still().await?;
        Ok(system::overlay_names(&self.spec)
            .into_iter()
            .map(|name| (name, path.join(name).join("upper")))
            .filter(|(name, upper)| system::is_worth_a_layer(&self.spec, name, upper))
            .map(|(name, path)| (name.to_owned(), Layer { path, owner: LayerOwner::Sandbox }))
            .collect())
    }

    async fn command_behind(&self, port: u16) -> Option<u64> {
        let door = self.spec.egress.as_ref()?.port;
        let guest = match &*self.state.lock().await {
            State::Running(made) => Arc::clone(&made.guest),
            State::Folded | State::Ended => return None,
        };
        let numbers = guest.numbers();
        let looked =
            tokio::task::spawn_blocking(move || behind::command(guest.pid, port, door, &numbers));
        looked.await.ok().flatten()
    }

    async fn processor_time(&self) -> Option<Duration> {
        let guest = match &*self.state.lock().await {
            State::Running(made) => Arc::clone(&made.guest),
            State::Folded | State::Ended => return None,
        };
        let looked = tokio::task::spawn_blocking(move || {
            let runs = guest.is_busy() || !processes::children(guest.pid).is_empty();
            (runs && !guest.is_gone()).then(|| processes::processor_time(guest.pid, MAX_PROCESSES))
        });
        looked.await.ok().flatten()
    }

    async fn end_idle(&self, minutes: u64) -> Result<bool, SandboxError> {
        let mut state = self.state.lock().await;
        let State::Running(made) = &*state else { return Ok(false) };
        let runs = made.guest.is_busy() || !processes::children(made.guest.pid).is_empty();
        if self.spec.upper == Upper::Memory || !runs {
            return Ok(false);
        }
        made.guest.kill(Reason::Idle(minutes));
        if let State::Running(made) = std::mem::replace(&mut *state, State::Folded) {
            end_guest(made, "nothing happened in it").await?;
        }
        Ok(true)
    }

    async fn end(&self) -> Result<(), SandboxError> {
        self.stop().await
    }
}

impl Drop for NativeSandbox {
    fn drop(&mut self) {
        if let State::Running(made) = self.state.get_mut() {
            made.guest.kill(Reason::Said("it was dropped".to_owned()));
        }
    }
}
