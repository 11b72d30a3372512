//! Bringing a backup back, into a data directory of its own.

use std::collections::HashMap;
use std::path::Path;

use quire_engine::{EventLog, LocalLog};
use quire_store::Store;

use super::{BackupError, Manifest, copy, manifest};

/// Restores a backup as the new data directory `to`; every file is compared with the list.
/// Nothing stands at `to` unless all of it was restored.
///
/// Attempts that were at work when it was taken are free to be claimed, under epochs that their logs
/// have not seen.
pub async fn restore(backup: &Path, to: &Path) -> Result<Manifest, BackupError> {
    copy::refuse_occupied(to)?;
    let partial = copy::beside(to, "restoring");
    let (from, into) = (backup.to_owned(), partial.clone());
    let manifest = tokio::task::spawn_blocking(move || {
        let manifest = Manifest::read(&from)?;
        copy::start_over(&into)?;
        copied(&from, &into, &manifest).map(|()| manifest)
    })
    .await
    .map_err(BackupError::from)
    .flatten();
    let released = match &manifest {
        Ok(_) => release(&partial).await,
        Err(_) => Ok(()),
    };
    match (manifest, released) {
        (Ok(manifest), Ok(())) => copy::put_in_place(&partial, to).map(|()| manifest),
        (Err(error), _) | (_, Err(error)) => {
            let _ = std::fs::remove_dir_all(&partial);
            Err(error)
        }
    }
}

/// Copies what the manifest names, and refuses whatever differs from it.
fn copied(from: &Path, into: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let mut found = Vec::new();
    copy::tree(from, Path::new(""), into, &mut found)?;
    let mut found: HashMap<_, _> =
        found.into_iter().map(|file| (file.path.clone(), file)).collect();
    found.remove(Path::new(manifest::NAME));
    for said in &manifest.files {
        if found.remove(&said.path).as_ref() != Some(said) {
            return Err(BackupError::Changed { path: from.join(&said.path) });
        }
    }
    match found.into_keys().next() {
        None => std::fs::remove_file(into.join(manifest::NAME))
            .map_err(BackupError::file("remove", &into.join(manifest::NAME))),
        Some(path) => {
            let why = format!("{} is not in its list", path.display());
            Err(BackupError::NotABackup { path: from.to_owned(), why })
        }
    }
}

/// Takes the attempts from workers that are no more.
async fn release(data_dir: &Path) -> Result<(), BackupError> {
    let store = Store::open(&data_dir.join("quire.db")).await?;
    let log = LocalLog::open(&data_dir.join("events.db")).await?;
    let mut epochs = Vec::new();
    for attempt in store.open_attempts().await? {
        epochs.push((attempt, log.head(attempt).await?.epoch));
    }
    store.release(&epochs).await?;
    log.close().await;
    store.close().await;
    Ok(())
}
