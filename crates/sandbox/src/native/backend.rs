//! The maker of native sandboxes.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::sandbox::{
    Finding, IsolationReport, Layer, Sandbox, SandboxBackend, SandboxBase, SandboxError,
    SandboxSpec, SandboxUser, Upper, UpperUse,
};
use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::sync::Mutex;

use super::groups::{Group, Groups};
use super::guest::{Guest, Met, PATIENCE, creating, next_answer};
use super::planning::{self, Ids};
use super::sandbox::NativeSandbox;
use super::slots::{Slot, Slots};
use super::stems::{self, Stems};
use super::watch::{Watched, WatchedUpper, watch};
use super::{etc, owner, report, sweep, system, upper};
use crate::plan::{Abilities, Answer, MountPlan, Plan, Request};
use crate::zygote::FIRST_ID;
use crate::{Zygote, wire};

/// How long the removal of a tree may take.
const LONG: Duration = Duration::from_mins(10);

/// How long what was killed may go on writing before its files are removed for good.
const BURIAL: Duration = Duration::from_secs(1);

/// Where the backend keeps what is its own.
#[derive(Debug, Clone)]
pub struct NativeConfig {
    /// `<data>/sandboxes`: the copied `/etc`, locks, trash. Made if absent. Uppers must lie on
    /// the same file system as the layers beneath them.
    pub state_dir: PathBuf,
}

/// Makes native sandboxes.
#[derive(Debug, Clone)]
pub struct NativeBackend {
    maker: Arc<Maker>,
}

/// What every sandbox needs to be made, and to be made anew after folding.
#[derive(Debug)]
pub struct Maker {
    pub zygote: Arc<Zygote>,
    pub state_dir: PathBuf,
    pub abilities: Abilities,
    pub groups: Groups,
    pub stems: Stems,
    /// Where each sandbox has a range of its own.
    slots: Option<Arc<Slots>>,
    /// The copy of `/etc` by home; checked once in the life of this process.
    etc: Mutex<HashMap<PathBuf, PathBuf>>,
}

/// Which life of a sandbox a guest is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is new.
    First,
    /// It was folded.
    Unfolded,
}

/// A guest and what it holds of the machine's.
#[derive(Debug)]
pub struct Made {
    /// Its guest.
    pub guest: Arc<Guest>,
    /// Its range of ids, held for as long as it lives.
    _slot: Option<Slot>,
    /// First host uid of its range; `None` where that is our own.
    pub owner: Option<u32>,
    /// What is weaker in it than it should be.
    pub degraded: Vec<String>,
    /// What it writes to.
    pub upper: Arc<OwnedFd>,
    /// Its control groups, removed after it.
    pub group: Group,
}

impl NativeBackend {
    /// Prepares the state directory and asks the zygote what it can do. Call it inside a Tokio
    /// runtime.
    pub async fn new(zygote: Zygote, config: NativeConfig) -> Result<Self, SandboxError> {
        let state_dir = config.state_dir;
        std::fs::create_dir_all(&state_dir).map_err(creating("make the state directory"))?;
        // The zygote works from the root: it needs the whole path.
        let state_dir =
            std::fs::canonicalize(state_dir).map_err(creating("find the state directory"))?;
        let Answer::Abilities(abilities) = ask(&zygote, &Request::Probe(state_dir.clone())).await?
        else {
            return Err(SandboxError::Gone("the zygote gave an answer out of place".into()));
        };
        let slots = if abilities.root && abilities.idmap {
            let slots = Slots::open(&state_dir).map_err(creating("open the table of id ranges"))?;
            Some(Arc::new(slots))
        } else {
            None
        };
        let maker = Maker {
            zygote: Arc::new(zygote),
            groups: Groups::find().noted_in(&state_dir),
            state_dir,
            abilities,
            slots,
            stems: Stems::default(),
            etc: Mutex::default(),
        };
        let maker = Arc::new(maker);
        stems::refill(&maker);
        Ok(Self { maker })
    }

    /// Why this host cannot make any sandbox, as far as that is known without making one: what is
    /// missing, and what to do.
    pub fn unsupported(&self) -> Option<SandboxError> {
        let (what, remedy) = report::no_user_namespace(self.maker.abilities.userns_error?);
        Some(SandboxError::Unsupported { what, remedy })
    }
}

#[async_trait]
impl SandboxBackend for NativeBackend {
    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let made = self.maker.make(&spec, Life::First).await;
        stems::refill(&self.maker);
        let made = made?;
        Ok(Arc::new(NativeSandbox::new(Arc::clone(&self.maker), spec, made)))
    }

    async fn discard(&self, path: &Path) -> Result<(), SandboxError> {
        let moved = sweep::move_to_trash(&self.maker.state_dir, path);
        upper::forget(path);
        let moved = match moved {
            Ok(moved) => moved,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // On another file system: then it takes as long as it takes.
            Err(_) => return self.maker.remove(path).await,
        };
        let maker = Arc::clone(&self.maker);
        // What it leaves, the next sweep takes.
        tokio::spawn(async move { maker.remove(&moved).await });
        Ok(())
    }

    async fn erase(&self, path: &Path) -> Result<(), SandboxError> {
        upper::forget(path);
        let begun = tokio::time::Instant::now();
        loop {
            match self.maker.remove(path).await {
                // Processes that were ended a moment ago may still be writing.
                Err(_) if begun.elapsed() < BURIAL => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                removed => return removed,
            }
        }
    }

    async fn forfeit(&self, path: &Path) -> Result<(), SandboxError> {
        let path = std::path::absolute(path).map_err(creating("find what is forfeited"))?;
        ask(&self.maker.zygote, &Request::Forfeit(path)).await.map(drop)
    }

    async fn open_written(&self, dir: &Path, path: &[u8]) -> io::Result<OwnedFd> {
        let dir = std::path::absolute(dir)?;
        let request = Request::Open { dir, path: path.to_owned() };
        let (answer, mut fds) =
            ask_for(&self.maker.zygote, &request, PATIENCE).await.map_err(io::Error::other)?;
        match (answer, fds.pop()) {
            (Answer::Done, Some(opened)) => Ok(opened),
            (Answer::Failed { errno, .. }, _) => Err(io::Error::from_raw_os_error(errno)),
            _ => Err(io::Error::other("the zygote gave an answer out of place")),
        }
    }

    async fn report(&self) -> IsolationReport {
        report::report(&self.maker).await
    }

    fn packages_in_setup(&self, base: &SandboxBase) -> Finding {
        system::packages_in_setup(&self.maker.abilities, base)
    }

    async fn sweep(&self) -> Result<(), SandboxError> {
        self.maker.groups.sweep();
        for left in sweep::left_over(&self.maker.state_dir) {
            self.maker.remove(&left).await?;
        }
        Ok(())
    }
}

impl Maker {
    /// Makes a guest for the specification.
    pub async fn make(&self, spec: &SandboxSpec, life: Life) -> Result<Made, SandboxError> {
        if let Some(errno) = self.abilities.userns_error {
            let (what, remedy) = report::no_user_namespace(errno);
            return Err(SandboxError::Unsupported { what, remedy });
        }
        let mut stem = self.stems.take();
        let slot = match stem.as_mut().and_then(|stem| stem.slot.take()) {
            Some(slot) => Some(slot),
            None => self.take_slot()?,
        };
        let range = match &slot {
            Some(slot) => Some(slot.first_id()),
            None => self.abilities.root.then_some(FIRST_ID),
        };
        let etc = match spec.base {
            SandboxBase::Host => Some(self.etc(&spec.home).await?),
            SandboxBase::Layers(_) => None,
        };
        let mark = match &spec.upper {
            // What is written is stored in the first range, whichever range wrote it.
            Upper::Disk(path) => upper::prepare(path, self.abilities.root.then_some(FIRST_ID))?,
            Upper::Memory => None,
        };
        if self.abilities.root && !self.abilities.idmap {
            for layer in owner::own_layers(spec) {
                tokio::task::spawn_blocking(move || owner::give(&layer, FIRST_ID))
                    .await
                    .map_err(io::Error::other)
                    .and_then(|given| given)
                    .map_err(creating("give a layer to the sandboxes' range"))?;
            }
        }
        let mut plan = planning::plan(spec, Ids { range, idmapped: slot.is_some() }, etc)?;
        plan.unfolding = life == Life::Unfolded;
        if self.groups.mode("pids").is_some() {
            planning::leave_processes_to_group(&mut plan);
        }
        if let SandboxBase::Layers(layers) = &spec.base {
            let files = self.own_files(spec, layers)?;
            plan.mounts.extend(files.into_iter().map(|(source, target)| MountPlan::Bind {
                source,
                target,
                optional: true,
            }));
        }
        let written = write_plan(&plan)?;
        let handed =
            stem.and_then(|stem| stem.hand_over(&written).ok().map(|socket| (socket, stem.group)));
        let (socket, group) = if let Some(handed) = handed {
            handed
        } else {
            let (group, files) =
                self.groups.make(Some(&spec.name)).map_err(creating("make the control group"))?;
            plan.groups = group.paths();
            (send_request(&self.zygote, &write_plan(&plan)?, &files).await?, group)
        };
        // While it is made, and before anything runs in it.
        if let Some(mark) = mark {
            mark.write()?;
        }
        group.limit(&spec.limits).map_err(creating("limit the control group"))?;
        let Met { guest, degraded, upper } = Guest::meet(socket).await?;
        let upper = match (&spec.upper, upper) {
            (Upper::Memory, Some(upper)) => upper,
            (Upper::Memory, None) => {
                return Err(SandboxError::Gone("it did not show its upper".to_owned()));
            }
            (Upper::Disk(path), _) => open_upper(path).map_err(creating("open the upper"))?,
        };
        let upper = Arc::new(upper);
        let watched = Watched {
            upper: match &spec.upper {
                Upper::Disk(path) => Some(WatchedUpper {
                    directory: Arc::clone(&upper),
                    path: path.clone(),
                    zygote: Arc::downgrade(&self.zygote),
                }),
                Upper::Memory => None,
            },
            memory: self.groups.mode("memory").is_none(),
            limits: spec.limits,
        };
        if watched.memory || watched.upper.is_some() {
            tokio::spawn(watch(Arc::clone(&guest), watched));
        }
        Ok(Made { guest, _slot: slot, owner: range, degraded, upper, group })
    }

    /// Files of ours that are shown over those of an image: what is written and where it shows.
    fn own_files(
        &self,
        spec: &SandboxSpec,
        layers: &[Layer],
    ) -> Result<Vec<(PathBuf, PathBuf)>, SandboxError> {
        let holder = self.state_dir.join("accounts");
        let files = match spec.user {
            SandboxUser::Agent => etc::accounts(&holder, layers, &spec.home),
            SandboxUser::SetupRoot if self.abilities.ids == 1 => {
                etc::apt_as_root(&holder, layers).map(|file| file.into_iter().collect())
            }
            SandboxUser::SetupRoot => Ok(Vec::new()),
        };
        files.map_err(creating("write the account files"))
    }

    /// Takes a range of ids, where each sandbox has its own.
    pub fn take_slot(&self) -> Result<Option<Slot>, SandboxError> {
        match &self.slots {
            Some(slots) => slots.take().map(Some).map_err(creating("take a range of ids")),
            None => Ok(None),
        }
    }

    /// Removes a tree, whoever of its ids owns it.
    pub async fn remove(&self, path: &Path) -> Result<(), SandboxError> {
        match ask_for(&self.zygote, &Request::Remove(path.to_owned()), LONG).await?.0 {
            Answer::Failed { step, errno } => {
                Err(creating(&step)(io::Error::from_raw_os_error(errno)))
            }
            _ => Ok(()),
        }
    }

    async fn etc(&self, home: &Path) -> Result<PathBuf, SandboxError> {
        let mut copies = self.etc.lock().await;
        if let Some(copy) = copies.get(home) {
            return Ok(copy.clone());
        }
        let (holder, for_home) = (self.state_dir.join("etc"), home.to_owned());
        let copy = tokio::task::spawn_blocking(move || etc::copy(&holder, &for_home))
            .await
            .map_err(|error| creating("copy /etc")(io::Error::other(error)))?
            .map_err(creating("copy /etc"))?;
        copies.insert(home.to_owned(), copy.clone());
        Ok(copy)
    }
}

fn write_plan(plan: &Plan) -> Result<Vec<u8>, SandboxError> {
    serde_json::to_vec(&Request::Create(Box::new(plan.clone())))
        .map_err(|error| creating("write the plan")(error.into()))
}

/// Opens an upper's directory, not by a link.
pub fn open_upper(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Hands a request to the zygote; answers come on the socket.
pub async fn request(
    zygote: &Zygote,
    request: &Request,
    groups: &[OwnedFd],
) -> Result<OwnedFd, SandboxError> {
    let plan =
        serde_json::to_vec(request).map_err(|error| creating("write the plan")(error.into()))?;
    send_request(zygote, &plan, groups).await
}

async fn send_request(
    zygote: &Zygote,
    plan: &[u8],
    groups: &[OwnedFd],
) -> Result<OwnedFd, SandboxError> {
    let (ours, theirs) = wire::socket_pair().map_err(creating("make a socket"))?;
    let mut fds = vec![theirs.as_fd()];
    fds.extend(groups.iter().map(AsFd::as_fd));
    zygote.request(plan, &fds).await.map_err(creating("reach the zygote"))?;
    Ok(ours)
}

/// Asks for something that the zygote answers at once.
async fn ask(zygote: &Zygote, what: &Request) -> Result<Answer, SandboxError> {
    Ok(ask_for(zygote, what, PATIENCE).await?.0)
}

/// What lies below a directory that sandboxes wrote, at most `most` entries of it; `None` where the
/// zygote cannot look either.
pub(super) async fn measured_by_zygote(zygote: &Zygote, dir: &Path, most: u64) -> Option<UpperUse> {
    let request = Request::Measure { dir: std::path::absolute(dir).ok()?, most };
    match ask_for(zygote, &request, LONG).await.ok()?.0 {
        Answer::Measured(used) => Some(used),
        _ => None,
    }
}

async fn ask_for(
    zygote: &Zygote,
    what: &Request,
    patience: Duration,
) -> Result<(Answer, Vec<OwnedFd>), SandboxError> {
    let socket = request(zygote, what, &[]).await?;
    wire::set_nonblocking(&socket).map_err(creating("hear from the zygote"))?;
    let socket =
        wire::watch(socket, Interest::READABLE).map_err(creating("hear from the zygote"))?;
    let answer = tokio::time::timeout(patience, next_answer(&socket)).await;
    answer.map_err(|_| SandboxError::Timeout(patience))?
}
