//! What a host's view shows of packages that are there already.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::HostView;
use crate::places::places_of;

/// The most names that are read of one directory.
const MOST_NAMES: usize = 100_000;

/// Whether the path of the checkout, relative, lies in an ignored directory that `view` shows, and
/// exists. A link leads nowhere else: it is looked at as a link.
pub fn in_checkout(view: &HostView, root: &Path, path: &str) -> bool {
    let place = root.join(path);
    let shown = |overlay: &Path| place.starts_with(overlay);
    view.overlays.iter().any(|overlay| !overlay.lowers.is_empty() && shown(&overlay.target))
        && place.symlink_metadata().is_ok()
}

/// The names in a directory below the home directory, or where a variable has moved it, that `view`
/// shows; none where it does not.
pub fn in_home(view: &HostView, directory: &str) -> Vec<String> {
    let place = |place: &PathBuf| {
        let bound = view.binds.iter().any(|bind| place.starts_with(&bind.target));
        let laid = view.overlays.iter().filter(|overlay| !overlay.lowers.is_empty());
        bound || laid.clone().any(|overlay| place.starts_with(&overlay.target))
    };
    let places = places_of(directory, &view.env, &view.home);
    let entries = places.iter().filter(|at| place(at)).filter_map(|at| fs::read_dir(at).ok());
    let names =
        entries.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.take(MOST_NAMES).collect()
}
