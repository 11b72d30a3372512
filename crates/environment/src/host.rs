//! The host's view: what of the person's machine is shown beside the repository.
//!
//! Without the person's toolchains and the checkout's ignored build directories, most real
//! checkouts could not run a test with the network closed (DESIGN section 8). What was taken is
//! told in notes that the log keeps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quire_domain::sandbox::{BindMount, Layer, LayerOwner, OverlayMount};

use crate::build_dirs;
use crate::places::{overlay_name, places_of};
use crate::toolchains::{Access, TOOLCHAIN_VARIABLES, TOOLCHAINS};

/// What the composition root knows of the person's machine.
#[derive(Debug, Clone, Default)]
pub struct HostFacts {
    /// The person's home directory, if there is one.
    pub home: Option<PathBuf>,
    /// The entries of `PATH`.
    pub path: Vec<PathBuf>,
    /// Variables of [`TOOLCHAIN_VARIABLES`] that are set, and language settings.
    pub variables: BTreeMap<String, String>,
    /// Further directories below the home directory that the configuration names.
    pub more: Vec<PathBuf>,
    /// Directories that are never shown whatever they lie in, Quire's data first of all; the home
    /// directory is one of them without being named.
    pub private: Vec<PathBuf>,
}

/// The person's checkout, where there is one.
#[derive(Debug, Clone)]
pub struct CheckoutFacts {
    /// Its top level on the host; the repository lies at the same path inside.
    pub root: PathBuf,
    /// Its ignored directories, relative, topmost only.
    pub ignored: Vec<String>,
}

/// What is shown, and how commands find it.
#[derive(Debug, Clone, Default)]
pub struct HostView {
    /// The home directory inside.
    pub home: PathBuf,
    /// Read-only.
    pub binds: Vec<BindMount>,
    /// Writable over the host's content.
    pub overlays: Vec<OverlayMount>,
    /// Variables of all commands, `PATH` included.
    pub env: BTreeMap<String, String>,
    /// What was taken, a line each.
    pub notes: Vec<String>,
    /// Ignored files of the checkout that are copied in, relative to it.
    pub generated: Vec<String>,
    /// Whether ignored build directories of the checkout are shown.
    pub build_dirs: bool,
}

/// Where programs are on every system.
const SYSTEM_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The directories of the host that a sandbox over the host's system shows as they are.
const SHOWN_SYSTEM: [&str; 3] = ["/usr", "/opt", "/srv"];

/// The home directory of sandboxes that take nothing of the person's.
const BARE_HOME: &str = "/home/quire";

impl HostView {
    /// The view that takes nothing of the person's: system directories alone.
    pub fn bare(facts: &HostFacts) -> Self {
        let mut view = Self { home: PathBuf::from(BARE_HOME), ..Self::default() };
        view.env = base_variables(&view.home, &SYSTEM_PATH.map(PathBuf::from));
        view.cover_private(facts);
        view
    }

    /// The view with the person's toolchains and, where there is a checkout, its build
    /// directories. Reads the disk for what exists; a few dozen `stat` calls.
    pub fn of(facts: &HostFacts, checkout: Option<&CheckoutFacts>) -> Self {
        let Some(home) = facts.home.as_deref().filter(|home| usable_home(home)) else {
            let mut view = Self::bare(facts);
            view.notes.push(match &facts.home {
                None => "no home directory: no toolchains of a person are shown".to_owned(),
                Some(home) => format!(
                    "the home directory {} is not shown, nor are toolchains in it",
                    home.display()
                ),
            });
            view.add_build_dirs(checkout);
            return view;
        };
        let mut view = Self { home: home.to_owned(), ..Self::default() };
        // Before the entries of `PATH`: an activated environment lies in the checkout.
        view.add_build_dirs(checkout);
        view.add_toolchains(facts, home);
        view.cover_private(facts);
        let path = view.visible_path(facts);
        view.env = base_variables(home, &path);
        for (name, value) in &facts.variables {
            let place = Path::new(value);
            let carried = !TOOLCHAIN_VARIABLES.contains(&name.as_str())
                || !place.is_absolute()
                || is_shown_anyway(place)
                || view.shows_something_of(place);
            if carried {
                view.env.insert(name.clone(), value.clone());
            }
        }
        view
    }

    /// Covers with an empty directory what the sandbox's view of the system would show of the
    /// person's own: a home or Quire's data below `/opt`, `/srv` or `/usr`. A user without sub-ids
    /// is the same one inside, so that the modes of the files keep nothing from it.
    fn cover_private(&mut self, facts: &HostFacts) {
        let named = facts.home.iter().chain(&facts.private);
        // Where a link leads counts, as that is what is shown.
        let mut places: Vec<PathBuf> =
            named.filter_map(|place| std::fs::canonicalize(place).ok()).collect();
        places.sort();
        places.dedup();
        let mut covered: Vec<PathBuf> = Vec::new();
        for place in places {
            let shown = SHOWN_SYSTEM.iter().any(|system| place.starts_with(system))
                && !is_of_the_system(&place);
            // Of a home that is shown only what is named is there; what lies below it is covered
            // with it.
            if !shown || place == self.home || covered.iter().any(|above| place.starts_with(above))
            {
                continue;
            }
            if place.starts_with(&self.home) && !self.shows(&place) {
                continue;
            }
            self.overlays.push(OverlayMount {
                target: place.clone(),
                lowers: Vec::new(),
                name: overlay_name("private", &place),
            });
            covered.push(place);
        }
    }

    fn add_toolchains(&mut self, facts: &HostFacts, home: &Path) {
        let mut taken = Vec::new();
        for toolchain in TOOLCHAINS {
            for source in places_of(toolchain.path, &facts.variables, home) {
                let at_home = source.starts_with(home);
                if !source.exists() || (!at_home && holds_credentials(&source, home)) {
                    continue;
                }
                taken.push(match source.strip_prefix(home) {
                    Ok(rest) => rest.display().to_string(),
                    Err(_) => source.display().to_string(),
                });
                match toolchain.access {
                    Access::Read => self.bind(source),
                    Access::Scratch => self.overlay(source),
                }
            }
        }
        let named = facts.path.iter().chain(&facts.more);
        for entry in named.filter(|entry| entry.starts_with(home) && entry.as_path() != home) {
            // `~/bin` and the like; never a directory that holds one with credentials.
            let depth = entry.strip_prefix(home).map_or(0, |rest| rest.components().count());
            if depth > 0 && !self.shows(entry) && !holds_credentials(entry, home) && entry.is_dir()
            {
                for place in belongs_to(entry, home).into_iter().chain([entry.clone()]) {
                    if self.shows(&place) {
                        continue;
                    }
                    if let Ok(rest) = place.strip_prefix(home) {
                        taken.push(rest.display().to_string());
                    }
                    self.bind(place);
                }
            }
        }
        if !taken.is_empty() {
            taken.sort();
            self.notes.insert(0, format!("toolchains of ~: {}", taken.join(", ")));
        }
    }

    fn add_build_dirs(&mut self, checkout: Option<&CheckoutFacts>) {
        let Some(checkout) = checkout else { return };
        let build_dirs::Choice { dirs: chosen, files, left } =
            build_dirs::choose(&checkout.ignored);
        self.generated = files;
        for relative in &chosen {
            let source = checkout.root.join(relative);
            self.overlays.push(OverlayMount {
                target: source.clone(),
                name: overlay_name("build", &source),
                lowers: vec![Layer { path: source, owner: LayerOwner::Person }],
            });
        }
        self.build_dirs = !chosen.is_empty();
        if !chosen.is_empty() {
            self.notes.push(format!("ignored directories shown: {}", chosen.join(", ")));
        }
        if !self.generated.is_empty() {
            let shown: Vec<&str> = self.generated.iter().take(8).map(String::as_str).collect();
            let more = if self.generated.len() > 8 { ", …" } else { "" };
            self.notes.push(format!("ignored files copied: {}{more}", shown.join(", ")));
        }
        if !left.is_empty() {
            let shown: Vec<&str> = left.iter().take(8).map(String::as_str).collect();
            let more = if left.len() > 8 { ", …" } else { "" };
            self.notes
                .push(format!("ignored directories left outside: {}{more}", shown.join(", ")));
        }
    }

    fn bind(&mut self, source: PathBuf) {
        self.binds.push(BindMount { target: source.clone(), source, optional: true });
    }

    fn overlay(&mut self, source: PathBuf) {
        let name = overlay_name("cache", &source);
        let lowers = vec![Layer { path: source.clone(), owner: LayerOwner::Person }];
        self.overlays.push(OverlayMount { target: source, lowers, name });
    }

    /// Whether `path` is at or below something that is shown.
    fn shows(&self, path: &Path) -> bool {
        let binds = self.binds.iter().map(|bind| &bind.target);
        let overlays = self.overlays.iter().map(|overlay| &overlay.target);
        binds.chain(overlays).any(|target| path.starts_with(target))
    }

    /// Whether `path` is, holds, or is below something that is shown.
    fn shows_something_of(&self, path: &Path) -> bool {
        self.shows(path)
            || self.binds.iter().any(|bind| bind.target.starts_with(path))
            || self.overlays.iter().any(|overlay| overlay.target.starts_with(path))
    }

    fn visible_path(&self, facts: &HostFacts) -> Vec<PathBuf> {
        let mut path: Vec<PathBuf> = Vec::new();
        for entry in &facts.path {
            let visible = is_shown_anyway(entry) || self.shows(entry);
            if visible && !path.contains(entry) {
                path.push(entry.clone());
            }
        }
        for entry in SYSTEM_PATH.map(PathBuf::from) {
            if !path.contains(&entry) {
                path.push(entry);
            }
        }
        path
    }
}

/// Whether a sandbox over the host's system directories shows `place` as they are.
fn is_shown_anyway(place: &Path) -> bool {
    const SHOWN: [&str; 6] = ["/usr", "/bin", "/sbin", "/opt", "/srv", "/lib"];
    SHOWN.iter().any(|system| place.starts_with(system))
}

/// Variables that every command has.
fn base_variables(home: &Path, path: &[PathBuf]) -> BTreeMap<String, String> {
    let path: Vec<String> = path.iter().map(|entry| entry.display().to_string()).collect();
    BTreeMap::from(
        [
            ("HOME", home.display().to_string()),
            ("PATH", path.join(":")),
            ("USER", "quire".to_owned()),
            ("LOGNAME", "quire".to_owned()),
            ("SHELL", "/bin/bash".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}

/// A home that can be shown at its own path: absolute, and not a directory of the system. Homes
/// below `/var` are usual on some systems; `/var` itself, `/opt` and `/srv` are no homes, as there
/// is more in them.
fn usable_home(home: &Path) -> bool {
    const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/etc", "/proc", "/dev", "/sys"];
    const PARENTS: [&str; 9] = [
        "/var",
        "/var/home",
        "/var/lib",
        "/var/cache",
        "/var/spool",
        "/var/tmp",
        "/home",
        "/opt",
        "/srv",
    ];
    home.is_absolute()
        && home.components().count() > 1
        && home.is_dir()
        && !SYSTEM.iter().any(|prefix| home.starts_with(prefix))
        && !PARENTS.iter().any(|parent| home == Path::new(parent))
}

/// Whether programs of all people lie there, so that it cannot be covered: accounts of daemons have
/// such homes.
fn is_of_the_system(place: &Path) -> bool {
    const WHOLE: [&str; 3] = ["/opt", "/srv", "/usr/local"];
    let below_usr = |rest: &Path| {
        const HOMES: [&str; 3] = ["local", "home", "users"];
        match rest.components().next() {
            None => true,
            Some(first) => !HOMES.iter().any(|name| first.as_os_str() == *name),
        }
    };
    WHOLE.iter().any(|whole| place == Path::new(whole))
        || place.strip_prefix("/usr").is_ok_and(below_usr)
        || place.strip_prefix("/usr/local").is_ok_and(|rest| {
            const PROGRAMS: [&str; 6] = ["bin", "sbin", "lib", "libexec", "share", "include"];
            PROGRAMS.iter().any(|name| rest.starts_with(name))
        })
}

/// What the programs in a `bin` of a home stand on: a prefix's `lib` (npm's programs are links into
/// it) and `libexec`, or the whole of a virtual environment. Nothing where `bin` lies in the home
/// itself: what is beside it there is the person's own.
fn belongs_to(entry: &Path, home: &Path) -> Vec<PathBuf> {
    let prefix = entry.parent().filter(|prefix| *prefix != home && entry.ends_with("bin"));
    let Some(prefix) = prefix else { return Vec::new() };
    let places = if prefix.join("pyvenv.cfg").is_file() {
        vec![prefix.to_owned()]
    } else {
        ["lib", "libexec"].map(|name| prefix.join(name)).to_vec()
    };
    // A link would lead to what has another name here.
    let is_dir = |place: &PathBuf| place.symlink_metadata().is_ok_and(|found| found.is_dir());
    let usable = |place: &PathBuf| is_dir(place) && !holds_credentials(place, home);
    places.into_iter().filter(usable).collect()
}

/// Directories of a home that hold credentials: nothing at or above them is shown, whatever
/// `PATH` says.
fn holds_credentials(entry: &Path, home: &Path) -> bool {
    const CREDENTIALS: [&str; 12] = [
        ".ssh",
        ".gnupg",
        ".aws",
        ".azure",
        ".kube",
        ".docker",
        ".config",
        ".netrc",
        ".npmrc",
        ".password-store",
        ".mozilla",
        ".cargo/credentials.toml",
    ];
    CREDENTIALS.iter().any(|name| {
        let place = home.join(name);
        entry.starts_with(&place) || place.starts_with(entry)
    })
}

#[cfg(test)]
mod tests;
