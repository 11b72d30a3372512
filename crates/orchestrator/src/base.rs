//! What lies in the base of a sandbox, looked at from outside: never through a link that leads out
//! of an image, and never more than is asked for.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use quire_domain::sandbox::{Layer, SandboxBase, SandboxSpec};

/// The most names that are read of a directory.
const MOST_NAMES: usize = 10_000;

/// Whether a base has a program on its `PATH`.
pub fn has_program(spec: &SandboxSpec, program: &str) -> bool {
    let path = spec.env.get("PATH").map_or("/usr/bin:/bin", String::as_str);
    path.split(':').filter(|entry| entry.starts_with('/')).any(|entry| {
        let place = Path::new(entry).join(program);
        match &spec.base {
            SandboxBase::Host => place.exists(),
            // A link that leads elsewhere inside is one all the same.
            SandboxBase::Layers(layers) => {
                in_layers(layers, &place).any(|place| place.symlink_metadata().is_ok())
            }
        }
    })
}

/// Changes where a program of a base is another one: its size and when it was written.
pub fn stamp_of_program(spec: &SandboxSpec, program: &str) -> Option<(u64, SystemTime)> {
    let path = spec.env.get("PATH").map_or("/usr/bin:/bin", String::as_str);
    let places = path.split(':').filter(|entry| entry.starts_with('/'));
    places.map(|entry| Path::new(entry).join(program)).find_map(|place| {
        let found = match &spec.base {
            SandboxBase::Host => place.metadata().ok()?,
            SandboxBase::Layers(layers) => {
                in_layers(layers, &place).find_map(|place| place.symlink_metadata().ok())?
            }
        };
        Some((found.len(), found.modified().ok()?))
    })
}

/// The text of a file of the base; `~/` stands for the home directory of the person whose machine
/// it is, where that is shown.
pub fn read(base: &SandboxBase, home: Option<&Path>, path: &str, limit: usize) -> Option<String> {
    let place = places(base, home, path).into_iter().find(|place| is_plain(base, place))?;
    let mut text = String::new();
    let file = std::fs::File::open(place).ok()?;
    file.take(limit as u64).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The names in a directory of the base.
pub fn list(base: &SandboxBase, home: Option<&Path>, path: &str) -> Vec<String> {
    let entries = places(base, home, path).into_iter().filter_map(|at| std::fs::read_dir(at).ok());
    let names =
        entries.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.take(MOST_NAMES).collect()
}

fn places(base: &SandboxBase, home: Option<&Path>, path: &str) -> Vec<PathBuf> {
    match (base, path.strip_prefix("~/")) {
        (SandboxBase::Host, Some(below)) => home.map(|home| home.join(below)).into_iter().collect(),
        (SandboxBase::Host, None) => vec![PathBuf::from(path)],
        (SandboxBase::Layers(layers), Some(below)) => {
            in_layers(layers, &Path::new("/root").join(below)).collect()
        }
        (SandboxBase::Layers(layers), None) => in_layers(layers, Path::new(path)).collect(),
    }
}

fn in_layers<'a>(layers: &'a [Layer], path: &Path) -> impl Iterator<Item = PathBuf> + 'a {
    let inside = path.strip_prefix("/").unwrap_or(path).to_owned();
    layers.iter().map(move |layer| layer.path.join(&inside))
}

/// Whether it is a file; of an image, one with no link on the way, which could lead out of it.
fn is_plain(base: &SandboxBase, place: &Path) -> bool {
    match base {
        SandboxBase::Host => place.is_file(),
        SandboxBase::Layers(layers) => layers.iter().any(|layer| {
            let Ok(real) = place.canonicalize() else { return false };
            let Ok(root) = layer.path.canonicalize() else { return false };
            real.starts_with(root) && real.is_file()
        }),
    }
}
