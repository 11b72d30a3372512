//! The maker of native sandboxes.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use quire_domain::sandbox::{
    IsolationReport, Sandbox, SandboxBackend, SandboxBase, SandboxError, SandboxSpec, Upper,
};
use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::sync::Mutex;

use super::groups::{Group, Groups};
use super::guest::{Guest, Met, PATIENCE, creating, next_answer};
use super::planning::{self, Ids};
use super::sandbox::NativeSandbox;
use super::slots::{Slot, Slots};
use super::watch::{Watched, watch};
use super::{etc, upper};
use crate::plan::{Abilities, Answer, Request};
use crate::zygote::FIRST_ID;
use crate::{Zygote, wire};

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
    zygote: Zygote,
    state_dir: PathBuf,
    abilities: Abilities,
    groups: Groups,
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
    /// Its range of ids.
    pub slot: Option<Slot>,
    /// First host uid of its range; `None` where that is our own.
    pub owner: Option<u32>,
    /// What is weaker in it than it should be.
    pub degraded: Vec<String>,
    /// What it writes to.
    pub upper: Arc<OwnedFd>,
    /// Its control groups.
    pub group: Group,
}

impl NativeBackend {
    /// Prepares the state directory and asks the zygote what it can do. Call it inside a Tokio
    /// runtime.
    pub async fn new(zygote: Zygote, config: NativeConfig) -> Result<Self, SandboxError> {
        let state_dir = config.state_dir;
        std::fs::create_dir_all(&state_dir).map_err(creating("make the state directory"))?;
        let Answer::Abilities(abilities) = ask(&zygote, &Request::Probe).await? else {
            return Err(SandboxError::Gone("the zygote gave an answer out of place".into()));
        };
        let slots = if abilities.root && abilities.idmap {
            let slots = Slots::open(&state_dir).map_err(creating("open the table of id ranges"))?;
            Some(Arc::new(slots))
        } else {
            None
        };
        let maker = Maker {
            zygote,
            state_dir,
            abilities,
            slots,
            groups: Groups::find(),
            etc: Mutex::default(),
        };
        Ok(Self { maker: Arc::new(maker) })
    }

    /// Removes an upper or a frozen layer in the background: moved to the trash at once, so that
    /// the name is free again. An ordinary user cannot remove all of it without this.
    pub async fn discard(&self, path: &Path) -> Result<(), SandboxError> {
        upper::forget(path);
        match ask(&self.maker.zygote, &Request::Remove(path.to_owned())).await? {
            Answer::Failed { step, errno } => {
                Err(creating(&step)(io::Error::from_raw_os_error(errno)))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl SandboxBackend for NativeBackend {
    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let made = self.maker.make(&spec, Life::First).await?;
        Ok(Arc::new(NativeSandbox::new(Arc::clone(&self.maker), spec, made)))
    }

    async fn report(&self) -> IsolationReport {
        IsolationReport {
            usable: self.maker.abilities.userns_error.is_none(),
            findings: Vec::new(),
        }
    }

    async fn sweep(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}

impl Maker {
    /// Makes a guest for the specification.
    pub async fn make(&self, spec: &SandboxSpec, life: Life) -> Result<Made, SandboxError> {
        if let Some(errno) = self.abilities.userns_error {
            return Err(SandboxError::Unsupported {
                what: format!("no user namespace: {}", io::Error::from_raw_os_error(errno)),
                remedy: "see `quire doctor`".to_owned(),
            });
        }
        let slot = match &self.slots {
            Some(slots) => Some(slots.take().map_err(creating("take a range of ids"))?),
            None => None,
        };
        let range = match &slot {
            Some(slot) => Some(slot.first_id()),
            None => self.abilities.root.then_some(FIRST_ID),
        };
        let etc = match spec.base {
            SandboxBase::Host => Some(self.etc(&spec.home).await?),
            SandboxBase::Layers(_) => None,
        };
        if let Upper::Disk(path) = &spec.upper {
            // What is written is stored in the first range, whichever range wrote it.
            upper::prepare(path, self.abilities.root.then_some(FIRST_ID))?;
        }
        let mut plan = planning::plan(spec, Ids { range, idmapped: slot.is_some() }, etc)?;
        plan.unfolding = life == Life::Unfolded;
        let (group, files) = self
            .groups
            .make(&spec.name, &spec.limits)
            .map_err(creating("make the control group"))?;
        let socket = request(&self.zygote, &Request::Create(Box::new(plan)), &files).await?;
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
            upper: matches!(spec.upper, Upper::Disk(_)).then(|| Arc::clone(&upper)),
            memory: self.groups.mode("memory").is_none(),
            limits: spec.limits,
        };
        if watched.memory || watched.upper.is_some() {
            tokio::spawn(watch(Arc::clone(&guest), watched));
        }
        Ok(Made { guest, slot, owner: range, degraded, upper, group })
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

/// Opens an upper's directory, not by a link.
pub fn open_upper(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Hands a request to the zygote; answers come on the socket.
async fn request(
    zygote: &Zygote,
    request: &Request,
    groups: &[OwnedFd],
) -> Result<OwnedFd, SandboxError> {
    let plan =
        serde_json::to_vec(request).map_err(|error| creating("write the plan")(error.into()))?;
    let (ours, theirs) = wire::socket_pair().map_err(creating("make a socket"))?;
    let mut fds = vec![theirs.as_fd()];
    fds.extend(groups.iter().map(AsFd::as_fd));
    zygote.request(&plan, &fds).await.map_err(creating("reach the zygote"))?;
    Ok(ours)
}

/// Asks for something that the zygote answers at once.
async fn ask(zygote: &Zygote, what: &Request) -> Result<Answer, SandboxError> {
    let socket = request(zygote, what, &[]).await?;
    wire::set_nonblocking(&socket).map_err(creating("hear from the zygote"))?;
    let socket =
        wire::watch(socket, Interest::READABLE).map_err(creating("hear from the zygote"))?;
    let answer = tokio::time::timeout(PATIENCE, next_answer(&socket)).await;
    Ok(answer.map_err(|_| SandboxError::Timeout(PATIENCE))??.0)
}
