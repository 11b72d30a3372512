//! The values of an environment's secrets, opened for one attempt: what setup and credentials are
//! given, and what is taken out of all that is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quire_domain::environment::Environment;
use quire_domain::secret::Secret;
use quire_engine::Redaction;
use quire_environment::recipe::secrets_in;
use quire_environment::snapshot::search::Values;
use quire_store::{SealError, SealKey, SecretScope, StoreError};

use crate::resolution::OWNER;
use crate::secrets_key::KeyError;
use crate::setup::SecretVersion;
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
    /// Whether setup may see those that the recipe gives it.
    pub for_setup: bool,
}

/// Why secrets cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is sealed with another key, or was changed.
    #[error(
        "the secret `{name}` does not open with the key that is here: bring back the key that it was \
         sealed with, or set it anew (`quire env secret set {name}`)"
    )]
    Sealed {
        /// Which.
        name: String,
        /// Why.
        source: SealError,
    },
    /// The store failed.
    #[error("cannot open the secret `{name}`")]
    Store {
        /// Which.
        name: String,
        /// Why.
        source: StoreError,
    },
    /// Those that there are cannot be listed.
    #[error("cannot read which secrets there are")]
    List(#[source] StoreError),
    /// It was set before such values were refused.
    #[error(
        "the value of the secret `{name}` cannot be taken out of what is recorded, as it {why}: set \
         another one (`quire env secret set {name}`), or, if it is no secret, write it to \
         `[variables]`"
    )]
    NotRedactable {
        /// Which.
        name: String,
        /// Why, after "as it".
        why: &'static str,
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
    let mut known = Known { for_setup: may_be_seen(scope), ..Known::default() };
    let mut key: Option<Arc<SealKey>> = None;
    let failed = |name: &str| {
        let name = name.to_owned();
        move |error| match error {
            StoreError::Sealed(source) => OpenError::Sealed { name, source },
            source => OpenError::Store { name, source },
        }
    };
    let names = names(environment);
    if names.is_empty() {
        return Ok(known);
    }
    let set = worker.store.secrets(scope).await.map_err(OpenError::List)?;
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
        if let Some(why) = quire_engine::why_not(text.as_bytes()) {
            return Err(OpenError::NotRedactable { name, why });
        }
        known.versions.insert(name.clone(), version);
        known.values.insert(name, Secret::new(text));
    }
    Ok(known)
}

/// The versions of what setup sees, for the key of its snapshot; opens nothing.
pub async fn versions(
    worker: &Worker,
    scope: &SecretScope,
    environment: &Environment,
) -> Result<Vec<SecretVersion>, OpenError> {
    if environment.secrets.is_empty() {
        return Ok(Vec::new());
    }
    let set = worker.store.secrets(scope).await.map_err(OpenError::List)?;
    let versions = set.into_iter().map(|one| (one.name, one.version)).collect();
    let known = Known { versions, for_setup: may_be_seen(scope), ..Known::default() };
    Ok(known.versions_for_setup(environment))
}

impl Known {
    /// The values, for [`quire_engine::Redaction`].
    pub fn bytes(&self) -> impl Iterator<Item = Secret<Vec<u8>>> {
        self.values.values().map(|value| Secret::new(value.reveal().clone().into_bytes()))
    }
}

impl Known {
    /// What takes them out of a text.
    pub fn redaction(&self) -> Redaction {
        Redaction::of(self.bytes())
    }

    /// The versions of what setup sees, for the key of its snapshot.
    pub fn versions_for_setup(&self, environment: &Environment) -> Vec<SecretVersion> {
        let given = |(name, _): &(&String, &u32)| self.is_for_setup(environment, name);
        self.versions.iter().filter(given).map(|(name, at)| (name.clone(), *at)).collect()
    }

    /// The variables of setup and maintenance: what only credentials are made of is not among them.
    pub fn variables_for_setup(&self, environment: &Environment) -> BTreeMap<String, String> {
        let given = |(name, _): &(&String, &Secret<String>)| self.is_for_setup(environment, name);
        let values = self.values.iter().filter(given);
        values.map(|(name, value)| (name.clone(), value.reveal().clone())).collect()
    }

    fn is_for_setup(&self, environment: &Environment, name: &str) -> bool {
        self.for_setup && environment.secrets.iter().any(|one| one == name)
    }

    /// The secrets that setup is to see and that have no value.
    pub fn missing_for_setup<'a>(&self, environment: &'a Environment) -> Vec<&'a str> {
        let names = environment.secrets.iter().map(String::as_str);
        names.filter(|name| self.for_setup && self.unset.iter().any(|one| one == name)).collect()
    }

    /// What a new layer is searched for: all of them, those of credentials too. `None` without any.
    pub fn to_search(&self) -> Option<Arc<dyn Values>> {
        let redaction = Redaction::for_search(self.bytes());
        let names = self
            .values
            .iter()
            .map(|(name, value)| (value.reveal().clone().into_bytes(), name.clone()));
        let names = names.collect();
        (!redaction.is_empty()).then(|| Arc::new(Sought { redaction, names }) as Arc<dyn Values>)
    }
}

/// Values with their names.
struct Sought {
    redaction: Redaction,
    names: Vec<(Vec<u8>, String)>,
}

impl Values for Sought {
    fn longest(&self) -> usize {
        self.redaction.longest()
    }

    fn find(&self, bytes: &[u8]) -> Option<String> {
        let value = self.redaction.value_in(bytes)?.reveal();
        let named = self.names.iter().find(|(other, _)| other == value);
        Some(named.map_or_else(String::new, |(_, name)| name.clone()))
    }
}

/// Whether a setup may see the secrets of this scope. What it runs is the branch's own, which could
/// carry them out: so on a commit of the default branch, or where a person with rights on the
/// environment began the task. Those of this machine are its person's, who begins every task here;
/// of others it cannot be told yet, and they are not given.
fn may_be_seen(scope: &SecretScope) -> bool {
    scope.owner == OWNER
}

/// The names of the secrets that setup and credentials of an environment use.
pub fn names(environment: &Environment) -> BTreeSet<String> {
    let credentials = environment.credentials.iter();
    let in_values = credentials.flat_map(|one| secrets_in(&one.value));
    environment.secrets.iter().cloned().chain(in_values.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use quire_domain::environment::Limits;
    use quire_environment::recipe;

    use super::*;

    fn known(owner: &str) -> (Known, Environment) {
        let scope = SecretScope {
            owner: owner.to_owned(),
            repository: None,
            environment: "web".to_owned(),
        };
        let value = |text: &str| Secret::new(text.to_owned());
        let names = [("TOKEN", "t0ken-value-1"), ("OTHER", "0ther-value-2")];
        let known = Known {
            values: names.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect(),
            versions: names.iter().map(|(name, _)| ((*name).to_owned(), 3)).collect(),
            unset: vec!["NONE".to_owned()],
            for_setup: may_be_seen(&scope),
        };
        let mut environment = recipe::default_environment(false, Limits::default());
        environment.secrets = vec!["TOKEN".to_owned(), "NONE".to_owned()];
        (known, environment)
    }

    #[test]
    fn setup_sees_what_the_recipe_gives_it_and_nothing_of_another_owner() {
        let (own, environment) = known(OWNER);
        assert_eq!(own.versions_for_setup(&environment), [("TOKEN".to_owned(), 3)]);
        let seen: Vec<_> = own.variables_for_setup(&environment).into_keys().collect();
        assert_eq!(seen, ["TOKEN"]);
        assert_eq!(own.missing_for_setup(&environment), ["NONE"]);
        let (others, environment) = known("a team");
        assert!(others.versions_for_setup(&environment).is_empty());
        assert!(others.variables_for_setup(&environment).is_empty());
        assert!(others.missing_for_setup(&environment).is_empty());
    }

    #[test]
    fn a_layer_is_searched_for_the_values_of_credentials_too() {
        let values = known(OWNER).0.to_search().unwrap();
        assert_eq!(values.find(b"x 0ther-value-2 y").as_deref(), Some("OTHER"));
        assert_eq!(values.find(b"0ther-value-").as_deref(), None);
        assert!(Known::default().to_search().is_none());
    }
}
