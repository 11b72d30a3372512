//! Images of registries: what the name stands for, then its layers.

use crate::base::Base;
use crate::digest::Digest;
use crate::error::{ImageError, TooLarge};
use crate::images::{Shared, Task};
use crate::layers::{self, Source};
use crate::manifest::{self, Described, Descriptor, Document, Manifest, Platform};
use crate::progress::Progress;
use crate::reference::Reference;
use crate::settings::Credential;
use crate::store::{Record, now};

/// Lists within lists that are followed.
const DEPTH: usize = 3;

/// Makes a base of an image.
pub(crate) async fn base(shared: &Shared, name: &str, task: Task<'_>) -> Result<Base, ImageError> {
    let reference = Reference::parse(name, &shared.settings)?;
    let key = key(&reference, shared.settings.credentials.get(&reference.registry));
    let known = known(shared, name);
    let mut notes = Vec::new();
    let (record, is_new) = match known {
        // A digest stands for the same for ever.
        Some(record)
            if reference.digest.is_some()
                || record.is_fresh(shared.settings.timing.tag_lifetime) =>
        {
            (record, false)
        }
        known => match (resolve(shared, &reference, task).await, known) {
            (Ok(record), _) => (record, true),
            // Work goes on without the registry where all is there.
            (Err(error), Some(record)) if is_away(&error) => {
                let all = record.chains().iter().all(|chain| shared.store.facts(chain).is_some());
                if !all {
                    return Err(error);
                }
                notes.push(format!(
                    "`{}` could not be asked ({}): the image is what it was {} h ago",
                    reference.registry,
                    away(&error),
                    now().saturating_sub(record.asked_at) / 3_600
                ));
                (record, false)
            }
            (Err(error), _) => return Err(error),
        },
    };
    let hold = shared.hold(&key, is_new.then_some(&record), task).await?;
    if is_new {
        note_pinned(shared, &reference, &record)?;
    }
    layers::bring(shared, &record, Source::Registry(&reference), task).await?;
    Ok(shared.finished(&record, hold, notes))
}

/// Writes down what the name with its digest stands for as well: who goes on from a task that was
/// given this image asks for it so, and finds it also where the registry is away.
fn note_pinned(shared: &Shared, reference: &Reference, record: &Record) -> Result<(), ImageError> {
    if reference.digest.is_some() {
        return Ok(());
    }
    let pinned = Reference { digest: Some(record.digest.clone()), ..reference.clone() };
    let key = key(&pinned, shared.settings.credentials.get(&reference.registry));
    let record = Record { name: pinned.to_string(), ..record.clone() };
    let noted = shared.store.write_record(&key, &record);
    noted.map_err(ImageError::store("note what an image is made of"))
}

/// What is known of it from earlier.
pub(crate) fn known(shared: &Shared, name: &str) -> Option<Record> {
    let reference = Reference::parse(name, &shared.settings).ok()?;
    let key = key(&reference, shared.settings.credentials.get(&reference.registry));
    shared.store.record(&key).filter(|record| record.name == reference.to_string())
}

/// Names the record of what this name stands for to this user: what one may read, another may not.
fn key(reference: &Reference, credential: Option<&Credential>) -> String {
    let who = match credential {
        None => String::new(),
        Some(Credential::Basic { user, password }) => format!("{user}\0{}", password.reveal()),
        Some(Credential::Bearer(token) | Credential::Identity(token)) => token.reveal().clone(),
    };
    let text = format!("{reference}\0{}\0{who}", Platform::own());
    format!("image-{}", Digest::of(text.as_bytes()).hex())
}

fn is_away(error: &ImageError) -> bool {
    matches!(
        error,
        ImageError::Unreachable { .. }
            | ImageError::Slow { .. }
            | ImageError::Server { .. }
            | ImageError::RateLimited { .. }
    )
}

fn away(error: &ImageError) -> &'static str {
    match error {
        ImageError::Unreachable { .. } => "it is not reached",
        ImageError::Slow { .. } => "it is too slow",
        ImageError::RateLimited { .. } => "it asks to wait",
        _ => "it fails",
    }
}

/// Asks the registry.
async fn resolve(
    shared: &Shared,
    reference: &Reference,
    task: Task<'_>,
) -> Result<Record, ImageError> {
    let name = reference.to_string();
    task.call.teller.tell(Progress::Resolving { reference: name.clone() });
    let own = Platform::own();
    let (digest, manifest) = find(shared, reference, &name, &own, task).await?;
    check(&name, &manifest, shared)?;
    let text = shared.registries.config(reference, &manifest.config, task.call).await?;
    let described = Described::read(&name, &text)?;
    described.check_platform(&name, &own)?;
    if described.diff_ids.len() != manifest.layers.len() {
        return Err(ImageError::Malformed {
            what: format!("the configuration of {name}"),
            why: format!(
                "it names {} layers and the manifest {}",
                described.diff_ids.len(),
                manifest.layers.len()
            ),
        });
    }
    Ok(Record {
        name,
        digest,
        asked_at: now(),
        layers: manifest.layers,
        described,
        seen: String::new(),
    })
}

/// Follows lists to the image for this machine.
async fn find(
    shared: &Shared,
    reference: &Reference,
    name: &str,
    own: &Platform,
    task: Task<'_>,
) -> Result<(Digest, Manifest), ImageError> {
    let mut asked = reference.asked();
    for _ in 0..DEPTH {
        let (text, digest) = shared.registries.manifest(reference, &asked, task.call).await?;
        match Document::read(name, &text)? {
            Document::Image(manifest) => return Ok((digest, manifest)),
            Document::Index(all) => asked = manifest::choose(name, &all, own)?.digest.to_string(),
        }
    }
    Err(ImageError::Malformed {
        what: format!("the manifest of {name}"),
        why: "it is a list of lists of lists".to_owned(),
    })
}

/// Whether it may be brought at all.
fn check(name: &str, manifest: &Manifest, shared: &Shared) -> Result<(), ImageError> {
    let limits = &shared.settings.limits;
    let too_large = |limit| ImageError::TooLarge { what: format!("the image {name}"), limit };
    let found = manifest.layers.len();
    if found == 0 {
        return Err(ImageError::Empty(name.to_owned()));
    }
    if found > limits.layers {
        return Err(too_large(TooLarge::Layers { found, limit: limits.layers }));
    }
    let sum = manifest.layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(layer.size));
    if sum.is_none_or(|sum| sum > limits.download_bytes) {
        return Err(too_large(TooLarge::Bytes { limit: limits.download_bytes }));
    }
    match manifest.layers.iter().position(Descriptor::is_foreign) {
        Some(index) => Err(ImageError::Foreign { image: name.to_owned(), layer: index + 1 }),
        None => Ok(()),
    }
}
