//! Uppers on disk: their directory, their owner, and whether they survived a restart.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use quire_domain::sandbox::SandboxError;

use super::flush;
use super::guest::creating;

/// The file that names the boot during which an upper was last written.
const BOOT_MARK: &str = "boot";

/// The mark of this boot, to be written before anything is written to its upper: by then the guest
/// is in the making, which takes longer than a new file.
#[derive(Debug)]
pub struct Mark {
    path: PathBuf,
    boot: String,
}

impl Mark {
    /// Writes it.
    pub fn write(self) -> Result<(), SandboxError> {
        fs::write(&self.path, self.boot)
            .map_err(creating(&format!("write the mark {}", self.path.display())))
    }
}

/// Makes the upper's directory, or checks the one that is there. `owner` is who has to own it
/// where that is not us. Gives the mark that is missing.
pub fn prepare(upper: &Path, owner: Option<u32>) -> Result<Option<Mark>, SandboxError> {
    let step = format!("make the upper {}", upper.display());
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(creating("read the boot id"))?;
    let mark = mark_of(upper);
    match fs::read_to_string(&mark) {
        Ok(last) if last == boot => return Ok(None),
        Ok(last) if !last.is_empty() => {
            return Err(SandboxError::UpperStale { path: upper.display().to_string() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(creating(&step)(error)),
    }
    make(upper, owner).map_err(creating(&step))?;
    Ok(Some(Mark { path: mark, boot }))
}

/// Beside the upper, not in it: what is in it belongs to the sandbox.
fn mark_of(upper: &Path) -> PathBuf {
    let mut name = upper.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(BOOT_MARK);
    upper.with_file_name(name)
}

/// Brings what its overlays hold to the disk and says so: a restart then does no harm. What
/// overlayfs keeps to refuse a second mount lies in the work directories, which each mount makes
/// anew.
pub fn sync(upper: &Path, overlays: &[String]) -> io::Result<()> {
    let directory = fs::File::open(upper)?.into();
    flush::flush(&directory, overlays.iter().map(|name| format!("{name}/upper")))?;
    fs::write(mark_of(upper), "")
}

/// Removes the mark of an upper that is gone.
pub fn forget(upper: &Path) {
    let _ = fs::remove_file(mark_of(upper));
}

fn make(upper: &Path, owner: Option<u32>) -> io::Result<()> {
    if let Some(parent) = upper.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o755).create(upper) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if let Some(owner) = owner {
        std::os::unix::fs::chown(upper, Some(owner), Some(owner))?;
    }
    Ok(())
}
