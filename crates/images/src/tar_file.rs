//! A tar of the person's as a base: one layer, named by what is in it.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::base::Base;
use crate::digest::{Digest, Hasher};
use crate::error::ImageError;
use crate::images::{Shared, Task};
use crate::layers::{self, Source};
use crate::manifest::{Described, Descriptor};
use crate::store::{Record, now};

/// Makes a base of a tar. It is read whole when it is seen first, and again when its size, times
/// or inode have changed.
pub(crate) async fn base(shared: &Shared, path: &str, task: Task<'_>) -> Result<Base, ImageError> {
    let file = Shared::absolute(path)?;
    let (seen, size) = look(path, file)?;
    let key = key(path);
    let known = shared.store.record(&key).filter(|known| known.name == path && known.seen == seen);
    let record = if let Some(record) = known {
        record
    } else {
        let digest = read(path, file.to_owned(), task).await?;
        let layer =
            Descriptor { media_type: String::new(), digest: digest.clone(), size, platform: None };
        Record {
            name: path.to_owned(),
            digest,
            asked_at: now(),
            layers: vec![layer],
            described: Described::default(),
            seen: seen.clone(),
        }
    };
    let hold = shared.hold(&key, Some(&record), task).await?;
    layers::bring(shared, &record, Source::File(file), task).await?;
    if look(path, file)?.0 != seen {
        return Err(Shared::path_error(path, "it changed while it was read; try again"));
    }
    Ok(shared.finished(&record, hold, Vec::new()))
}

/// What is known of it from earlier, if it has not changed since.
pub(crate) fn known(shared: &Shared, path: &str) -> Option<Record> {
    let (seen, _) = look(path, Path::new(path)).ok()?;
    shared.store.record(&key(path)).filter(|known| known.name == path && known.seen == seen)
}

fn key(path: &str) -> String {
    format!("tar-{}", Digest::of(path.as_bytes()).hex())
}

/// What it looks like from outside, and its size.
fn look(path: &str, file: &Path) -> Result<(String, u64), ImageError> {
    let seen = std::fs::metadata(file).map_err(|error| Shared::path_error(path, error))?;
    if !seen.is_file() {
        return Err(Shared::path_error(path, "it is no file"));
    }
    // The sandbox it is unpacked in has no rights that are not everybody's.
    let others = rustix::process::geteuid().is_root() && seen.mode() & 0o004 == 0;
    if others {
        return Err(Shared::path_error(path, "others cannot read it; run `chmod o+r` on it"));
    }
    let text = format!(
        "{}:{}:{}:{}.{}:{}.{}",
        seen.dev(),
        seen.ino(),
        seen.len(),
        seen.mtime(),
        seen.mtime_nsec(),
        seen.ctime(),
        seen.ctime_nsec()
    );
    Ok((text, seen.len()))
}

/// Its digest.
async fn read(path: &str, file: PathBuf, task: Task<'_>) -> Result<Digest, ImageError> {
    let cancel = task.call.cancel.clone();
    let read = tokio::task::spawn_blocking(move || -> std::io::Result<Option<Digest>> {
        let mut file = File::open(file)?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 20];
        loop {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            match file.read(&mut buffer)? {
                0 => return Ok(Some(hasher.finish())),
                read => hasher.update(&buffer[..read]),
            }
        }
    });
    let read = read.await.map_err(std::io::Error::other).and_then(|read| read);
    read.map_err(|error| Shared::path_error(path, error))?.ok_or(ImageError::Cancelled)
}
