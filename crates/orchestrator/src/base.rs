//! What lies in the base of a sandbox, looked at from outside: never through a link that leads out
//! of an image, and never more than is asked for.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use quire_domain::sandbox::{Layer, SandboxBase, SandboxSpec};

/// The most names that are read of a directory.
const MOST_NAMES: usize = 10_000;

/// Links that are followed on the way to one file; the system's own limit.
const MOST_LINKS: usize = 40;

/// What overlayfs notes on a directory that hides all beneath it.
const OPAQUE: &str = "user.overlay.opaque";

/// Whether a base has a program on its `PATH`.
pub fn has_program(spec: &SandboxSpec, program: &str) -> bool {
    let mut entries = search_path(spec);
    entries.any(|entry| match &spec.base {
        SandboxBase::Host => Path::new(entry).join(program).exists(),
        SandboxBase::Layers(layers) => find(layers, &Path::new(entry).join(program)).is_some(),
    })
}

/// Changes where a program of a base is another one: its size and when it was written.
pub fn stamp_of_program(spec: &SandboxSpec, program: &str) -> Option<(u64, SystemTime)> {
    search_path(spec).find_map(|entry| {
        let place = Path::new(entry).join(program);
        let found = match &spec.base {
            SandboxBase::Host => place.metadata().ok()?,
            SandboxBase::Layers(layers) => find(layers, &place)?.symlink_metadata().ok()?,
        };
        Some((found.len(), found.modified().ok()?))
    })
}

fn search_path(spec: &SandboxSpec) -> impl Iterator<Item = &str> {
    let path = spec.env.get("PATH").map_or("/usr/bin:/bin", String::as_str);
    path.split(':').filter(|entry| entry.starts_with('/'))
}

/// The text of a file of the base; `~/` stands for the home directory of the person whose machine
/// it is, where that is shown, and for root's in an image.
pub fn read(base: &SandboxBase, home: Option<&Path>, path: &str, limit: usize) -> Option<String> {
    let place = place_of(base, home, path)?;
    if !place.is_file() {
        return None;
    }
    let mut text = String::new();
    let file = std::fs::File::open(place).ok()?;
    file.take(limit as u64).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The names in a directory of the base.
pub fn list(base: &SandboxBase, home: Option<&Path>, path: &str) -> Vec<String> {
    let places = match base {
        SandboxBase::Host => place_of(base, home, path).into_iter().collect(),
        SandboxBase::Layers(layers) => walk(layers, &in_image(path)).unwrap_or_default(),
    };
    let entries = places.into_iter().filter_map(|at| std::fs::read_dir(at).ok());
    let names =
        entries.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.take(MOST_NAMES).collect()
}

fn place_of(base: &SandboxBase, home: Option<&Path>, path: &str) -> Option<PathBuf> {
    match (base, path.strip_prefix("~/")) {
        (SandboxBase::Host, Some(below)) => Some(home?.join(below)),
        (SandboxBase::Host, None) => Some(PathBuf::from(path)),
        (SandboxBase::Layers(layers), _) => find(layers, &in_image(path)),
    }
}

fn in_image(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(below) => Path::new("/root").join(below),
        None => PathBuf::from(path),
    }
}

/// Where a file or directory of a root made of layers (topmost first) lies on the host: links are
/// followed inside, what an upper layer removed is not there. No part of the result is a link.
pub fn find(layers: &[Layer], path: &Path) -> Option<PathBuf> {
    walk(layers, path)?.into_iter().next()
}

/// Where something in a root made of layers lies: of a directory the part of each layer that has
/// one, topmost first.
type Place = Vec<PathBuf>;

fn walk(layers: &[Layer], path: &Path) -> Option<Place> {
    let root: Place = layers.iter().map(|layer| layer.path.clone()).collect();
    // What is left to go, and the directories come through.
    let mut left: VecDeque<OsString> = names(path).into();
    let mut through = vec![root];
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            if through.len() > 1 {
                through.pop();
            }
            continue;
        }
        let found = match step(through.last()?, &name)? {
            Step::Place(place) => place,
            Step::Link(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return None;
                }
                if target.is_absolute() {
                    through.truncate(1);
                }
                for name in names(&target).into_iter().rev() {
                    left.push_front(name);
                }
                continue;
            }
        };
        through.push(found);
    }
    through.pop()
}

fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}

enum Step {
    Place(Place),
    Link(PathBuf),
}

/// One name further, as overlayfs puts the layers together.
fn step(from: &[PathBuf], name: &OsString) -> Option<Step> {
    let mut places = Vec::new();
    for parent in from {
        let place = parent.join(name);
        let Ok(found) = place.symlink_metadata() else { continue };
        let kind = found.file_type();
        if kind.is_dir() {
            let hides = is_opaque(&place);
            places.push(place);
            if hides {
                break;
            }
            continue;
        }
        if !places.is_empty() || (kind.is_char_device() && found.rdev() == 0) {
            // A directory above hides it, or it says that there is nothing.
            break;
        }
        if kind.is_symlink() {
            return Some(Step::Link(std::fs::read_link(&place).ok()?));
        }
        places.push(place);
        break;
    }
    (!places.is_empty()).then_some(Step::Place(places))
}

fn is_opaque(directory: &Path) -> bool {
    let mut value = [0_u8; 8];
    let read = rustix::fs::lgetxattr(directory, OPAQUE, &mut value[..]);
    matches!(read, Ok(length) if value[..length.min(8)] == *b"y")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use quire_domain::sandbox::{Layer, LayerOwner};

    use super::*;

    #[test]
    fn a_file_of_an_image_is_found_as_it_is_inside_and_never_outside() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(&path).unwrap();
            Layer { path, owner: LayerOwner::Sandbox }
        };
        let (top, low) = (layer("top"), layer("low"));
        let layers = [top.clone(), low.clone()];
        let write = |layer: &Layer, path: &str| {
            let path = layer.path.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        write(&low, "usr/bin/bash");
        write(&low, "usr/bin/git");
        write(&low, "opt/old/file");
        write(&top, "usr/bin/python3.11");
        write(&top, "etc/own");
        fs::create_dir_all(low.path.join("etc/alternatives")).unwrap();
        symlink("usr/bin", low.path.join("bin")).unwrap();
        symlink("/usr/bin/python3.11", low.path.join("etc/alternatives/python")).unwrap();
        symlink("/etc/alternatives/python", low.path.join("usr/bin/python")).unwrap();
        symlink("../../../../../etc/passwd", low.path.join("usr/out")).unwrap();
        symlink("/usr/round", low.path.join("usr/round")).unwrap();
        // A directory of the top layer where the one below has a link out of it.
        symlink("/etc", low.path.join("srv")).unwrap();
        write(&top, "srv/mine");
        let found = |path: &str| {
            let found = find(&layers, Path::new(path))?;
            Some(found.strip_prefix(dir.path()).unwrap().display().to_string())
        };
        assert_eq!(found("/bin/bash").as_deref(), Some("low/usr/bin/bash"));
        assert_eq!(found("/bin/python").as_deref(), Some("top/usr/bin/python3.11"));
        assert_eq!(found("/etc/../bin/./git").as_deref(), Some("low/usr/bin/git"));
        assert_eq!(found("/srv/mine").as_deref(), Some("top/srv/mine"));
        for absent in ["/srv/passwd", "/usr/out", "/usr/round", "/bin/zsh", "/etc/passwd"] {
            assert_eq!(found(absent), None, "{absent}");
        }
        let base = SandboxBase::Layers(layers.to_vec());
        let mut names = list(&base, None, "/etc");
        names.sort();
        assert_eq!(names, ["alternatives", "own"]);
        assert_eq!(read(&base, None, "/bin/git", 10).as_deref(), Some("x"));
        rustix::fs::lsetxattr(
            top.path.join("usr/bin"),
            OPAQUE,
            b"y",
            rustix::fs::XattrFlags::empty(),
        )
        .unwrap();
        assert_eq!(found("/bin/git"), None);
    }
}
