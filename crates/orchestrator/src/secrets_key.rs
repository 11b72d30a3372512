//! The key that secrets are sealed with: a file beside the database, made when it is first needed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quire_domain::secret::Secret;
use quire_store::{SEAL_KEY_BYTES, SealError, SealKey};
use rustix::fs::OFlags;

/// Where the key lies, and the key once it was read.
#[derive(Debug)]
pub struct SecretsKey {
    place: Place,
    read: Mutex<Option<Arc<SealKey>>>,
}

#[derive(Debug)]
enum Place {
    /// `keys/secrets.key` of the data directory: ours, and made if absent.
    Own(PathBuf),
    /// A file that an administrator named: has to be there.
    Named(PathBuf),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not there, and something sealed with it is to be opened.
    #[error(
        "the key {} is gone: bring it back from a backup, or set the secrets anew \
         (`quire env secret set`)", path.display()
    )]
    Gone {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file that was named is not there.
    #[error("there is no key at {} (QUIRE_SECRETS_KEY_FILE)", path.display())]
    NotThere {
        /// Where it should be.
        path: PathBuf,
    },
    /// Others can read or change it.
    #[error(
        "others may read the key {} (its mode is {mode:03o}): `chmod 600` it, and set the secrets \
         anew if somebody did", path.display()
    )]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Another kind of file, another length, or another's.
    #[error("{} is no key: {why}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It cannot be read or made.
    #[error("cannot read or make the key {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No randomness for a new one.
    #[error("cannot make a key")]
    Seal(#[from] SealError),
}

impl SecretsKey {
    /// The key of a data directory.
    pub fn beside(data_dir: &Path) -> Self {
        Self::at(Place::Own(data_dir.join("keys").join("secrets.key")))
    }

    /// A key that lies elsewhere: 32 bytes in a file that only its owner can read. It is never made
    /// here, since a mistyped path would seal with a key that nobody knows of.
    pub fn named(path: PathBuf) -> Self {
        Self::at(Place::Named(path))
    }

    fn at(place: Place) -> Self {
        Self { place, read: Mutex::new(None) }
    }

    /// The key to open with. Reads a file the first time.
    ///
    /// # Errors
    ///
    /// [`KeyError::Gone`] and [`KeyError::NotThere`] where there is none.
    pub fn to_open(&self) -> Result<Arc<SealKey>, KeyError> {
        self.get(|path| match &self.place {
            Place::Own(_) => Err(KeyError::Gone { path: path.to_owned() }),
            Place::Named(_) => Err(KeyError::NotThere { path: path.to_owned() }),
        })
    }

    /// The key to seal with: made if there is none yet, and on disk before it is given.
    pub fn to_seal(&self) -> Result<Arc<SealKey>, KeyError> {
        self.get(|path| match &self.place {
            Place::Own(_) => make(path),
            Place::Named(_) => Err(KeyError::NotThere { path: path.to_owned() }),
        })
    }

    fn get(
        &self,
        absent: impl FnOnce(&Path) -> Result<Secret<Vec<u8>>, KeyError>,
    ) -> Result<Arc<SealKey>, KeyError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*read {
            return Ok(Arc::clone(key));
        }
        let (path, flags) = match &self.place {
            Place::Own(path) => (path, OFlags::NOFOLLOW),
            // Mounted secrets of container engines are links.
            Place::Named(path) => (path, OFlags::empty()),
        };
        let bytes = match load(path, flags)? {
            Some(bytes) => bytes,
            None => absent(path)?,
        };
        let key = Arc::new(SealKey::from_bytes(bytes.reveal())?);
        *read = Some(Arc::clone(&key));
        Ok(key)
    }
}

/// Reads a key; `None` if there is none.
fn load(path: &Path, flags: OFlags) -> Result<Option<Secret<Vec<u8>>>, KeyError> {
    let failed = |source| KeyError::Io { path: path.to_owned(), source };
    // A fifo must not make us wait.
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let found = file.metadata().map_err(failed)?;
    let no_key = |why: &str| KeyError::NoKey { path: path.to_owned(), why: why.to_owned() };
    if !found.is_file() {
        return Err(no_key("it is not a regular file"));
    }
    let owner = rustix::process::geteuid().as_raw();
    if found.uid() != owner && found.uid() != 0 {
        return Err(no_key("it belongs to another user"));
    }
    if found.mode() & 0o077 != 0 {
        return Err(KeyError::TooOpen { path: path.to_owned(), mode: found.mode() & 0o777 });
    }
    let mut bytes = Vec::with_capacity(SEAL_KEY_BYTES + 1);
    file.take(SEAL_KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() != SEAL_KEY_BYTES {
        return Err(no_key(&format!("it has to have {SEAL_KEY_BYTES} bytes")));
    }
    Ok(Some(Secret::new(bytes)))
}

/// Makes a key and gives the one that is then there: two first uses at once keep the first one's.
fn make(path: &Path) -> Result<Secret<Vec<u8>>, KeyError> {
    let bytes = SealKey::generate()?;
    let failed = |source| KeyError::Io { path: path.to_owned(), source };
    write_new(path, bytes.reveal()).map_err(failed)?;
    load(path, OFlags::NOFOLLOW)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let dir = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let unfinished = dir.join(format!("secrets.{}.{number}", std::process::id()));
    // A process of the same number died here.
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&unfinished, path));
    let removed = fs::remove_file(&unfinished);
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => removed?,
    }
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = SecretsKey::beside(dir.path()).to_seal().unwrap();
        let path = dir.path().join("keys/secrets.key");
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & 0o777, found.len()), (0o600, SEAL_KEY_BYTES as u64));
        assert_eq!(SecretsKey::beside(dir.path()).to_seal().unwrap().id(), first.id());
        assert_eq!(SecretsKey::beside(dir.path()).to_open().unwrap().id(), first.id());
        assert_eq!(fs::read_dir(dir.path().join("keys")).unwrap().count(), 1);
    }

    #[test]
    fn first_uses_at_once_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<String> = std::thread::scope(|scope| {
            // A value each, as processes have: they meet over the file alone.
            let id = || SecretsKey::beside(dir.path()).to_seal().unwrap().id().to_owned();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(id)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_key_that_is_gone_is_not_replaced_to_open_with() {
        let dir = tempfile::tempdir().unwrap();
        let error = SecretsKey::beside(dir.path()).to_open().unwrap_err();
        assert!(matches!(error, KeyError::Gone { .. }), "{error}");
        let named = SecretsKey::named(dir.path().join("elsewhere"));
        assert!(matches!(named.to_seal().unwrap_err(), KeyError::NotThere { .. }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_others_can_read_or_what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        SecretsKey::beside(dir.path()).to_seal().unwrap();
        let path = dir.path().join("keys/secrets.key");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = SecretsKey::beside(dir.path()).to_seal().unwrap_err();
            assert!(matches!(error, KeyError::TooOpen { .. }), "{error}");
        }
        for bytes in [vec![], vec![1; 31], vec![1; 33]] {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = SecretsKey::beside(dir.path()).to_seal().unwrap_err();
            assert!(matches!(error, KeyError::NoKey { .. }), "{error}");
        }
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        assert!(SecretsKey::beside(dir.path()).to_seal().is_err());
        let named = SecretsKey::named(path);
        assert!(matches!(named.to_open().unwrap_err(), KeyError::NoKey { .. }));
    }
}
