//! Makes the snapshot that an attempt is missing, once however many ask for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quire_domain::sandbox::{SandboxUser, Upper, UpperUse};
use quire_domain::time::Timestamp;
use quire_environment::snapshot::{
    Build, Decision, Key, Manifest, SetupError, SetupLog, Snapshot, Snapshots, Wanted, What,
};

use crate::known_secrets::Known;
use crate::prepare::{Layout, WORK};
use crate::recorder::Recorder;
use crate::redacted_log::RedactedLog;
use crate::setup::{Found, Setup, find};
use crate::way_out::{self, Stage, WayOut, WayOutError};
use crate::worker::Worker;

/// What is given to [`make`].
pub struct Make<'a> {
    /// The worker.
    pub worker: &'a Worker,
    /// What the attempt stands on without it.
    pub layout: &'a Layout,
    /// What is wanted.
    pub setup: &'a Setup,
    /// The values of the environment's secrets.
    pub secrets: &'a Known,
    /// Records what leaves the sandbox.
    pub recorder: Option<Arc<Recorder>>,
    /// Is called once where another makes the same, before waiting for it.
    pub waits: Box<dyn FnOnce() + Send>,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The script, its sandbox, or the disk.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Its way out.
    #[error("setup has no way out: {0}")]
    WayOut(#[from] WayOutError),
    /// Nothing is to be set up.
    #[error("nothing is to be set up")]
    Nothing,
}

/// What waiting for another who makes the same is given beside what setup may take.
const WAIT_MORE: Duration = Duration::from_mins(1);

/// Makes the snapshot, or takes the one that another made meanwhile.
pub async fn make(make: Make<'_>, log: &mut dyn SetupLog) -> Result<Snapshot, MakeError> {
    let Make { worker, layout, setup, secrets, recorder, waits } = make;
    let wanted = setup.wanted.as_ref().ok_or(MakeError::Nothing)?;
    let snapshots = Snapshots::new(&worker.place.data_dir);
    let timeout = Duration::from_secs(layout.environment.snapshot.timeout_s.into());
    let patience = timeout + WAIT_MORE;
    let key = wanted.inputs.key();
    // One lock for whatever leads to this key: by setup or by maintenance.
    let lock = tokio::time::timeout(patience, snapshots.lock(&key, waits)).await;
    let _lock = lock.map_err(|_| SetupError::Waited(patience))?.map_err(SetupError::Io)?;
    let now = worker.clock.now();
    let (what, key, below) = match find(&snapshots, wanted, now) {
        Found::There(snapshot) => return Ok(*snapshot),
        Found::Missing(Decision::Maintain { key, over, .. }) => match snapshots.hold(&over, now) {
            Some(below) => (What::Maintenance, key, Some(below)),
            None => (What::Setup, wanted.inputs.key(), None),
        },
        Found::Missing(Decision::Setup { key, .. }) => (What::Setup, key, None),
        Found::Missing(Decision::Use { .. }) | Found::Nothing => return Err(MakeError::Nothing),
    };
    let way_out = way_out::policy(worker, layout, Stage::Setup, &secrets.values)?;
    let dir = worker.place.data_dir.join("layers").join("ways-out").join(key.as_str());
    let _certificates = RemovedAtTheEnd(&dir);
    let open = |policy| WayOut::open(worker, policy, &dir, recorder.clone());
    let way_out = way_out.map(open).transpose()?;
    if let (Some(recorder), Some(way_out)) = (&recorder, &way_out) {
        recorder.tells(Some(Arc::clone(way_out.behind())));
    }
    let beneath = layout.beneath(below.clone());
    // Where it writes is filled in when its directory is made.
    let spec = beneath.spec("setup".to_owned(), Upper::Memory, SandboxUser::SetupRoot);
    let spec = match &way_out {
        Some(way_out) => way_out.added_to(spec),
        None => spec,
    };
    let build = Build {
        sandboxes: worker.sandboxes.as_ref(),
        snapshots: &snapshots,
        clock: worker.clock.as_ref(),
        spec,
        overlay: WORK,
        tracked: &setup.tracked,
        index: &layout.checkout.index(),
        what,
        env: secrets.variables_for_setup(&layout.environment),
        values: secrets.to_search(),
        timeout,
        manifest: draft(wanted, key, what, below.as_ref()),
    };
    let mut log = RedactedLog::new(log, secrets.redaction());
    let built = build.run(&mut log).await;
    if let Some(way_out) = way_out {
        way_out.close().await;
    }
    // Nobody's reset takes it before it is used.
    let (name, _held) = built?;
    let gone = || SetupError::Io(std::io::Error::other("the snapshot was removed at once"));
    Ok(snapshots.hold(&name, worker.clock.now()).ok_or_else(gone)?)
}

/// A directory that goes also where this is cancelled.
struct RemovedAtTheEnd<'a>(&'a Path);

impl Drop for RemovedAtTheEnd<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0);
    }
}

/// What is known of it before it is made.
fn draft(wanted: &Wanted, key: Key, what: What, below: Option<&Snapshot>) -> Manifest {
    let maintenance = wanted.maintenance.clone().filter(|_| what == What::Maintenance);
    let below = below.map_or_else(Vec::new, |snapshot| {
        let further = snapshot.manifest.below.iter().cloned();
        std::iter::once(snapshot.name.clone()).chain(further).collect()
    });
    Manifest {
        key,
        owner: wanted.owner.clone(),
        environment: wanted.environment.clone(),
        inputs: wanted.inputs.clone(),
        commit: wanted.commit.clone(),
        script: maintenance.unwrap_or_else(|| wanted.setup.clone()),
        made_at: Timestamp(0),
        ms: 0,
        lifetime_ms: wanted.lifetime_ms,
        below,
        overlays: Vec::new(),
        variables: BTreeMap::new(),
        hooks_path: None,
        limits_met: Vec::new(),
        notes: Vec::new(),
        used: UpperUse::default(),
    }
}
