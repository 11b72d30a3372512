//! What a caller hands in: keys, addresses, limits and timeouts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quire_domain::secret::Secret;

use crate::gateway::Limits;
use crate::pace::{Pace, RealPace};

/// Everything this crate is told from outside.
#[derive(Clone)]
pub struct Settings {
    /// Environment variables, by name. Only those named by
    /// [`Catalogue::variables`](crate::Catalogue::variables) are looked at.
    pub variables: BTreeMap<String, Secret<String>>,
    /// Keys by provider id (from a configuration file or a command); they win over variables.
    pub keys: BTreeMap<String, Secret<String>>,
    /// Base URLs by provider id; they win over variables and the catalogue.
    pub base_urls: BTreeMap<String, String>,
    /// Limits by provider id.
    pub limits: BTreeMap<String, Limits>,
    /// `provider/model` or a model's name to use when none is asked for.
    pub default_model: Option<String>,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a reply may stay silent; before its first byte longer where the provider's file
    /// says so.
    pub idle_timeout: Duration,
    /// How long one try may take in all, keep-alives or not.
    pub reply_timeout: Duration,
    /// The longest wait between two tries; a provider that asks for more is unavailable.
    pub longest_wait: Duration,
    /// How often a request is sent at most, the first time included.
    pub tries: u32,
    /// How long a local server may take to say that it is there.
    pub probe_timeout: Duration,
    /// Clock, sleep and randomness of waiting.
    pub pace: Arc<dyn Pace>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            variables: BTreeMap::new(),
            keys: BTreeMap::new(),
            base_urls: BTreeMap::new(),
            limits: BTreeMap::new(),
            default_model: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(2),
            reply_timeout: Duration::from_mins(30),
            longest_wait: Duration::from_mins(5),
            tries: 5,
            probe_timeout: Duration::from_millis(250),
            pace: Arc::new(RealPace),
        }
    }
}

impl Settings {
    /// Settings that reach one provider at one address, e.g. the scripted one in a test.
    pub fn with_base_url(provider: &str, base_url: &str) -> Self {
        Self {
            base_urls: BTreeMap::from([(provider.to_owned(), base_url.to_owned())]),
            ..Self::default()
        }
    }

    /// The value of a variable, unless it is empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&Secret<String>> {
        self.variables.get(name).filter(|value| !value.reveal().trim().is_empty())
    }
}
