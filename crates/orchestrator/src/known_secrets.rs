//! The values of an environment's secrets, opened for one attempt: what setup and credentials are
//! given, and what is taken out of all that is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quire_domain::environment::Environment;
use quire_domain::secret::Secret;
use quire_environment::recipe::secrets_in;
use quire_store::{SealKey, SecretScope, StoreError};

use crate::secrets_key::KeyError;
use crate::worker::Worker;

/// Opened secrets.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Their values, by name.
    pub values: BTreeMap<String, Secret<String>>,
    /// Their versions, by name, for the key of a snapshot.
    pub versions: BTreeMap<String, u32>,
    /// Names that the environment uses and that have no value.
    pub unset: Vec<String>,
}

/// Why secrets cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// One is sealed with another key, or the store failed.
    #[error("cannot open the secret `{name}`")]
    Store {
        /// Which.
        name: String,
        /// Why.
        source: StoreError,
    },
    /// It was set by something that takes other bytes than text.
    #[error("the value of the secret `{name}` is not UTF-8: set it anew")]
    NotText {
        /// Which.
        name: String,
    },
}

/// Opens what an environment uses. Reads no key where it uses none.
pub async fn open(
    worker: &Worker,
    scope: &SecretScope,
    environment: &Environment,
) -> Result<Known, OpenError> {
    let mut known = Known::default();
    let mut key: Option<Arc<SealKey>> = None;
    let failed = |name: &str| {
        let name = name.to_owned();
        move |source| OpenError::Store { name, source }
    };
    let names = names(environment);
    if names.is_empty() {
        return Ok(known);
    }
    let set = worker.store.secrets(scope).await.map_err(failed(""))?;
    for name in names {
        if !set.iter().any(|one| one.name == name) {
            known.unset.push(name);
            continue;
        }
        let key = match &key {
            Some(key) => key,
            None => key.insert(worker.secrets.to_open()?),
        };
        let opened = worker.store.open_secret(key, scope, &name).await.map_err(failed(&name))?;
        let Some((version, value)) = opened else {
            known.unset.push(name);
            continue;
        };
        let Ok(text) = String::from_utf8(value.reveal().clone()) else {
            return Err(OpenError::NotText { name });
        };
        known.versions.insert(name.clone(), version);
        known.values.insert(name, Secret::new(text));
    }
    Ok(known)
}

impl Known {
    /// The values, for [`quire_engine::Redaction`].
    pub fn bytes(&self) -> impl Iterator<Item = Secret<Vec<u8>>> {
        self.values.values().map(|value| Secret::new(value.reveal().clone().into_bytes()))
    }
}

/// The names of the secrets that setup and credentials of an environment use.
pub fn names(environment: &Environment) -> BTreeSet<String> {
    let credentials = environment.credentials.iter();
    let in_values = credentials.flat_map(|one| secrets_in(&one.value));
    environment.secrets.iter().cloned().chain(in_values.map(str::to_owned)).collect()
}
