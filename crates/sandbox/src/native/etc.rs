//! The copy of `/etc` that sandboxes over the host see: what others may read, without secrets,
//! and with a user of the sandbox's own.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use quire_domain::sandbox::Layer;
use rustix::fs::{Mode, OFlags, ResolveFlags};

/// The most entries that are copied, and the largest file.
const MAX_ENTRIES: usize = 50_000;
const MAX_FILE: u64 = 8 << 20;

/// Names that are left out wherever they are, readable or not.
const SECRET_NAMES: [&str; 10] = [
    "shadow",
    "shadow-",
    "gshadow",
    "gshadow-",
    "sudoers",
    "sudoers.d",
    "krb5.keytab",
    "private",
    "machine-id",
    "resolv.conf",
];

/// Files that are written anew.
const OWN: [&str; 6] = ["passwd", "passwd-", "group", "group-", "hostname", "hosts"];

/// Layout of the copy; raised when what is written here changes.
const LAYOUT: u32 = 1;

/// The copy for `home`, made if `/etc` changed since the last one. About 2 ms when it is there,
/// 120 ms when not.
pub fn copy(holder: &Path, home: &Path) -> io::Result<PathBuf> {
    let mut entries = Vec::new();
    list(Path::new("/etc"), &mut entries)?;
    let mut hasher = DefaultHasher::new();
    (LAYOUT, home).hash(&mut hasher);
    for entry in &entries {
        (&entry.path, entry.size, entry.changed, entry.mode).hash(&mut hasher);
    }
    let ready = holder.join(format!("{:016x}", hasher.finish()));
    if ready.is_dir() {
        return Ok(ready);
    }
    fs::create_dir_all(holder)?;
    let fresh = holder.join(format!(".new-{}-{:p}", std::process::id(), &raw const entries));
    let made = fill(&fresh, &entries, home).and_then(|()| fs::rename(&fresh, &ready));
    if made.is_err() {
        let _ = fs::remove_dir_all(&fresh);
        // Another process may have been faster.
        if !ready.is_dir() {
            made?;
        }
    }
    Ok(ready)
}

/// Account files for a root made of `layers`, topmost first, where these know no uid 1000: what
/// they have and a user of the sandbox's own. Pairs of a file and where it is shown.
pub fn accounts(
    holder: &Path,
    layers: &[Layer],
    home: &Path,
) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let home = home.to_string_lossy();
    let wanted = [
        ("passwd", format!("quire:x:1000:1000:quire:{home}:/bin/bash\n")),
        ("group", "quire:x:1000:\n".to_owned()),
    ];
    let mut shown = Vec::new();
    for (name, line) in wanted {
        let mut text =
            layers.iter().find_map(|layer| account_file(&layer.path, name)).unwrap_or_default();
        if text.lines().any(|line| line.split(':').nth(2) == Some("1000")) {
            continue;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&line);
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let ready = holder.join(format!("{name}-{:016x}", hasher.finish()));
        if !ready.exists() {
            fs::create_dir_all(holder)?;
            let fresh = holder.join(format!(".new-{}-{name}", std::process::id()));
            fs::write(&fresh, text)?;
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o644))?;
            fs::rename(&fresh, &ready)?;
        }
        shown.push((ready, Path::new("/etc").join(name)));
    }
    Ok(shown)
}

/// A setting that has apt fetch as root, for setup over `layers` where no other id is mapped; none
/// where they have no apt. A file and where it is shown.
pub fn apt_as_root(holder: &Path, layers: &[Layer]) -> io::Result<Option<(PathBuf, PathBuf)>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let has_apt = layers.iter().any(|layer| {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        fs::File::open(&layer.path).is_ok_and(|layer| {
            let path = "etc/apt/apt.conf.d";
            rustix::fs::openat2(layer, path, flags, Mode::empty(), beneath).is_ok()
        })
    });
    if !has_apt {
        return Ok(None);
    }
    let ready = holder.join("apt-as-root");
    if !ready.exists() {
        fs::create_dir_all(holder)?;
        let fresh = holder.join(format!(".new-{}-apt", std::process::id()));
        fs::write(&fresh, "APT::Sandbox::User \"root\";\n")?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o644))?;
        fs::rename(&fresh, &ready)?;
    }
    Ok(Some((ready, PathBuf::from("/etc/apt/apt.conf.d/99quire"))))
}

/// A small file of a layer's `etc`, reached by no link: a layer may be of a sandbox's making.
fn account_file(layer: &Path, name: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let layer = fs::File::open(layer).ok()?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let path = format!("etc/{name}");
    let file = rustix::fs::openat2(layer, path, flags, Mode::empty(), beneath).ok()?;
    let file = fs::File::from(file);
    let metadata = file.metadata().ok()?;
    let mut text = String::new();
    (metadata.is_file() && metadata.len() <= 1 << 20)
        .then(|| file.take(1 << 20).read_to_string(&mut text).ok())??;
    Some(text)
}

struct Entry {
    /// Below `/etc`.
    path: PathBuf,
    kind: Kind,
    mode: u32,
    size: u64,
    changed: (i64, i64),
}

#[derive(PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
}

/// Lists what is copied, directories before what is in them.
fn list(directory: &Path, entries: &mut Vec<Entry>) -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(directory)?.filter_map(Result::ok).collect();
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if SECRET_NAMES.contains(&text.as_ref()) || text.ends_with(".key") {
            continue;
        }
        let path = entry.path();
        let Ok(metadata) = entry.metadata() else { continue };
        let mode = metadata.mode();
        let kind = if metadata.is_dir() && mode & 0o5 == 0o5 {
            Kind::Directory
        } else if metadata.is_file() && mode & 0o4 != 0 && metadata.len() <= MAX_FILE {
            Kind::File
        } else if metadata.is_symlink() {
            Kind::Link
        } else {
            continue;
        };
        if entries.len() == MAX_ENTRIES {
            return Ok(());
        }
        let descend = kind == Kind::Directory;
        let relative = path.strip_prefix("/etc").unwrap_or(&path).to_path_buf();
        entries.push(Entry {
            path: relative,
            kind,
            mode: mode & 0o777,
            size: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        });
        if descend {
            // A directory that cannot be listed is copied empty.
            let _ = list(&path, entries);
        }
    }
    Ok(())
}

fn fill(fresh: &Path, entries: &[Entry], home: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o755).create(fresh)?;
    let mut passwd = String::new();
    let mut group = String::new();
    for entry in entries {
        let (from, to) = (Path::new("/etc").join(&entry.path), fresh.join(&entry.path));
        match entry.kind {
            Kind::Directory => fs::DirBuilder::new().mode(0o755).create(&to)?,
            Kind::Link => symlink(fs::read_link(&from)?, &to)?,
            Kind::File => match entry.path.to_str() {
                Some("passwd") => passwd = fs::read_to_string(&from)?,
                Some("group") => group = fs::read_to_string(&from)?,
                Some(name) if OWN.contains(&name) => {}
                // It may have gone or become unreadable since it was listed.
                _ => {
                    if fs::copy(&from, &to).is_ok() {
                        fs::set_permissions(&to, fs::Permissions::from_mode(entry.mode))?;
                    }
                }
            },
        }
    }
    let home = home.to_string_lossy();
    let user = format!("quire:x:1000:1000:quire:{home}:/bin/bash\n");
    fs::write(fresh.join("passwd"), system_lines(&passwd, 2) + &user)?;
    fs::write(fresh.join("group"), system_lines(&group, 2) + "quire:x:1000:\n")?;
    fs::write(fresh.join("hostname"), "quire\n")?;
    fs::write(fresh.join("hosts"), "127.0.0.1\tlocalhost quire\n::1\tlocalhost\n")?;
    fs::write(fresh.join("resolv.conf"), "")?;
    fs::write(fresh.join("machine-id"), "")
}

/// The lines of system accounts: the people of the host are nobody's business inside.
fn system_lines(text: &str, id_field: usize) -> String {
    text.lines()
        .filter(|line| {
            let id = line.split(':').nth(id_field).and_then(|id| id.parse::<u32>().ok());
            id.is_some_and(|id| id < 1000 || id == 65_534)
        })
        .fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        })
}
