//! Brings the layers of a record: several come in at once, one after the other is unpacked.

use std::fs::File;
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::oneshot;

use crate::digest::Digest;
use crate::error::ImageError;
use crate::images::{Shared, Task};
use crate::inside::Done;
use crate::manifest::Descriptor;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::store::lock::{self, Mode};
use crate::store::{Chain, LayerFacts, Record};
use crate::unpack::Unpacking;

/// Layers that come in at the same time.
const AT_ONCE: usize = 3;

/// Where blobs come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Registry(&'a Reference),
    /// A tar of the person's, used where it lies.
    File(&'a Path),
}

/// One layer to be made.
struct Missing<'a> {
    index: usize,
    of: usize,
    blob: &'a Descriptor,
    diff_id: Option<&'a Digest>,
    chain: &'a Chain,
    /// Topmost first.
    beneath: Vec<&'a Chain>,
}

/// A blob that is here, and the lock that keeps it here.
struct Here {
    path: PathBuf,
    _lock: Option<File>,
}

/// Makes all layers that are not there yet.
pub(crate) async fn bring(
    shared: &Shared,
    record: &Record,
    source: Source<'_>,
    task: Task<'_>,
) -> Result<(), ImageError> {
    let chains = record.chains();
    let missing: Vec<Missing<'_>> = chains
        .iter()
        .enumerate()
        .filter(|(_, chain)| shared.store.facts(chain).is_none())
        .map(|(index, chain)| Missing {
            index,
            of: chains.len(),
            blob: &record.layers[index],
            diff_id: record.described.diff_ids.get(index),
            chain,
            beneath: chains[..index].iter().rev().collect(),
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (senders, receivers): (Vec<_>, Vec<_>) = missing.iter().map(|_| oneshot::channel()).unzip();
    let fetches: Vec<BoxFuture<'_, Result<(), ImageError>>> = missing
        .iter()
        .zip(senders)
        .map(|(missing, sender)| fetch_and_send(shared, missing, source, sender, task).boxed())
        .collect();
    let fetching = async {
        let mut all = futures::stream::iter(fetches).buffer_unordered(AT_ONCE);
        while let Some(done) = all.next().await {
            done?;
        }
        Ok::<(), ImageError>(())
    };
    let unpacking = async {
        for (missing, receiver) in missing.iter().zip(receivers) {
            make(shared, record, missing, receiver, task).await?;
        }
        Ok(())
    };
    // A fetch that fails ends both; so does an unpacking.
    let (fetching, unpacking) = (Box::pin(fetching), Box::pin(unpacking));
    futures::future::try_join(fetching, unpacking).await?;
    Ok(())
}

async fn fetch_and_send(
    shared: &Shared,
    missing: &Missing<'_>,
    source: Source<'_>,
    sender: oneshot::Sender<Here>,
    task: Task<'_>,
) -> Result<(), ImageError> {
    let here = fetch(shared, missing, source, task).await?;
    // Nobody waits any more where the unpacking failed.
    let _ = sender.send(here);
    Ok(())
}

/// Brings a blob, or waits until another process has.
async fn fetch(
    shared: &Shared,
    missing: &Missing<'_>,
    source: Source<'_>,
    task: Task<'_>,
) -> Result<Here, ImageError> {
    let reference = match source {
        Source::File(path) => return Ok(Here { path: path.to_owned(), _lock: None }),
        Source::Registry(reference) => reference,
    };
    let digest = &missing.blob.digest;
    let place = shared.store.blob(digest);
    let file = shared.store.lock_file(&format!("blob-{}", digest.hex()));
    let what = format!("the layer {}", digest.short());
    let most = shared.settings.timing.others;
    let teller = task.call.teller;
    let is_here = || place.exists() || shared.store.facts(missing.chain).is_some();
    loop {
        // Whoever waits to bring it stops waiting when it is there: the other, which may be this
        // image's own layer further up, holds it until it is unpacked.
        if let Some(_alone) =
            lock::take_unless(&file, Mode::Alone, &what, most, task.call, &is_here).await?
            && !is_here()
        {
            let (layer, of, total) = (missing.index + 1, missing.of, missing.blob.size);
            let told = |bytes| teller.tell(Progress::Fetching { layer, of, bytes, total });
            shared.registries.blob(reference, missing.blob, &place, task.call, &told).await?;
        }
        let lock = lock::take(&file, Mode::Shared, &what, most, task.call).await?;
        // Between the two locks another process may have unpacked it and let it go.
        if is_here() {
            return Ok(Here { path: place, _lock: Some(lock) });
        }
    }
}

/// Unpacks a layer when its blob is there and those beneath are made.
async fn make(
    shared: &Shared,
    record: &Record,
    missing: &Missing<'_>,
    blob: oneshot::Receiver<Here>,
    task: Task<'_>,
) -> Result<(), ImageError> {
    // Its sender is dropped where the fetch failed, and the fetch's error is what is told.
    let Ok(here) = blob.await else { return std::future::pending().await };
    let store = &shared.store;
    let what = format!("layer {} of {}", missing.index + 1, record.name);
    let most = shared.settings.timing.others;
    let lock = store.lock_file(&format!("layer-{}", missing.chain.name()));
    let (teller, cancel) = (task.call.teller, task.call.cancel);
    let _alone = lock::take(&lock, Mode::Alone, &what, most, task.call).await?;
    if store.facts(missing.chain).is_none() {
        let upper = store.unpacking(missing.chain);
        // What a process that was killed left there.
        task.backend.discard(&upper).await?;
        let unpacking = Unpacking {
            what: &what,
            program: &shared.program,
            blob: Some(&here.path),
            beneath: missing.beneath.iter().map(|chain| store.layer(chain)).collect(),
            limits: &shared.settings.limits,
            most: shared.settings.timing.unpack,
            cancel,
        };
        let (layer, of) = (missing.index + 1, missing.of);
        let told = |bytes| teller.tell(Progress::Unpacking { layer, of, bytes });
        // A small layer is unpacked before its bytes are first counted: it is told all the same.
        told(0);
        let made = unpacking.unpack(task.backend, upper.clone(), &told).await;
        let kept = made.and_then(|done| keep(shared, record, missing, done, &upper));
        if kept.is_err() {
            task.backend.discard(&upper).await?;
        }
        kept?;
    }
    drop(here);
    let _ = store.drop_blob(&missing.blob.digest);
    Ok(())
}

/// Takes the layer over, if it is what the image says.
fn keep(
    shared: &Shared,
    record: &Record,
    missing: &Missing<'_>,
    done: Done,
    upper: &Path,
) -> Result<(), ImageError> {
    if let (Some(expected), Some(found)) = (missing.diff_id, &done.diff_id)
        && expected != found
    {
        let what = format!("layer {} of {}, unpacked,", missing.index + 1, record.name);
        return Err(ImageError::lied("the image", &what, expected, found));
    }
    let facts = LayerFacts {
        blob: missing.blob.digest.clone(),
        diff_id: done.diff_id,
        counts: done.counts,
        found: done.found,
    };
    shared
        .store
        .keep(missing.chain, &facts, upper)
        .map_err(ImageError::store("put a layer in its place"))
}
