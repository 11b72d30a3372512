//! What an attempt's environment has to have installed, what that hangs on, and whether there is a
//! snapshot of it.

use std::path::Path;
use std::time::UNIX_EPOCH;

use quire_domain::environment::{BaseSpec, SetupSpec};
use quire_domain::time::Timestamp;
use quire_environment::detect::{self, MOST_LOCK_BYTES, Place, shown};
use quire_environment::snapshot::{Decision, Inputs, Key, Snapshot, Snapshots, Wanted, decide};
use quire_git::GitError;

use crate::base;
use crate::bases;
use crate::prepare::Layout;
use crate::submit::Origin;
use crate::worker::Worker;

/// The longest lock file whose whole content is part of a key, in bytes; of a longer one it is
/// what stands before that, and its length.
const MOST_KEY_BYTES: u64 = 64 << 20;

/// What an attempt's environment has to have installed.
#[derive(Debug)]
pub struct Setup {
    /// What is wanted; `None` where nothing is to be set up.
    pub wanted: Option<Wanted>,
    /// Whether Quire chose what is run.
    pub chosen: bool,
    /// The tracked files of the base commit, sorted.
    pub tracked: Vec<String>,
    /// What was found.
    pub found: Found,
    /// What was decided, lines for the person.
    pub notes: Vec<String>,
}

/// Whether there is a snapshot.
#[derive(Debug)]
pub enum Found {
    /// Nothing is to be set up.
    Nothing,
    /// There is one, and it is held.
    There(Box<Snapshot>),
    /// It has to be made.
    Missing(Decision),
}

/// A secret that setup sees, without its value.
pub type SecretVersion = (String, u32);

/// Looks at what is wanted and at what is there.
pub async fn look(
    worker: &Worker,
    origin: &Origin,
    layout: &Layout,
    secrets: Vec<SecretVersion>,
) -> Result<Setup, GitError> {
    let snapshots = Snapshots::new(&worker.place.data_dir);
    let (origin, layout, now) = (origin.clone(), layout.clone(), worker.clock.now());
    let looked =
        tokio::task::spawn_blocking(move || look_now(&snapshots, &origin, &layout, &secrets, now));
    looked.await.map_err(|error| GitError::Io {
        doing: "look at what is to be set up in",
        path: worker.place.data_dir.clone(),
        source: std::io::Error::other(error),
    })?
}

fn look_now(
    snapshots: &Snapshots,
    origin: &Origin,
    layout: &Layout,
    secrets: &[SecretVersion],
    now: Timestamp,
) -> Result<Setup, GitError> {
    let nothing = Setup {
        wanted: None,
        chosen: false,
        tracked: Vec::new(),
        found: Found::Nothing,
        notes: Vec::new(),
    };
    let environment = &layout.environment;
    if environment.setup == SetupSpec::None && layout.snapshot.is_none() {
        return Ok(nothing);
    }
    let tracked = layout.checkout.tracked()?;
    let (script, notes, chosen) = match &environment.setup {
        SetupSpec::None => (None, Vec::new(), false),
        SetupSpec::Script(script) => (Some(script.clone()), Vec::new(), false),
        SetupSpec::Auto => {
            let detection = detect_in(origin, layout, &tracked);
            (detection.script(), detection.lines(), true)
        }
    };
    let Some(setup) = script else { return Ok(Setup { notes, ..nothing }) };
    let wanted = Wanted {
        owner: owner(&origin.mirror),
        environment: environment.name.clone(),
        inputs: inputs(origin, layout, &tracked, &setup, secrets),
        commit: origin.layer.as_str().to_owned(),
        setup,
        maintenance: environment.maintenance.clone(),
        lifetime_ms: environment.snapshot.lifetime_s.saturating_mul(1_000),
        not_before: None,
    };
    let found = match &layout.snapshot {
        Some(pinned) => Found::There(Box::new(pinned.clone())),
        None => find(snapshots, &wanted, now),
    };
    Ok(Setup { wanted: Some(wanted), chosen, tracked, found, notes })
}

/// Looks whether there is one by now.
pub fn find(snapshots: &Snapshots, wanted: &Wanted, now: Timestamp) -> Found {
    let all = snapshots.all().into_iter();
    let mut kept: Vec<_> = all.map(|kept| (kept.name, kept.manifest)).collect();
    loop {
        let name = match decide(wanted, &kept, now) {
            Decision::Use { name } => name,
            missing => return Found::Missing(missing),
        };
        if let Some(snapshot) = snapshots.hold(&name, now) {
            return Found::There(Box::new(snapshot));
        }
        // It went just now.
        kept.retain(|(other, _)| *other != name);
    }
}

/// Whose the snapshots of a repository are.
pub fn owner(mirror: &str) -> String {
    format!("local {mirror}")
}

impl Setup {
    /// The same, where only a snapshot that was made since then will do.
    #[must_use]
    pub fn made_since(mut self, worker: &Worker, since: Timestamp) -> Self {
        if let Some(wanted) = &mut self.wanted {
            wanted.not_before = Some(since);
            let snapshots = Snapshots::new(&worker.place.data_dir);
            self.found = find(&snapshots, wanted, worker.clock.now());
        }
        self
    }

    /// The key of the snapshot that is there, or that is to be made.
    pub fn key(&self) -> Option<&Key> {
        match &self.found {
            Found::Nothing => None,
            Found::There(snapshot) => Some(&snapshot.manifest.key),
            Found::Missing(decision) => decision.key(),
        }
    }

    /// The first line of an attempt's log.
    pub fn line(&self, layout: &Layout, now: Timestamp) -> String {
        let environment = &layout.environment;
        let base = match &environment.base {
            BaseSpec::Host { bare: false } => "host".to_owned(),
            BaseSpec::Host { bare: true } => "host, bare".to_owned(),
            BaseSpec::Directory { path } | BaseSpec::Tar { path } => path.clone(),
            BaseSpec::Image { reference } => match &layout.root {
                Some(root) => format!("{reference} ({}…)", bases::short(&root.identity)),
                None => reference.clone(),
            },
        };
        let snapshot = match &self.found {
            Found::Nothing => "nothing to set up".to_owned(),
            Found::There(snapshot) => {
                let age = now.millis_since(snapshot.manifest.made_at);
                format!("snapshot {} hit (age {})", snapshot.manifest.key.short(), age_words(age))
            }
            Found::Missing(decision) => {
                let (Decision::Maintain { key, why, .. } | Decision::Setup { key, why }) = decision
                else {
                    return String::new();
                };
                format!("snapshot {} miss: {why}", key.short())
            }
        };
        format!(
            "environment {}@{} · base {base} · {snapshot}",
            environment.name, environment.version
        )
    }
}

/// What a person should know of a snapshot that is used: its setup met a limit and went on.
pub fn doubts(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    snapshot.manifest.limits_met.iter().map(|met| {
        format!(
            "when this snapshot was made {met}; raise `{}` and run `quire env reset` if something is \
             missing",
            met.key()
        )
    })
}

fn age_words(ms: u64) -> String {
    match ms / 60_000 {
        0 => format!("{} s", ms / 1_000),
        minutes @ 1..60 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    }
}

fn detect_in(origin: &Origin, layout: &Layout, tracked: &[String]) -> detect::Detection {
    let view = &layout.view;
    let spec = layout.plain_spec();
    detect::detect(&Place {
        paths: tracked,
        checkout: &|path| {
            origin.checkout.as_ref().is_some_and(|root| shown::in_checkout(view, root, path))
        },
        home: &|directory| shown::in_home(view, directory),
        has_program: &|program| base::has_program(&spec, program),
        read: &|path| read_text(&layout.checkout.path.join(path)),
    })
}

/// The text of a file of the checkout: never through a link.
fn read_text(path: &Path) -> Option<String> {
    let found = path.symlink_metadata().ok()?;
    if !found.is_file() || found.len() > MOST_LOCK_BYTES {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// Everything that the snapshot hangs on.
fn inputs(
    origin: &Origin,
    layout: &Layout,
    tracked: &[String],
    setup: &str,
    secrets: &[SecretVersion],
) -> Inputs {
    let environment = &layout.environment;
    let mut inputs = Inputs::default();
    inputs.add_text("owner", &owner(&origin.mirror));
    inputs.add_text("environment", &environment.name);
    if let Some(name) = &origin.apart {
        inputs.add_text("ref", name);
    }
    inputs.add_text("architecture", std::env::consts::ARCH);
    inputs.add_text("setup script", setup);
    // What is installed holds absolute paths.
    let place = [layout.workspace.display().to_string(), layout.view.home.display().to_string()];
    inputs.add("place", place.iter().map(String::as_bytes));
    let variables = environment.variables.iter().flat_map(|(name, value)| [name, value]);
    inputs.add("variables", variables.map(String::as_bytes));
    let secrets: Vec<String> = secrets.iter().map(|(name, at)| format!("{name} {at}")).collect();
    inputs.add("secrets", secrets.iter().map(String::as_bytes));
    let network = serde_json::to_string(&environment.network.setup).unwrap_or_default();
    inputs.add_text("network rules of setup", &network);
    let base = base_identity(layout);
    inputs.add("base", base.iter().map(Vec::as_slice));
    // Names that are no globs were refused when the recipe was read.
    let globs = &environment.snapshot.lock_files;
    for path in detect::lock_files(tracked, globs).unwrap_or_default() {
        let place = layout.checkout.path.join(&path);
        inputs.add_lock_file(&path, &lock_file(&place));
    }
    inputs
}

fn lock_file(place: &Path) -> Vec<u8> {
    use std::io::Read as _;
    // Where a link leads is what counts of it, not what is there.
    if let Ok(target) = std::fs::read_link(place) {
        return target.into_os_string().into_encoded_bytes();
    }
    let Ok(file) = std::fs::File::open(place) else { return Vec::new() };
    let length = file.metadata().map_or(0, |found| found.len());
    let mut content = Vec::new();
    let _ = file.take(MOST_KEY_BYTES).read_to_end(&mut content);
    if length > MOST_KEY_BYTES {
        content.extend(length.to_be_bytes());
    }
    content
}

/// What of the base a snapshot must not be laid over another one of.
fn base_identity(layout: &Layout) -> Vec<Vec<u8>> {
    /// Where package managers keep what is installed.
    const PACKAGES: [&str; 6] = [
        "/var/lib/dpkg/status",
        "/var/lib/rpm/rpmdb.sqlite",
        "/usr/lib/sysimage/rpm/rpmdb.sqlite",
        "/var/lib/pacman/local",
        "/lib/apk/db/installed",
        "/nix/var/nix/profiles/system",
    ];
    let stamp = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        let modified = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!("{} {} {}", path.display(), found.len(), modified.as_nanos()).into_bytes())
    };
    match &layout.environment.base {
        BaseSpec::Host { .. } => {
            let release = std::fs::read("/etc/os-release").unwrap_or_default();
            let packages = PACKAGES.iter().filter_map(|path| stamp(Path::new(path)));
            let shown = layout.view.binds.iter().map(|bind| bind.target.as_os_str());
            let shown = shown.map(|place| place.as_encoded_bytes().to_vec());
            std::iter::once(release).chain(packages).chain(shown).collect()
        }
        // What it is called does not count: the same image by another tag is the same.
        BaseSpec::Directory { .. } | BaseSpec::Tar { .. } | BaseSpec::Image { .. } => {
            layout.root.iter().map(|root| root.identity.clone().into_bytes()).collect()
        }
    }
}
