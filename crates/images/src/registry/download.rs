//! Layers on their way in: from where the last try ended, hashed as they come.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;

use super::fault::Trouble;
use super::tries::Tries;
use super::{Call, Registries};
use crate::digest::Hasher;
use crate::error::ImageError;
use crate::manifest::Descriptor;
use crate::reference::Reference;

/// What has come so far.
struct Partial {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    bytes: u64,
}

impl Registries {
    /// Brings a blob to `place`, by way of `<place>.part`, which is gone on with if it is there and
    /// stays where this fails. `told` hears how many bytes are there.
    pub(crate) async fn blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        place: &Path,
        call: Call<'_>,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), ImageError> {
        let path = place.with_extension("part");
        let opened = path.clone();
        let size = blob.size;
        let mut partial =
            blocking("read what came before", move || Partial::open(opened, size)).await?;
        let mut resumed = partial.bytes > 0;
        loop {
            let mut tries = Tries::new(&self.settings, reference, call);
            while let Err(trouble) =
                tries.called_off(self.rest(reference, blob, &mut partial, told)).await?
            {
                tries.pause(trouble).await?;
            }
            let whole = partial;
            let found = whole.hasher.clone().finish();
            if found == blob.digest {
                let place = place.to_owned();
                return blocking("keep a layer", move || {
                    whole.file.sync_data()?;
                    std::fs::rename(&whole.path, place)
                })
                .await;
            }
            partial = whole;
            partial.restart().map_err(ImageError::store("throw away what is wrong"))?;
            // What an earlier try left may have been damaged since: once more, from the beginning.
            if !std::mem::take(&mut resumed) {
                let _ = std::fs::remove_file(&partial.path);
                let what = format!("the layer {}", blob.digest.short());
                return Err(ImageError::lied(&reference.registry, &what, &blob.digest, &found));
            }
        }
    }

    /// Asks for what is missing and takes it.
    async fn rest(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        partial: &mut Partial,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Trouble> {
        let stop = |doing: &str, error| Trouble::Stop(ImageError::store(doing)(error));
        if partial.bytes == blob.size && blob.size > 0 {
            return Ok(());
        }
        let what = format!("{}, layer {}", reference.repository, blob.digest.short());
        let path = format!("blobs/{}", blob.digest);
        let mut response = self.ask(reference, &path, &what, "*/*", Some(partial.bytes)).await?;
        let begins = response.headers().get(CONTENT_RANGE).and_then(|range| {
            range.to_str().ok()?.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok()
        });
        let goes_on = response.status() == StatusCode::PARTIAL_CONTENT
            && begins.is_none_or(|begins| begins == partial.bytes);
        if partial.bytes > 0 && !goes_on {
            partial.restart().map_err(|error| stop("begin a layer anew", error))?;
            if response.status() != StatusCode::OK {
                return Err(Trouble::Passing {
                    error: ImageError::Malformed {
                        what: format!("the answer of `{}`", reference.registry),
                        why: "it gives another part of the layer than was asked for".to_owned(),
                    },
                    after: None,
                    moved: false,
                });
            }
        }
        let timing = &self.settings.timing;
        let began = partial.bytes;
        let (mut window, mut at_window) = (Instant::now(), partial.bytes);
        loop {
            let chunk = response.chunk().await.map_err(|error| {
                let moved = partial.bytes - began >= timing.slowest;
                match self.cut(reference, &error) {
                    Trouble::Passing { error, after, .. } => {
                        Trouble::Passing { error, after, moved }
                    }
                    stop @ Trouble::Stop(_) => stop,
                }
            })?;
            let Some(bytes) = chunk else { break };
            partial.take(&bytes).map_err(|error| stop("write a layer", error))?;
            told(partial.bytes);
            if partial.bytes > blob.size {
                let _ = partial.restart();
                return Err(Trouble::Stop(ImageError::Lied {
                    registry: reference.registry.clone(),
                    what: format!("the layer {}", blob.digest.short()),
                    expected: format!("{} bytes", blob.size),
                    found: "more".to_owned(),
                }));
            }
            if window.elapsed() >= timing.window {
                if partial.bytes - at_window < timing.slowest {
                    let what = format!("less than {} bytes in {:?}", timing.slowest, timing.window);
                    let registry = reference.registry.clone();
                    return Err(Trouble::Stop(ImageError::Slow { registry, what }));
                }
                (window, at_window) = (Instant::now(), partial.bytes);
            }
        }
        if partial.bytes < blob.size {
            return Err(Trouble::Passing {
                error: ImageError::Unreachable {
                    registry: reference.registry.clone(),
                    why: format!("it broke off after {} of {} bytes", partial.bytes, blob.size),
                },
                after: None,
                moved: partial.bytes - began >= timing.slowest,
            });
        }
        Ok(())
    }
}

impl Partial {
    /// Opens what is there and hashes it again: what a crash left is not taken on trust.
    fn open(path: PathBuf, size: u64) -> std::io::Result<Self> {
        // Read by the unpacker, to whom the owner is a stranger; the store itself is closed.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)?;
        std::os::unix::fs::fchown(&file, None, None)?;
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o644))?;
        let mut hasher = Hasher::default();
        let mut bytes = 0;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => {
                    hasher.update(&buffer[..read]);
                    bytes += read as u64;
                }
            }
        }
        let mut partial = Self { path, file, hasher, bytes };
        if bytes > size {
            partial.restart()?;
        }
        Ok(partial)
    }

    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hasher = Hasher::default();
        self.bytes = 0;
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(
    doing: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ImageError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)
        .and_then(|done| done)
        .map_err(ImageError::store(doing))
}
